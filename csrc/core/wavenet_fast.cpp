#include "core/wavenet_fast.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/aligned_buffer.hpp"
#include "core/network_shape.hpp"

namespace bunraku {

const WaveNetKernels* wavenet_kernels(Isa isa) noexcept {
  switch (isa) {
  case Isa::Portable:
    return &kWaveNetPortable;
#if defined(BUNRAKU_HAVE_AVX2)
  case Isa::Avx2:
    return &kWaveNetAvx2;
#endif
#if defined(BUNRAKU_HAVE_AVX512)
  case Isa::Avx512:
    return &kWaveNetAvx512;
#endif
#if defined(__ARM_NEON)
  case Isa::Neon:
    return &kWaveNetNeon;
#endif
  default:
    return nullptr;
  }
}

namespace {

// ---- the detector -------------------------------------------------------------------------------

bool activation_is_fast(const ActivationSpec& activation, int channels) {
  const std::size_t count = activation.parameters.size();
  switch (activation.kind) {
  case ActivationKind::LeakyReLU:
    return count == 1;
  case ActivationKind::PReLU:
    return count == 1 || count == static_cast<std::size_t>(channels);
  case ActivationKind::LeakyHardtanh:
    return count == 4;
  default:
    return true;
  }
}

bool array_is_fast(const WaveNetArraySpec& array) {
  for (const FilmSpec& film : array.films)
    if (film.active)
      return false;
  if (array.groups_input != 1 || array.groups_input_mixin != 1 || !array.layer1x1_active ||
      array.layer1x1_groups != 1 || array.head1x1_active || array.layers.empty())
    return false;
  if (array.head_kernel_size < 1 || array.head_kernel_size > kMaxTaps)
    return false;
  for (const WaveNetLayerSpec& layer : array.layers)
    if (layer.gating != GatingMode::None || layer.kernel_size < 1 || layer.kernel_size > kMaxTaps ||
        !activation_is_fast(layer.activation, array.bottleneck))
      return false;
  return true;
}

bool is_fast(const WaveNetSpec& spec) {
  if (spec.condition || spec.post_head || spec.arrays.empty())
    return false;
  for (std::size_t a = 0; a < spec.arrays.size(); ++a) {
    const WaveNetArraySpec& array = spec.arrays[a];
    const int input = a == 0 ? spec.in_channels : spec.arrays[a - 1].channels;
    if (!array_is_fast(array) || array.condition_size != spec.in_channels ||
        array.input_size != input)
      return false;
    if (a > 0 && spec.arrays[a - 1].head_out_channels != array.bottleneck)
      return false;
  }
  return shape_of(spec).weight_count == static_cast<std::int64_t>(spec.weights.size());
}

// ---- packing ------------------------------------------------------------------------------------

ActivationCode activation_code(const ActivationSpec& activation) {
  switch (activation.kind) {
  case ActivationKind::Tanh:
    return ActivationCode::Tanh;
  case ActivationKind::Hardtanh:
    return ActivationCode::Hardtanh;
  case ActivationKind::Fasttanh:
    return ActivationCode::Fasttanh;
  case ActivationKind::ReLU:
    return ActivationCode::ReLU;
  case ActivationKind::LeakyReLU:
    return activation.parameters[0] <= 1.0f ? ActivationCode::LeakyReLUBelowOne
                                            : ActivationCode::LeakyReLU;
  case ActivationKind::PReLU:
    return ActivationCode::LeakyReLU;
  case ActivationKind::Sigmoid:
    return ActivationCode::Sigmoid;
  case ActivationKind::SiLU:
    return ActivationCode::SiLU;
  case ActivationKind::Hardswish:
    return ActivationCode::Hardswish;
  case ActivationKind::LeakyHardtanh:
    return ActivationCode::LeakyHardtanh;
  case ActivationKind::Softsign:
    return ActivationCode::Softsign;
  }
  return ActivationCode::Tanh;
}

constexpr std::size_t round_up(std::size_t n, std::size_t step) {
  return (n + step - 1) / step * step;
}

// Copies the weights into one aligned buffer; every matrix begins on a cache line.
class Packer {
public:
  explicit Packer(const WaveNetSpec& spec)
      : m_next(spec.weights.data()), m_packed(capacity(spec)) {}

  // [out][in][taps] to [taps][in][out]
  const float* matrix(int out, int in, int taps, float scale = 1.0f) {
    float* packed = grow(static_cast<std::size_t>(out) * in * taps);
    for (int o = 0; o < out; ++o)
      for (int i = 0; i < in; ++i)
        for (int k = 0; k < taps; ++k)
          packed[(static_cast<std::size_t>(k) * in + i) * out + o] = *m_next++ * scale;
    return packed;
  }
  const float* vector(int count, float scale = 1.0f) { return matrix(count, 1, 1, scale); }
  const float* values(const std::vector<float>& source) {
    float* packed = grow(source.size());
    std::copy(source.begin(), source.end(), packed);
    return packed;
  }
  AlignedBuffer take() { return std::move(m_packed); }

private:
  static constexpr std::size_t kLine = 16;
  static std::size_t capacity(const WaveNetSpec& spec) {
    std::size_t count = spec.weights.size();
    for (const WaveNetArraySpec& array : spec.arrays) {
      count += 3 * kLine;
      for (const WaveNetLayerSpec& layer : array.layers)
        count += 6 * kLine + layer.activation.parameters.size();
    }
    return count;
  }
  float* grow(std::size_t count) {
    float* packed = m_packed.data() + m_used;
    m_used += round_up(count, kLine);
    return packed;
  }
  const float* m_next;
  AlignedBuffer m_packed;
  std::size_t m_used = 0;
};

class WaveNetFast final : public Stage {
public:
  WaveNetFast(const WaveNetSpec& spec, const WaveNetKernels& kernels);
  std::unique_ptr<Voice> open_voice(const VoiceConfig& config) const override;
  int in_channels() const noexcept override { return m_plan.in_channels; }
  int out_channels() const noexcept override { return m_plan.out_channels; }
  int receptive_field_frames() const noexcept override {
    return static_cast<int>(m_shape.receptive_field_frames);
  }
  double flop_per_frame() const noexcept override { return m_shape.flop_per_frame; }

  const WaveNetPlan& plan() const noexcept { return m_plan; }
  const WaveNetKernels& kernels() const noexcept { return m_kernels; }
  std::size_t ring_floats() const noexcept { return m_ring_floats; }
  int scratch_rows() const noexcept { return m_scratch_rows; }

private:
  int add_ring(int rows, int lookback);
  void add_array(const WaveNetArraySpec& array, Packer& packer, bool first, bool last, float scale);

  const WaveNetKernels& m_kernels;
  AlignedBuffer m_weights;
  std::vector<RingPlan> m_rings;
  std::vector<std::vector<LayerPlan>> m_layers;
  std::vector<ArrayPlan> m_arrays;
  WaveNetPlan m_plan{};
  std::size_t m_ring_floats = 0;
  int m_scratch_rows = 1;
  NetworkShape m_shape;
};

class WaveNetVoice final : public Voice {
public:
  explicit WaveNetVoice(const WaveNetFast& stage);
  void process(const float* const* in, float* const* out, int frames) noexcept override;
  void reset() noexcept override;
  void keep_as_prewarmed() override;

private:
  void prewarm();

  const WaveNetPlan& m_plan;
  const WaveNetKernels& m_kernels;
  const std::size_t m_ring_floats;
  AlignedBuffer m_memory; // rings, input, scratch
  AlignedBuffer m_kept_memory;
  std::vector<int> m_positions;
  std::vector<int> m_kept_positions;
  WaveNetState m_state{};
};

// A row is an odd number of lines apart from the next, 5 or 11 modulo 16: the rows' tiles then
// spread over the cache's sets instead of meeting in a few.
int padded_stride(int frames) {
  int lines = static_cast<int>(round_up(static_cast<std::size_t>(frames), 16) / 16);
  while (lines % 16 != 5 && lines % 16 != 11)
    ++lines;
  return lines * 16;
}

int WaveNetFast::add_ring(int rows, int lookback) {
  RingPlan ring{};
  ring.offset = static_cast<std::int64_t>(m_ring_floats);
  ring.rows = rows;
  ring.advances = lookback > 0;
  ring.frames =
      static_cast<int>(round_up(static_cast<std::size_t>(lookback) + kTileFrames, kTileFrames));
  ring.stride = ring.advances ? padded_stride(ring.frames + kTileFrames) : kTileFrames;
  m_ring_floats += static_cast<std::size_t>(rows) * ring.stride;
  m_rings.push_back(ring);
  return static_cast<int>(m_rings.size()) - 1;
}

void WaveNetFast::add_array(const WaveNetArraySpec& array, Packer& packer, bool first, bool last,
                            float scale) {
  ArrayPlan plan{};
  plan.input_ring = first ? -1 : m_layers.back().back().out_ring;
  plan.input_rows = array.input_size;
  plan.channels = array.channels;
  plan.bottleneck = array.bottleneck;
  plan.head_out = array.head_out_channels;
  plan.head_kernel_size = array.head_kernel_size;
  plan.head_dilation = array.head_dilation;
  plan.skip_ring = add_ring(array.bottleneck, (array.head_kernel_size - 1) * array.head_dilation);
  if (!first)
    m_arrays.back().head_ring = plan.skip_ring;
  plan.head_ring = -1;
  plan.rechannel = packer.matrix(array.channels, array.input_size, 1);

  std::vector<LayerPlan> layers;
  for (const WaveNetLayerSpec& spec : array.layers) {
    LayerPlan layer{};
    layer.channels = array.channels;
    layer.bottleneck = array.bottleneck;
    layer.kernel_size = spec.kernel_size;
    layer.dilation = spec.dilation;
    layer.activation = activation_code(spec.activation);
    layer.conv = packer.matrix(array.bottleneck, array.channels, spec.kernel_size);
    layer.conv_bias = packer.vector(array.bottleneck);
    layer.mixin = packer.matrix(array.bottleneck, array.condition_size, 1);
    layer.layer1x1 = packer.matrix(array.channels, array.bottleneck, 1);
    layer.layer1x1_bias = packer.vector(array.channels);
    layer.activation_parameters = packer.values(spec.activation.parameters);
    layer.activation_stride =
        spec.activation.kind == ActivationKind::PReLU && spec.activation.parameters.size() > 1;
    layer.in_ring = add_ring(array.channels, spec.dilation * (spec.kernel_size - 1));
    layer.out_ring = -1;
    layer.first_skip = first && layers.empty();
    if (!layers.empty())
      layers.back().out_ring = layer.in_ring;
    m_kernels.select_layer(layer);
    layers.push_back(layer);
  }
  if (!last)
    layers.back().out_ring = add_ring(array.channels, 0);
  plan.in_ring = layers.front().in_ring;
  plan.layer_count = static_cast<int>(layers.size());
  plan.head =
      packer.matrix(array.head_out_channels, array.bottleneck, array.head_kernel_size, scale);
  plan.head_bias = array.head_bias ? packer.vector(array.head_out_channels, scale) : nullptr;
  m_scratch_rows = std::max({m_scratch_rows, array.bottleneck, array.head_out_channels});
  m_layers.push_back(std::move(layers));
  m_arrays.push_back(plan);
}

WaveNetFast::WaveNetFast(const WaveNetSpec& spec, const WaveNetKernels& kernels)
    : m_kernels(kernels), m_shape(shape_of(spec)) {
  Packer packer(spec);
  const float head_scale = spec.weights.back();
  for (std::size_t a = 0; a < spec.arrays.size(); ++a) {
    const bool last = a + 1 == spec.arrays.size();
    add_array(spec.arrays[a], packer, a == 0, last, last ? head_scale : 1.0f);
  }
  m_weights = packer.take();
  for (std::size_t a = 0; a < m_arrays.size(); ++a)
    m_arrays[a].layers = m_layers[a].data();
  m_plan.arrays = m_arrays.data();
  m_plan.rings = m_rings.data();
  m_plan.array_count = static_cast<int>(m_arrays.size());
  m_plan.ring_count = static_cast<int>(m_rings.size());
  m_plan.in_channels = spec.in_channels;
  m_plan.out_channels = spec.arrays.back().head_out_channels;
}

std::unique_ptr<Voice> WaveNetFast::open_voice(const VoiceConfig&) const {
  return std::make_unique<WaveNetVoice>(*this);
}

WaveNetVoice::WaveNetVoice(const WaveNetFast& stage)
    : m_plan(stage.plan()), m_kernels(stage.kernels()), m_ring_floats(stage.ring_floats()),
      m_memory(m_ring_floats + static_cast<std::size_t>(kTileFrames) *
                                   (stage.in_channels() + stage.scratch_rows())),
      m_kept_memory(m_ring_floats), m_positions(static_cast<std::size_t>(m_plan.ring_count)),
      m_kept_positions(m_positions) {
  m_state.memory = m_memory.data();
  m_state.positions = m_positions.data();
  m_state.input = m_memory.data() + m_ring_floats;
  m_state.scratch = m_state.input + static_cast<std::ptrdiff_t>(kTileFrames) * m_plan.in_channels;
  prewarm();
  keep_as_prewarmed();
}

// After endless silence every layer's input is a constant for each channel. One tile of silence in
// which each layer's output fills its whole history gets there, layer by layer.
void WaveNetVoice::prewarm() {
  constexpr int frames = 16;
  const std::vector<float> silence(frames);
  const std::vector<const float*> planes(static_cast<std::size_t>(m_plan.in_channels),
                                         silence.data());
  m_state.prewarming = true;
  m_kernels.run_tile[kTileWidths - 1](m_plan, m_state, planes.data(), nullptr, 0, frames);
  m_state.prewarming = false;
}

void WaveNetVoice::keep_as_prewarmed() {
  std::copy_n(m_memory.data(), m_ring_floats, m_kept_memory.data());
  m_kept_positions = m_positions;
}

void WaveNetVoice::reset() noexcept {
  std::copy_n(m_kept_memory.data(), m_ring_floats, m_memory.data());
  std::copy(m_kept_positions.begin(), m_kept_positions.end(), m_positions.begin());
}

void WaveNetVoice::process(const float* const* in, float* const* out, int frames) noexcept {
  constexpr int widths[kTileWidths] = {64, 32, 16};
  for (int offset = 0; offset < frames;) {
    const int left = frames - offset;
    const int index = left > 48 ? 0 : left > 16 ? 1 : 2;
    const int count = std::min(left, widths[index]);
    m_kernels.run_tile[index](m_plan, m_state, in, out, offset, count);
    offset += count;
  }
}

} // namespace

std::unique_ptr<Stage> make_wavenet_fast(const WaveNetSpec& spec, Isa isa) {
  const WaveNetKernels* kernels = wavenet_kernels(isa);
  if (!kernels || !is_fast(spec))
    return nullptr;
  return std::make_unique<WaveNetFast>(spec, *kernels);
}

} // namespace bunraku
