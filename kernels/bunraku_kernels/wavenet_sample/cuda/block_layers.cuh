// A group's sample through the layers of a block: products with what is current, then, off the
// critical path, the history, the skip sum and the products with past inputs.
#pragma once

#include "cuda/async_copy.cuh"
#include "wavenet_sample/cuda/block.cuh"
#include "wavenet_sample/cuda/product.cuh"

namespace bunraku_kernels {

// tanh(a) * sigmoid(b) by two exponentials and one division.
__device__ __forceinline__ float gated(float a, float b) {
  const float decay = __expf(-2.0f * fabsf(a));
  const float closing = __expf(b < -80.0f ? 80.0f : -b); // keeps the product below finite
  return copysignf(__fdividef(1.0f - decay, (1.0f + decay) * (1.0f + closing)), a);
}

// What a group's first past products need out of the history.
template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::recall(const Item& item) {
  for_each_value([&](int layer, int s, int r) {
    const int d = dilation(layer);
    row(m_map.past, layer)[s * m_layout.residual_stride + r] =
        history(stream_of(item.g, s), layer, slot(item.g, s, layer, item.t, d))[r];
  });
  __syncthreads();
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::pass_layers(const Item& item) {
  const float* first = receive(item);
  for (int layer = 0; layer < m_layers; ++layer) {
    const float* x = layer == 0 ? first : row(m_map.x, layer);
    multiply_current(item, layer, x);
    __syncthreads();
    if (m_first_layer + layer + 1 < m_shape.layers)
      add_residual(item, layer, x);
  }
  remember(item, first);
  add_skip(item);
}

template <class Weight, int kStreams, class Transport>
__device__ const float* SampleBlock<Weight, kStreams, Transport>::receive(const Item& item) {
  float* x = row(m_map.x, 0);
  if (m_rank == 0) {
    embed(item, x);
    __syncthreads();
    return x;
  }
  wait(m_inbox_map.x_flag + item.g, item.t + 1);
  const int size = kStreams * m_layout.residual_stride;
  const float* arrived = m_inbox + m_inbox_map.x + item.g * size;
  if (Transport::kSharedInbox)
    return arrived;
  copy(x, arrived, size);
  __syncthreads();
  return x;
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::embed(const Item& item, float* x) const {
  const int channels = m_shape.residual;
  const float* previous = floats(m_layout.input_previous_at);
  const float* current = floats(m_layout.input_current_at);
  for (int i = thread_rank(); i < kStreams * channels; i += block_threads()) {
    const int s = i / channels, r = i % channels;
    const float* last = shared<float>(m_map.last) + 2 * min(item.g * kStreams + s, m_count - 1);
    float value;
    if (m_shape.classes > 0)
      value = __ldg(previous + code(last[0]) * channels + r) +
              __ldg(current + code(last[1]) * channels + r);
    else
      value = fmaf(last[1], __ldg(current + r),
                   fmaf(last[0], __ldg(previous + r), __ldg(floats(m_layout.input_bias_at) + r)));
    x[s * m_layout.residual_stride + r] = value;
  }
}

template <class Weight, int kStreams, class Transport>
__device__ int SampleBlock<Weight, kStreams, Transport>::code(float y) const {
  return static_cast<int>(fminf(fmaxf(y, 0.0f), static_cast<float>(m_shape.classes - 1)));
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::multiply_current(const Item& item,
                                                                           int layer,
                                                                           const float* x) {
  const SampleMatrix& m = m_layout.current;
  float* h = row(m_map.h, layer);
  with_layer(m_map.current, m, 0, layer, [&](const uint4* weights) {
    for_each_row(m.rows, m.parts, [&](int at, int r, int part, bool inside) {
      float z[kGatedPlanes][kStreams] = {};
      add_part<Weight>(z, weights + at, m.plane_vectors(m.rows), m, part, x,
                       m_layout.residual_stride);
      join_parts(z, m.parts);
      for (int half = inside ? part : 2; half < 2; half += m.parts) {
        const int channel = half * m.rows + r;
        if (channel < m_shape.residual)
#pragma unroll
          for (int s = 0; s < kStreams; ++s) {
            const float* before = past_sum(item.g, s, layer) + channel;
            h[s * m_layout.residual_stride + channel] =
                gated((half == 0 ? z[0][s] : z[1][s]) + before[0],
                      (half == 0 ? z[2][s] : z[3][s]) + before[m_shape.residual]);
          }
      }
    });
  });
}

// The next layer's input, which the next block gets where it owns that layer.
template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::add_residual(const Item& item, int layer,
                                                                       const float* x) {
  const SampleMatrix& m = m_layout.residual;
  const bool hands_over = layer + 1 == m_layers;
  const int stride = m_layout.residual_stride;
  const float* h = row(m_map.h, layer);
  const float* bias = shared<float>(m_map.residual_bias) + layer * m_shape.residual;
  float* next = hands_over ? inbox_of(m_rank + 1) + m_inbox_map.x + item.g * kStreams * stride
                           : row(m_map.x, layer + 1);
  with_layer(m_map.residual, m, m_layout.residual_at, layer, [&](const uint4* weights) {
    for_each_row(m.rows, m.parts, [&](int at, int r, int part, bool inside) {
      float sum[kResidualPlanes][kStreams] = {};
      add_part<Weight>(sum, weights + at, m.plane_vectors(m.rows), m, part, h, stride);
      join_parts(sum, m.parts);
      for_each_plane(sum, m.parts, part, inside, [&](int plane, const float (&value)[kStreams]) {
        const int channel = plane * m.rows + r;
        if (channel < m_shape.residual)
#pragma unroll
          for (int s = 0; s < kStreams; ++s)
            next[s * stride + channel] = x[s * stride + channel] + (bias[channel] + value[s]);
      });
    });
  });
  __syncthreads();
  if (hands_over && thread_rank() == 0)
    release(m_rank + 1, m_inbox_map.x_flag + item.g, item.t + 1);
}

// Layer inputs into the history, and what the next sample's past products need out of it.
template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::remember(const Item& item,
                                                                   const float* first) {
  const bool goes_on = item.t + 1 < m_a.frames;
  for_each_value([&](int layer, int s, int r) {
    const int d = dilation(layer), b = stream_of(item.g, s);
    const int here = slot(item.g, s, layer, item.t, d), next = here + 1 == d ? 0 : here + 1;
    const int at = s * m_layout.residual_stride + r;
    const float x = (layer == 0 ? first : row(m_map.x, layer))[at];
    if (is_real(item.g, s))
      history(b, layer, here)[r] = x;
    if (!goes_on)
      return;
    float* past = row(m_map.past, layer) + at;
    if (d == 1)
      *past = x;
    else
      cp_async4(past, history(b, layer, next) + r);
  });
  cp_async_commit();
}

// The skip sum goes from block to block; behind the last one it goes to all that have rows of the
// first output matrix.
template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::add_skip(const Item& item) {
  if (m_rank > 0)
    wait(m_inbox_map.skip_flag + item.g, item.t + 1);
  const SampleMatrix& m = m_layout.skip;
  for_each_row(m.rows, m.parts, [&](int at, int r, int part, bool inside) {
    float sum[kSkipPlanes][kStreams] = {};
    for (int layer = 0; layer < m_layers; ++layer)
      add_part<Weight>(sum, layer_weights(m_map.skip, m, m_layout.skip_at, layer) + at,
                       m.plane_vectors(m.rows), m, part, row(m_map.h, layer),
                       m_layout.residual_stride);
    join_parts(sum, m.parts);
    for_each_plane(sum, m.parts, part, inside, [&](int plane, const float (&value)[kStreams]) {
      if (plane * m.rows + r < m_shape.skip)
        hand_skip_on(item, plane * m.rows + r, value);
    });
  });
  cp_async_wait<0>(); // of remember()
  __syncthreads();
  release_skip(item);
}

template <class Weight, int kStreams, class Transport>
__device__ void
SampleBlock<Weight, kStreams, Transport>::hand_skip_on(const Item& item, int channel,
                                                       const float (&sum)[kStreams]) {
  const int first = item.g * kStreams;
#pragma unroll
  for (int s = 0; s < kStreams; ++s) {
    const int at = (first + s) * m_shape.skip + channel;
    const float value = sum[s] + (m_rank == 0 ? __ldg(floats(m_layout.skip_bias_at) + channel)
                                              : m_inbox[m_inbox_map.skip + at]);
    if (m_rank < m_plan.partition.chain - 1)
      inbox_of(m_rank + 1)[m_inbox_map.skip + at] = value;
    else
      send_to_rows(m_plan.partition.out,
                   m_inbox_map.sum + (first + s) * m_layout.skip_stride + channel,
                   fmaxf(value, 0.0f));
  }
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::release_skip(const Item& item) {
  if (m_rank == m_plan.partition.chain - 1)
    release_to_rows(m_plan.partition.out, m_inbox_map.sum_flag + item.g, item.t + 1);
  else if (thread_rank() == 0)
    release(m_rank + 1, m_inbox_map.skip_flag + item.g, item.t + 1);
}

// What the layers of an item will add to the products of their current inputs.
template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::multiply_past(const Item& item) {
  const int g = item.g, t = item.t;
  const SampleMatrix& m = m_layout.past;
  const int channels = m_shape.residual;
  for (int layer = 0; layer < m_layers; ++layer) {
    const uint4* weights = layer_weights(m_map.past_weights, m, m_layout.past_at, layer);
    for_each_row(m.rows, m.parts, [&](int at, int r, int part, bool inside) {
      float z[kGatedPlanes][kStreams] = {};
      add_part<Weight>(z, weights + at, m.plane_vectors(m.rows), m, part, row(m_map.past, layer),
                       m_layout.residual_stride);
      join_parts(z, m.parts);
      for_each_plane(z, m.parts, part, inside, [&](int plane, const float (&value)[kStreams]) {
        const int half_channel = plane % 2 * m.rows + r;
        if (half_channel >= channels)
          return;
        const int channel = plane / 2 * channels + half_channel;
#pragma unroll
        for (int s = 0; s < kStreams; ++s) {
          const std::int64_t sample = static_cast<std::int64_t>(stream_of(g, s)) * m_a.frames + t;
          const std::int64_t at_layer = sample * m_shape.layers + m_first_layer + layer;
          past_sum(g, s, layer)[channel] =
              value[s] + __ldg(m_a.condition + at_layer * 2 * channels + channel);
        }
      });
    });
  }
  __syncthreads();
}

} // namespace bunraku_kernels
