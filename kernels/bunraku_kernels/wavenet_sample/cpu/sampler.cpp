#include "wavenet_sample/cpu/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "core/denormals.hpp"
#include "core/isa.hpp"
#include "cuda/philox.hpp"

namespace bunraku_kernels {
namespace {

using bunraku::Isa;

struct NamedKernels {
  std::string isa;
  const WaveNetSampleKernels* kernels;
};

std::vector<NamedKernels> kernels_at_hand() {
  std::vector<NamedKernels> list;
  for (const Isa isa : bunraku::isas_at_hand()) {
#if defined(BUNRAKU_HAVE_AVX512)
    if (isa == Isa::Avx512 && __builtin_cpu_supports("avx512bf16") &&
        __builtin_cpu_supports("avx512vnni"))
      list.push_back({"avx512ext", &kWaveNetSampleAvx512Ext});
    if (isa == Isa::Avx512)
      list.push_back({"avx512", &kWaveNetSampleAvx512});
#endif
#if defined(BUNRAKU_HAVE_AVX2)
    if (isa == Isa::Avx2)
      list.push_back({"avx2", &kWaveNetSampleAvx2});
#endif
    if (isa == Isa::Neon) // the portable unit's vectors are NEON registers there
      list.push_back({"neon", &kWaveNetSamplePortable});
    if (isa == Isa::Portable)
      list.push_back({"portable", &kWaveNetSamplePortable});
  }
  return list;
}

NamedKernels choose_kernels(const std::string& asked) {
  const char* wish = std::getenv("BUNRAKU_ISA");
  const std::string name = !asked.empty() ? asked : wish != nullptr ? wish : "";
  const std::vector<NamedKernels> list = kernels_at_hand();
  std::string names;
  for (const NamedKernels& one : list) {
    if (name.empty() || name == one.isa)
      return one;
    names += (names.empty() ? "" : ", ") + one.isa;
  }
  throw std::invalid_argument("the instruction set '" + name +
                              "' is not usable here; choose one of: " + names);
}

int round_up(int value, int multiple) noexcept {
  return (value + multiple - 1) / multiple * multiple;
}

std::size_t round_up_bytes(std::size_t bytes) noexcept {
  return (bytes + 63) / 64 * 64;
}

// To the nearest, ties to even; what would round to infinity stays finite.
std::uint16_t to_bfloat16(float value) noexcept {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<std::uint16_t>((rounded & 0x7fffu) == 0x7f80u ? rounded - 1 : rounded);
}

int to_int8(float value, float scale) noexcept {
  return scale > 0.0f ? static_cast<int>(std::clamp(std::rint(value / scale), -127.0f, 127.0f)) : 0;
}

float int8_scale(const float* row, int columns) noexcept {
  float most = 0.0f;
  for (int i = 0; i < columns; ++i)
    most = std::max(most, std::fabs(row[i]));
  return most / 127.0f;
}

void write_weight(std::byte*& to, WeightCode code, float value, float scale) noexcept {
  if (code == WeightCode::Float32) {
    std::memcpy(to, &value, sizeof value);
  } else if (code == WeightCode::Bfloat16) {
    const std::uint16_t half = to_bfloat16(value);
    std::memcpy(to, &half, sizeof half);
  } else {
    const int q = to_int8(value, scale) + (code == WeightCode::Int8Plus128 ? 128 : 0);
    *to = static_cast<std::byte>(static_cast<unsigned char>(q));
  }
  to += bytes_of(code);
}

// The row of the matrix that gives output `lane` of vector `v`; -1: none.
int row_of(int v, int lane, int lanes, int rows, bool gated) noexcept {
  if (!gated) {
    const int row = v * lanes + lane;
    return row < rows ? row : -1;
  }
  const int channel = v / 2 * lanes + lane, channels = rows / 2;
  return channel < channels ? channel + v % 2 * channels : -1;
}

std::size_t product(std::size_t a, int b) noexcept {
  return a * static_cast<std::size_t>(b);
}

} // namespace

std::vector<std::string> wavenet_sample_isas() {
  std::vector<std::string> names;
  for (const NamedKernels& one : kernels_at_hand())
    names.push_back(one.isa);
  return names;
}

ReadBytesFn wavenet_sample_reader(const std::string& isa) {
  return choose_kernels(isa).kernels->read;
}

// ---- packing ------------------------------------------------------------------------------------

PackedWaveNet::PackedWaveNet(WaveNetShape shape, const WaveNetTensors& tensors, WeightType type,
                             const std::string& isa)
    : m_shape(std::move(shape)) {
  const NamedKernels chosen = choose_kernels(isa);
  m_isa = chosen.isa;
  m_lanes = chosen.kernels->lanes;
  m_format = chosen.kernels->format[static_cast<int>(type)];
  m_run = chosen.kernels->run[static_cast<int>(type)];
  m_bytes = PackedBytes(packed_size());
  m_layers.resize(m_shape.dilations.size());
  pack_layers(tensors);
  pack_ends(tensors);
  m_plan.layers = m_layers.data();
  m_plan.layer_count = static_cast<int>(m_layers.size());
  m_plan.output = m_shape.output;
  m_plan.residual = m_shape.residual;
  m_plan.residual_padded = padded(m_shape.residual);
  m_plan.skip_padded = padded(m_shape.skip);
  m_plan.hidden_padded = padded(m_shape.hidden);
  m_plan.outputs = m_shape.outputs;
  m_plan.outputs_padded = padded(m_shape.outputs);
}

int PackedWaveNet::padded(int channels) const noexcept {
  return round_up(channels, m_lanes);
}

// Past products first: they are made apart. Then everything in the order of a frame.
void PackedWaveNet::pack_layers(const WaveNetTensors& tensors) {
  const int residual = m_shape.residual, skip = m_shape.skip;
  const std::size_t square = product(static_cast<std::size_t>(residual), residual);
  for (std::size_t l = 0; l < m_layers.size(); ++l)
    m_layers[l].past = pack(tensors.past + 2 * square * l, 2 * residual, residual, true);
  std::int64_t row = 0;
  for (std::size_t l = 0; l < m_layers.size(); ++l) {
    SampleLayerPlan& layer = m_layers[l];
    layer.current = pack(tensors.current + 2 * square * l, 2 * residual, residual, true);
    layer.residual = pack(tensors.residual + square * l, residual, residual, false);
    layer.residual_bias = pad(tensors.residual_bias + product(l, residual), 1, residual);
    layer.skip = pack(tensors.skip + product(product(l, skip), residual), skip, residual, false);
    layer.dilation = m_shape.dilations[l];
    layer.history_offset = row * residual;
    row += layer.dilation;
  }
  m_plan.history_floats = row * residual;
}

void PackedWaveNet::pack_ends(const WaveNetTensors& tensors) {
  m_plan.out = pack(tensors.out, m_shape.hidden, m_shape.skip, false);
  m_plan.end = pack(tensors.end, m_shape.outputs, m_shape.hidden, false);
  m_plan.skip_bias = pad(tensors.skip_bias, 1, m_shape.skip);
  m_plan.out_bias = pad(tensors.out_bias, 1, m_shape.hidden);
  m_plan.end_bias = pad(tensors.end_bias, 1, m_shape.outputs);
  const int rows = m_shape.output == WaveNetOutput::Categorical ? m_shape.outputs : 1;
  m_plan.input_previous = pad(tensors.input_previous, rows, m_shape.residual);
  m_plan.input_current = pad(tensors.input_current, rows, m_shape.residual);
  m_plan.input_bias = tensors.input_bias ? pad(tensors.input_bias, 1, m_shape.residual) : nullptr;
}

std::byte* PackedWaveNet::take(std::size_t size) noexcept {
  std::byte* place = m_bytes.data() + m_taken;
  m_taken += round_up_bytes(size);
  return place;
}

MatrixPlan PackedWaveNet::pack(const float* weights, int rows, int columns, bool gated) {
  MatrixPlan matrix{};
  matrix.vectors = gated ? 2 * padded(rows / 2) / m_lanes : padded(rows) / m_lanes;
  matrix.groups = round_up(columns, m_format.input_multiple) / m_format.group_inputs;
  const bool scaled = bytes_of(m_format.code) == 1;
  const std::size_t outputs = product(static_cast<std::size_t>(m_lanes), matrix.vectors);
  auto* scale = reinterpret_cast<float*>(take(scaled ? sizeof(float) * outputs : 0));
  std::byte* to =
      take(product(outputs, matrix.groups * m_format.group_inputs * bytes_of(m_format.code)));
  matrix.scale = scale;
  matrix.data = to;
  const auto row_at = [&](int v, int lane) {
    const int row = row_of(v, lane, m_lanes, rows, gated);
    return row < 0 ? nullptr : weights + product(static_cast<std::size_t>(row), columns);
  };
  if (scaled)
    for (int i = 0; i < matrix.vectors * m_lanes; ++i)
      if (const float* row = row_at(i / m_lanes, i % m_lanes))
        scale[i] = int8_scale(row, columns);
  for (int first = 0; first < matrix.vectors; first += kTileVectors)
    for (int g = 0; g < matrix.groups; ++g)
      for (int v = first; v < std::min(first + kTileVectors, matrix.vectors); ++v)
        for (int lane = 0; lane < m_lanes; ++lane)
          for (int i = g * m_format.group_inputs; i < (g + 1) * m_format.group_inputs; ++i) {
            const float* row = row_at(v, lane);
            const float value = row && i < columns ? row[i] : 0.0f;
            write_weight(to, m_format.code, value, scaled ? scale[v * m_lanes + lane] : 1.0f);
          }
  return matrix;
}

const float* PackedWaveNet::pad(const float* values, int rows, int columns) {
  const std::size_t stride = static_cast<std::size_t>(padded(columns));
  auto* to =
      reinterpret_cast<float*>(take(sizeof(float) * stride * static_cast<std::size_t>(rows)));
  for (int r = 0; r < rows; ++r)
    std::copy_n(values + product(static_cast<std::size_t>(r), columns), columns,
                to + product(stride, r));
  return to;
}

std::size_t PackedWaveNet::matrix_size(int rows, int columns) const noexcept {
  const auto outputs = static_cast<std::size_t>(padded(rows));
  const int inputs = round_up(columns, m_format.input_multiple);
  const std::size_t scale =
      bytes_of(m_format.code) == 1 ? round_up_bytes(sizeof(float) * outputs) : 0;
  return scale + round_up_bytes(product(product(outputs, inputs), bytes_of(m_format.code)));
}

std::size_t PackedWaveNet::packed_size() const noexcept {
  const int residual = m_shape.residual;
  const auto row = [&](int channels) {
    return round_up_bytes(sizeof(float) * static_cast<std::size_t>(padded(channels)));
  };
  const int gated = 2 * padded(residual);
  const std::size_t layer = 2 * matrix_size(gated, residual) + matrix_size(residual, residual) +
                            matrix_size(m_shape.skip, residual) + row(residual);
  const int classes = m_shape.output == WaveNetOutput::Categorical ? m_shape.outputs : 1;
  return layer * m_shape.dilations.size() + matrix_size(m_shape.hidden, m_shape.skip) +
         matrix_size(m_shape.outputs, m_shape.hidden) + row(m_shape.skip) + row(m_shape.hidden) +
         row(m_shape.outputs) + row(residual) + 2 * product(row(residual), classes);
}

namespace {

// The largest power of two within the dilation and `most`: then frame blocks nest.
int past_frames_of(int dilation, int most) noexcept {
  int frames = 1;
  while (2 * frames <= std::min(dilation, most))
    frames *= 2;
  return frames;
}

} // namespace

double PackedWaveNet::bytes_per_frame() const noexcept {
  const auto size = [&](int rows, int columns) {
    return static_cast<double>(matrix_size(rows, columns));
  };
  const int residual = m_shape.residual, gated = 2 * padded(residual);
  double bytes = size(m_shape.hidden, m_shape.skip) + size(m_shape.outputs, m_shape.hidden);
  for (const int dilation : m_shape.dilations)
    bytes += size(gated, residual) * (1.0 + 1.0 / past_frames_of(dilation, kMaxPastFrames)) +
             size(residual, residual) + size(m_shape.skip, residual);
  return bytes - size(residual, residual); // the last layer's residual is not asked for
}

// ---- scratch ------------------------------------------------------------------------------------

SampleWorkspace::SampleWorkspace(const PackedWaveNet& model, int batch) : m_batch(batch) {
  const SamplePlan& plan = model.plan();
  // Streams share the weights as frames do: with many, one frame at a time is enough.
  m_frames_at_once = past_frames_of(kMaxPastFrames / std::max(batch, 1), kMaxPastFrames);
  const auto columns = static_cast<std::size_t>(std::max(batch, 1));
  const std::size_t gated = 2 * static_cast<std::size_t>(plan.residual_padded);
  const int widest = std::max({plan.residual_padded, plan.skip_padded, plan.hidden_padded});
  const WeightFormat& format = model.format();
  const int groups = round_up(widest, format.input_multiple) / format.group_inputs;
  const int stride = round_up(groups * format.group_words + 1, 16);
  // Two passes over the same requests: the first one only adds up their sizes.
  std::size_t used = 0;
  float* memory = nullptr;
  const auto floats = [&](std::size_t count) {
    float* place = memory ? memory + used : nullptr;
    used += (count + 15) / 16 * 16;
    return place;
  };
  const auto activations = [&](std::size_t most) {
    auto* words = reinterpret_cast<std::uint32_t*>(floats(product(most, stride)));
    return ActivationColumns{words, floats(most), stride};
  };
  m_slots.resize(columns * static_cast<std::size_t>(plan.layer_count));
  m_layers.resize(static_cast<std::size_t>(plan.layer_count));
  for (int pass = 0; pass < 2; ++pass) {
    used = 0;
    m_work.x = floats(columns * static_cast<std::size_t>(plan.residual_padded));
    m_work.hidden = floats(
        columns * static_cast<std::size_t>(std::max(plan.hidden_padded, plan.residual_padded)));
    m_work.skip = floats(columns * static_cast<std::size_t>(plan.skip_padded));
    m_work.logits = floats(columns * static_cast<std::size_t>(plan.outputs_padded));
    m_work.row = floats(static_cast<std::size_t>(plan.residual_padded));
    m_work.past = activations(product(columns, m_frames_at_once));
    m_work.input = activations(columns);
    m_work.gated = activations(columns);
    m_work.head = activations(columns);
    m_uniforms = floats(product(4 * columns, m_frames_at_once));
    float* shared = floats(columns * gated); // by the layers that keep nothing for the next frame
    for (std::size_t l = 0; l < m_layers.size(); ++l) {
      const int frames = past_frames_of(plan.layers[l].dilation, m_frames_at_once);
      m_layers[l] = {frames > 1 ? floats(product(columns * gated, frames)) : shared, frames};
    }
    if (pass == 0) {
      m_memory = bunraku::AlignedBuffer(used);
      memory = m_memory.data();
    }
  }
  m_work.layers = m_layers.data();
  m_work.slots = m_slots.data();
}

// ---- sampling -----------------------------------------------------------------------------------

namespace {

void find_slots(const SamplePlan& plan, const SampleWork& work,
                const SampleRequest& request) noexcept {
  for (int b = 0; b < request.batch; ++b)
    for (int l = 0; l < plan.layer_count; ++l) {
      const std::int64_t dilation = plan.layers[l].dilation;
      const std::int64_t slot = request.time[b] % dilation;
      work.slots[b * plan.layer_count + l] = static_cast<int>(slot < 0 ? slot + dilation : slot);
    }
}

void draw_uniforms(const SampleRequest& request, std::int64_t first, int count,
                   float* to) noexcept {
  const auto low = [](std::uint64_t v) { return static_cast<std::uint32_t>(v); };
  const auto high = [](std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); };
  for (int i = 0; i < count; ++i)
    for (int b = 0; b < request.batch; ++b) {
      const auto t = static_cast<std::uint64_t>(request.time[b] + first + i);
      const auto stream = static_cast<std::uint64_t>(request.stream[b]);
      const bunraku::UInt32x4 word = bunraku::philox4x32_10(
          {low(t), high(t), low(stream), 0}, {low(request.seed), high(request.seed)});
      *to++ = bunraku::unit_open(word.x);
      *to++ = bunraku::unit_open(word.y);
      *to++ = bunraku::unit_open(word.z);
      *to++ = bunraku::unit_open(word.w);
    }
}

} // namespace

void run_wavenet(const PackedWaveNet& model, SampleWorkspace& workspace,
                 const SampleRequest& request) noexcept {
  const bunraku::DenormalsOff denormals_off;
  const SamplePlan& plan = model.plan();
  find_slots(plan, workspace.work(), request);
  const int at_once = workspace.frames_at_once();
  for (std::int64_t first = 0; first < request.frames; first += at_once) {
    const int count = static_cast<int>(std::min<std::int64_t>(at_once, request.frames - first));
    draw_uniforms(request, first, count, workspace.uniforms());
    const SampleCall call{request.condition,
                          request.history,
                          request.last,
                          workspace.uniforms(),
                          request.samples,
                          request.log_likelihood,
                          request.frames,
                          first,
                          count,
                          request.batch,
                          request.temperature};
    model.run()(plan, workspace.work(), call);
  }
  for (int b = 0; b < request.batch; ++b)
    request.time[b] += request.frames;
}

} // namespace bunraku_kernels
