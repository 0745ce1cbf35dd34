// What a block keeps in shared memory for the whole launch, and how it gets there.
#pragma once

#include "cuda/warp.cuh"
#include "wavenet_sample/cuda/block.cuh"

namespace bunraku_kernels {

template <class Weight, int kStreams, class Transport>
template <class T>
__device__ void SampleBlock<Weight, kStreams, Transport>::copy(T* to, const T* from, int count) {
  for (int i = thread_rank(); i < count; i += block_threads())
    to[i] = from[i];
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::load_layers(const Resident& kept,
                                                                      const SampleMatrix& matrix,
                                                                      int offset) {
  for (int layer = 0; layer < kept.count; ++layer)
    copy(shared<uint4>(kept.at + layer * matrix.bytes()),
         vectors(static_cast<std::int64_t>(m_first_layer + layer) * m_layout.layer_bytes + offset),
         matrix.bytes() / kVectorBytes);
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::load_rows(const Resident& kept,
                                                                    const SampleMatrix& matrix,
                                                                    std::int64_t offset, int first,
                                                                    int rows) {
  const int runs = kept.count > 0 ? matrix.chunks * matrix.planes : 0;
  for (int chunk = 0; chunk < runs; ++chunk)
    copy(shared<uint4>(kept.at) + chunk * rows * matrix.parts,
         vectors(offset) + (chunk * matrix.rows + first) * matrix.parts, rows * matrix.parts);
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::load_weights() {
  const Partition& p = m_plan.partition;
  load_layers(m_map.current, m_layout.current, 0);
  load_layers(m_map.residual, m_layout.residual, m_layout.residual_at);
  load_layers(m_map.skip, m_layout.skip, m_layout.skip_at);
  load_layers(m_map.past_weights, m_layout.past, m_layout.past_at);
  load_rows(m_map.out, m_layout.out, m_layout.out_at, p.out[m_rank], p.out_rows(m_rank));
  load_rows(m_map.end, m_layout.end, m_layout.end_at, p.end[m_rank], p.end_rows(m_rank));
}

// Of this block's rows of each plane.
template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::load_bias(int to, std::int64_t from,
                                                                    const SampleMatrix& matrix,
                                                                    const int* bounds,
                                                                    int channels) {
  const int first = bounds[m_rank], rows = bounds[m_rank + 1] - first;
  for (int plane = 0; plane < kOutputPlanes; ++plane) {
    const int channel = plane * matrix.rows + first;
    copy(shared<float>(to) + plane * rows, floats(from) + channel, min(rows, channels - channel));
  }
}

template <class Weight, int kStreams, class Transport>
__device__ void SampleBlock<Weight, kStreams, Transport>::load_state() {
  for (int i = thread_rank(); i < m_count * m_layers; i += block_threads())
    shared<int>(m_map.slot)[i] =
        static_cast<int>(m_a.time[m_first_stream + i / m_layers] %
                         static_cast<std::int64_t>(dilation(i % m_layers)));
  if (m_rank != 0)
    return;
  for (int i = thread_rank(); i < m_count; i += block_threads()) {
    const int b = m_first_stream + i;
    shared<float>(m_map.last)[2 * i] = m_a.last[2 * b];
    shared<float>(m_map.last)[2 * i + 1] = m_a.last[2 * b + 1];
    shared<std::int64_t>(m_map.time)[i] = m_a.time[b];
  }
}

} // namespace bunraku_kernels
