#include "general_conv.hpp"

namespace bunraku {
namespace {

// 4 outputs x Width frames stay in registers while all inputs and taps are summed into them.
template <int Width>
void tile(const float* weights, const float* biases, const float* const* taps, int tap_count,
          int in_count, std::size_t in_offset, std::size_t channel_stride, float* const* out,
          int lanes, int frame) noexcept {
  float sum0[Width], sum1[Width], sum2[Width], sum3[Width];
  for (int i = 0; i < Width; ++i) {
    sum0[i] = biases[0];
    sum1[i] = biases[1];
    sum2[i] = biases[2];
    sum3[i] = biases[3];
  }
  for (int channel = 0; channel < in_count; ++channel) {
    const std::size_t offset = in_offset + static_cast<std::size_t>(channel) * channel_stride +
                               static_cast<std::size_t>(frame);
    for (int tap = 0; tap < tap_count; ++tap, weights += 4) {
      const float* x = taps[tap] + offset;
      for (int i = 0; i < Width; ++i) {
        sum0[i] += weights[0] * x[i];
        sum1[i] += weights[1] * x[i];
        sum2[i] += weights[2] * x[i];
        sum3[i] += weights[3] * x[i];
      }
    }
  }
  const float* sums[4] = {sum0, sum1, sum2, sum3};
  for (int lane = 0; lane < lanes; ++lane)
    for (int i = 0; i < Width; ++i)
      out[lane][frame + i] = sums[lane][i];
}

} // namespace

GeneralConv::GeneralConv(const ConvShape& shape, WeightCursor& weights)
    : m_shape(shape), m_in_per_group(shape.in_channels / shape.groups),
      m_out_per_group(shape.out_channels / shape.groups) {
  const int blocks = (m_out_per_group + kLanes - 1) / kLanes;
  const std::size_t block_size = static_cast<std::size_t>(m_in_per_group * shape.taps * kLanes);
  m_weights.assign(static_cast<std::size_t>(shape.groups * blocks) * block_size, 0.0f);
  m_biases.assign(static_cast<std::size_t>(shape.groups * blocks * kLanes), 0.0f);
  for (int group = 0; group < shape.groups; ++group)
    for (int out = 0; out < m_out_per_group; ++out) {
      float* block =
          m_weights.data() + static_cast<std::size_t>(group * blocks + out / kLanes) * block_size;
      for (int i = 0; i < m_in_per_group * shape.taps; ++i)
        block[i * kLanes + out % kLanes] = weights.next();
    }
  if (shape.bias)
    for (int group = 0; group < shape.groups; ++group)
      for (int out = 0; out < m_out_per_group; ++out)
        m_biases[static_cast<std::size_t>(group * blocks * kLanes + out)] = weights.next();
}

void GeneralConv::fold(const std::vector<float>& scale, const std::vector<float>& shift) {
  const int blocks = (m_out_per_group + kLanes - 1) / kLanes;
  const int taps = m_in_per_group * m_shape.taps;
  for (int channel = 0; channel < m_shape.out_channels; ++channel) {
    const int out = channel % m_out_per_group;
    const int block = channel / m_out_per_group * blocks + out / kLanes;
    const int lane = out % kLanes;
    const auto c = static_cast<std::size_t>(channel);
    for (int i = 0; i < taps; ++i)
      m_weights[static_cast<std::size_t>((block * taps + i) * kLanes + lane)] *= scale[c];
    float& bias = m_biases[static_cast<std::size_t>(block * kLanes + lane)];
    bias = bias * scale[c] + shift[c];
  }
}

void GeneralConv::apply(const float* in, float* out, int frames) const noexcept {
  run(&in, kChunkFrames, out, frames);
}

void GeneralConv::apply(const History& in, float* out, int frames) const noexcept {
  const float* taps[256]; // the reader's limit on a kernel
  for (int tap = 0; tap < m_shape.taps; ++tap)
    taps[tap] = in.read(m_shape.dilation * (m_shape.taps - 1 - tap));
  run(taps, in.stride(), out, frames);
}

void GeneralConv::run(const float* const* taps, std::size_t channel_stride, float* out,
                      int frames) const noexcept {
  const float* weights = m_weights.data();
  const float* biases = m_biases.data();
  const int block_size = m_in_per_group * m_shape.taps * kLanes;
  for (int group = 0; group < m_shape.groups; ++group) {
    const std::size_t in_offset = static_cast<std::size_t>(group * m_in_per_group) * channel_stride;
    for (int first = 0; first < m_out_per_group; first += kLanes) {
      const int lanes = std::min(kLanes, m_out_per_group - first);
      float* planes[kLanes] = {};
      for (int lane = 0; lane < lanes; ++lane)
        planes[lane] =
            out + static_cast<std::size_t>(group * m_out_per_group + first + lane) * kChunkFrames;
      int frame = 0;
      for (; frame + 8 <= frames; frame += 8)
        tile<8>(weights, biases, taps, m_shape.taps, m_in_per_group, in_offset, channel_stride,
                planes, lanes, frame);
      for (; frame < frames; ++frame)
        tile<1>(weights, biases, taps, m_shape.taps, m_in_per_group, in_offset, channel_stride,
                planes, lanes, frame);
      weights += block_size;
      biases += kLanes;
    }
  }
}

} // namespace bunraku
