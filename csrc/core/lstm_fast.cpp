#include "core/lstm_fast.hpp"

#include <algorithm>
#include <vector>

#include "core/aligned_buffer.hpp"
#include "core/lstm_fast_plan.hpp"
#include "core/network_shape.hpp"
#include "core/weight_cursor.hpp"

namespace bunraku {
namespace {

const LstmKernels* lstm_kernels(Isa isa) noexcept {
  switch (isa) {
  case Isa::Portable:
    return &kLstmPortable;
#if defined(BUNRAKU_HAVE_AVX2)
  case Isa::Avx2:
    return &kLstmAvx2;
#endif
#if defined(BUNRAKU_HAVE_AVX512)
  case Isa::Avx512:
    return &kLstmAvx512;
#endif
#if defined(__ARM_NEON)
  case Isa::Neon:
    return &kLstmNeon;
#endif
  default:
    return nullptr;
  }
}

// Few rows leave most of a wide register empty, and the recurrence waits longer for a wide one.
Isa isa_for(int hidden_size, Isa isa) noexcept {
#if defined(BUNRAKU_HAVE_AVX2)
  if (isa == Isa::Avx512 && hidden_size <= 8)
    return Isa::Avx2; // every AVX-512 machine has it
#endif
  (void)hidden_size;
  return isa;
}

std::size_t product(int a, int b, int c = 1) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b) * static_cast<std::size_t>(c);
}

int round_up(int n, int step) {
  return (n + step - 1) / step * step;
}

// The file's gates are input, forget, candidate, output; see LstmLayerPlan for ours.
constexpr int kGateOfFile[4] = {0, 2, 1, 3};
constexpr float kGateScale[4] = {0.5f, 0.5f, 1.0f, 0.5f}; // in the file's order

struct Layer {
  AlignedBuffer input_weights, recurrent_weights, biases;
  std::vector<float> hidden, memory; // where the state starts
};

Layer make_layer(const LstmPlan& plan, int heard_size, WeightCursor& weights) {
  const int width = plan.width, rows = plan.recurrent_rows;
  Layer layer{AlignedBuffer(product(heard_size, 4, width)),
              AlignedBuffer(product(rows, 4, width)),
              AlignedBuffer(product(4, width)),
              {},
              {}};
  for (int file_gate = 0; file_gate < 4; ++file_gate) {
    const int gate = kGateOfFile[file_gate];
    const float scale = kGateScale[file_gate];
    for (int o = 0; o < plan.hidden_size; ++o) {
      for (int i = 0; i < heard_size; ++i)
        layer.input_weights.data()[product(i * 4 + gate, width) + o] = weights.next() * scale;
      for (int i = 0; i < plan.hidden_size; ++i)
        layer.recurrent_weights.data()[product((gate / 2 * rows + i) * 2 + gate % 2, width) + o] =
            weights.next() * scale;
    }
  }
  for (int file_gate = 0; file_gate < 4; ++file_gate)
    for (int o = 0; o < plan.hidden_size; ++o)
      layer.biases.data()[product(kGateOfFile[file_gate], width) + o] =
          weights.next() * kGateScale[file_gate];
  layer.hidden = weights.take(plan.hidden_size);
  layer.memory = weights.take(plan.hidden_size);
  return layer;
}

class LstmFast final : public Stage {
public:
  LstmFast(const LstmSpec& spec, const LstmKernels& kernels);
  std::unique_ptr<Voice> open_voice(const VoiceConfig& config) const override;
  int in_channels() const noexcept override { return m_plan.in_channels; }
  int out_channels() const noexcept override { return m_plan.out_channels; }
  int receptive_field_frames() const noexcept override { return kLstmPrewarmFrames; }
  double flop_per_frame() const noexcept override { return m_shape.flop_per_frame; }

  const LstmPlan& plan() const noexcept { return m_plan; }
  const LstmKernels& kernels() const noexcept { return m_kernels; }
  const std::vector<Layer>& layers() const noexcept { return m_layers; }

private:
  const LstmKernels& m_kernels;
  NetworkShape m_shape;
  std::vector<Layer> m_layers;
  std::vector<LstmLayerPlan> m_layer_plans;
  AlignedBuffer m_head_weights;
  std::vector<float> m_head_biases;
  LstmPlan m_plan{};
};

class LstmFastVoice final : public Voice {
public:
  explicit LstmFastVoice(const LstmFast& stage);
  void process(const float* const* in, float* const* out, int frames) noexcept override;
  void reset() noexcept override;
  void keep_as_prewarmed() override;

private:
  void prewarm(double flop_per_frame);
  std::vector<float> present() const;
  float* hidden(int layer) const {
    return m_state.hidden + product(layer, 1 + kLstmTileFrames, m_plan.width);
  }
  float* memory(int layer) const { return m_state.memory + product(layer, m_plan.width); }

  const LstmPlan& m_plan;
  const LstmKernels& m_kernels;
  AlignedBuffer m_buffer;
  std::vector<float> m_kept; // of each layer: hidden, memory
  LstmState m_state{};
};

LstmFast::LstmFast(const LstmSpec& spec, const LstmKernels& kernels)
    : m_kernels(kernels), m_shape(shape_of(spec)) {
  m_plan.layer_count = spec.layer_count;
  m_plan.in_channels = spec.input_size;
  m_plan.out_channels = spec.out_channels;
  m_plan.hidden_size = spec.hidden_size;
  m_plan.recurrent_rows = round_up(spec.hidden_size, kLstmChains);
  m_plan.width = round_up(spec.hidden_size, kernels.lanes);
  WeightCursor weights(spec.weights);
  for (int l = 0; l < spec.layer_count; ++l) {
    const int heard_size = l == 0 ? spec.input_size : spec.hidden_size;
    m_layers.push_back(make_layer(m_plan, heard_size, weights));
    const Layer& layer = m_layers.back();
    m_layer_plans.push_back({layer.input_weights.data(), layer.recurrent_weights.data(),
                             layer.biases.data(), heard_size});
  }
  m_head_weights = AlignedBuffer(product(spec.out_channels, m_plan.width));
  for (int c = 0; c < spec.out_channels; ++c)
    for (int i = 0; i < spec.hidden_size; ++i)
      m_head_weights.data()[product(c, m_plan.width) + i] = weights.next();
  m_head_biases = weights.take(spec.out_channels);
  m_plan.layers = m_layer_plans.data();
  m_plan.head_weights = m_head_weights.data();
  m_plan.head_biases = m_head_biases.data();
}

std::unique_ptr<Voice> LstmFast::open_voice(const VoiceConfig&) const {
  return std::make_unique<LstmFastVoice>(*this);
}

LstmFastVoice::LstmFastVoice(const LstmFast& stage)
    : m_plan(stage.plan()), m_kernels(stage.kernels()) {
  const std::size_t outside = product(kLstmTileFrames, 4, m_plan.width);
  const std::size_t hidden_floats = product(m_plan.layer_count, 1 + kLstmTileFrames, m_plan.width);
  const std::size_t memory_floats = product(m_plan.layer_count, m_plan.width);
  m_buffer = AlignedBuffer(outside + hidden_floats + memory_floats +
                           product(kLstmTileFrames, m_plan.in_channels));
  m_state.outside = m_buffer.data();
  m_state.hidden = m_state.outside + outside;
  m_state.memory = m_state.hidden + hidden_floats;
  m_state.input = m_state.memory + memory_floats;
  for (int l = 0; l < m_plan.layer_count; ++l) {
    const Layer& layer = stage.layers()[static_cast<std::size_t>(l)];
    std::copy(layer.hidden.begin(), layer.hidden.end(), hidden(l));
    std::copy(layer.memory.begin(), layer.memory.end(), memory(l));
  }
  prewarm(stage.flop_per_frame());
}

// Half a second of silence, ended early where the state stands still, or where a huge stranger
// would take minutes (the general path does the same).
void LstmFastVoice::prewarm(double flop_per_frame) {
  const std::vector<float> silence(kLstmTileFrames);
  const std::vector<const float*> planes(static_cast<std::size_t>(m_plan.in_channels),
                                         silence.data());
  const double affordable = std::max(4e9 / std::max(flop_per_frame, 1.0), 256.0);
  const int most = static_cast<int>(std::min<double>(kLstmPrewarmFrames, affordable));
  std::vector<float> before;
  for (int frame = 0; frame < most && before != present(); frame += kLstmTileFrames) {
    before = present();
    m_kernels.run_tile(m_plan, m_state, planes.data(), nullptr, 0, kLstmTileFrames);
  }
  keep_as_prewarmed();
}

std::vector<float> LstmFastVoice::present() const {
  std::vector<float> values;
  for (int l = 0; l < m_plan.layer_count; ++l) {
    values.insert(values.end(), hidden(l), hidden(l) + m_plan.width);
    values.insert(values.end(), memory(l), memory(l) + m_plan.width);
  }
  return values;
}

void LstmFastVoice::keep_as_prewarmed() {
  m_kept = present();
}

void LstmFastVoice::reset() noexcept {
  const float* kept = m_kept.data();
  for (int l = 0; l < m_plan.layer_count; ++l, kept += 2 * m_plan.width) {
    std::copy_n(kept, m_plan.width, hidden(l));
    std::copy_n(kept + m_plan.width, m_plan.width, memory(l));
  }
}

void LstmFastVoice::process(const float* const* in, float* const* out, int frames) noexcept {
  for (int offset = 0; offset < frames; offset += kLstmTileFrames)
    m_kernels.run_tile(m_plan, m_state, in, out, offset,
                       std::min(kLstmTileFrames, frames - offset));
}

} // namespace

std::unique_ptr<Stage> make_lstm_fast(const LstmSpec& spec, Isa isa) {
  const LstmKernels* kernels = lstm_kernels(isa_for(spec.hidden_size, isa));
  if (!kernels || shape_of(spec).weight_count != static_cast<std::int64_t>(spec.weights.size()))
    return nullptr;
  return std::make_unique<LstmFast>(spec, *kernels);
}

} // namespace bunraku
