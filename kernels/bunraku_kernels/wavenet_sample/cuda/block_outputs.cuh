// The output stage: two matrices, whose rows lie with several blocks, and the choice of a sample.
#pragma once

#include "wavenet_sample/cuda/block.cuh"
#include "wavenet_sample/cuda/choice.cuh"
#include "wavenet_sample/cuda/product.cuh"

namespace bunraku_kernels {

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::output_stage(const Item& item) {
  const Partition& p = m_plan.partition;
  if (p.out_rows(m_rank) > 0)
    multiply_out(item);
  if (p.end_rows(m_rank) > 0)
    multiply_end(item);
  if (m_rank == 0)
    choose(item);
}

// A group's vectors, from the inbox or, where that is far, copied near.
template <class Weight, int kStreams, class Transport>
__device__ const float* SampleBlock<Weight, kStreams, Transport>::near(const float* arrived,
                                                                       int stride) {
  if (Transport::kSharedInbox)
    return arrived;
  copy(shared<float>(m_map.stage), arrived, kStreams * stride);
  __syncthreads();
  return shared<float>(m_map.stage);
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::multiply_out(const Item& item) {
  const SampleMatrix& m = m_layout.out;
  const Partition& p = m_plan.partition;
  const int first = p.out[m_rank], rows = p.out_rows(m_rank), stride = m_layout.skip_stride;
  wait(m_inbox_map.sum_flag + item.g, item.t + 1);
  const float* x = near(m_inbox + m_inbox_map.sum + item.g * kStreams * stride, stride);
  multiply_rows(m_map.out, m, m_layout.out_at, first, rows, x, stride,
                shared<float>(m_map.out_bias), [&](int s, int channel, float value) {
                  const int slot = item.g * kStreams + s;
                  if (channel < m_shape.hidden)
                    send_to_rows(p.end,
                                 m_inbox_map.hidden + slot * m_layout.hidden_stride + channel,
                                 fmaxf(value, 0.0f));
                });
  __syncthreads();
  release_to_rows(p.end, m_inbox_map.hidden_flag + item.g * m_blocks + m_rank, item.t + 1);
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::multiply_end(const Item& item) {
  const SampleMatrix& m = m_layout.end;
  const Partition& p = m_plan.partition;
  const int first = p.end[m_rank], rows = p.end_rows(m_rank), stride = m_layout.hidden_stride;
  wait_for_rows(m_inbox_map.hidden_flag + item.g * m_blocks, p.out, item.t + 1);
  const float* x = near(m_inbox + m_inbox_map.hidden + item.g * kStreams * stride, stride);
  float* logits = inbox_of(0) + m_inbox_map.logits;
  multiply_rows(m_map.end, m, m_layout.end_at, first, rows, x, stride,
                shared<float>(m_map.end_bias), [&](int s, int channel, float value) {
                  if (channel < m_shape.outputs)
                    logits[(item.g * kStreams + s) * m_shape.outputs + channel] = value;
                });
  __syncthreads();
  if (thread_rank() == 0)
    release(0, m_inbox_map.logits_flag + item.g * m_blocks + m_rank, item.t + 1);
}

template <class Weight, int kStreams, class Transport>
template <class Store>
__device__ __forceinline__ void SampleBlock<Weight, kStreams, Transport>::multiply_rows(
    const Resident& kept, const SampleMatrix& m, std::int64_t offset, int first, int rows,
    const float* x, int stride, const float* bias, Store&& store) {
  const bool is_kept = kept.count > 0;
  const uint4* weights = is_kept ? shared<const uint4>(kept.at) : vectors(offset) + first * m.parts;
  const int plane_vectors = m.plane_vectors(is_kept ? rows : m.rows);
  for_each_row(rows, m.parts, [&](int at, int r, int part, bool inside) {
    float sum[kOutputPlanes][kStreams] = {};
    add_part<Weight>(sum, weights + at, plane_vectors, m, part, x, stride);
    join_parts(sum, m.parts);
    for_each_plane(sum, m.parts, part, inside, [&](int plane, const float (&value)[kStreams]) {
#pragma unroll
      for (int s = 0; s < kStreams; ++s)
        store(s, plane * m.rows + first + r, bias[plane * rows + r] + value[s]);
    });
  });
}

// A warp for each stream of the group.
template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::choose(const Item& item) {
  wait_for_rows(m_inbox_map.logits_flag + item.g * m_blocks, m_plan.partition.end, item.t + 1);
  for (int s = warp_index(); s < kStreams; s += block_threads() / warp_lanes) {
    const int slot = item.g * kStreams + s;
    if (!is_real(item.g, s))
      continue;
    const int b = m_first_stream + slot;
    const auto kind = static_cast<WaveNetOutput>(m_a.distribution);
    const float y = choose_sample(kind, m_inbox + m_inbox_map.logits + slot * m_shape.outputs,
                                  m_shape.outputs, m_a.temperature, m_a.seed,
                                  shared<std::int64_t>(m_map.time)[slot] + item.t, m_a.stream[b]);
    if (lane_index() == 0)
      store_sample(slot, static_cast<std::int64_t>(b) * m_a.frames + item.t, y);
  }
  __syncthreads();
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::store_sample(int slot, std::int64_t at,
                                                                       float y) {
  float* last = shared<float>(m_map.last) + 2 * slot;
  last[0] = last[1];
  last[1] = y;
  if (m_shape.classes > 0)
    static_cast<int*>(m_a.samples)[at] = static_cast<int>(y);
  else
    static_cast<float*>(m_a.samples)[at] = y;
}

} // namespace bunraku_kernels
