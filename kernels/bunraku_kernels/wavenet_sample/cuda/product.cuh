// Rows of a packed matrix times the vectors of a few streams, shared out over a block's threads.
#pragma once

#include "cuda/platform.cuh"
#include "cuda/warp.cuh"
#include "wavenet_sample/cuda/plan.hpp"

namespace bunraku_kernels {

using namespace bunraku::cuda;

// 16 bytes of weights as floats.
template <class Weight> struct WeightVector;

template <> struct WeightVector<float> {
  static constexpr int kLanes = 4;
  static __device__ __forceinline__ void widen(const uint4& bits, float (&to)[kLanes]) {
    to[0] = __uint_as_float(bits.x);
    to[1] = __uint_as_float(bits.y);
    to[2] = __uint_as_float(bits.z);
    to[3] = __uint_as_float(bits.w);
  }
};

template <> struct WeightVector<__nv_bfloat16> {
  static constexpr int kLanes = 8;
  static __device__ __forceinline__ void widen(const uint4& bits, float (&to)[kLanes]) {
    const unsigned words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      to[2 * i] = __uint_as_float(words[i] << 16); // a bfloat16 is the upper half of its float
      to[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
  }
};

// Calls body(item, row, part, inside) for the rows of a plane: `item` = row * parts + part is the
// thread's vector of each chunk. Whole warps go through, so body may exchange within the warp;
// where `inside` is false the row is another thread's and the result is to be dropped.
template <class Body>
__device__ __forceinline__ void for_each_row(int rows, int parts, Body&& body) {
  const int items = rows * parts, shift = 31 - __clz(parts);
  for (int first = warp_index() * warp_lanes; first < items; first += block_threads()) {
    const int item = first + lane_index();
    const bool inside = item < items;
    const int held = inside ? item : items - 1;
    body(held, held >> shift, held & (parts - 1), inside);
  }
}

// sum[plane][stream] += this thread's part of its rows times x. `weights`: the thread's vector of
// chunk 0, plane 0; `x`: the streams' vectors, padded to what the matrix reads.
template <class Weight, int kPlanes, int kStreams>
__device__ __forceinline__ void add_part(float (&sum)[kPlanes][kStreams], const uint4* weights,
                                         int plane_vectors, const SampleMatrix& matrix, int part,
                                         const float* x, int x_stride) {
  constexpr int lanes = WeightVector<Weight>::kLanes;
// Few streams leave registers for two chunks under way.
#pragma unroll(kStreams == 1 ? 2 : 1)
  for (int chunk = 0; chunk < matrix.chunks; ++chunk) {
    float w[kPlanes][lanes];
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane)
      WeightVector<Weight>::widen(weights[(chunk * kPlanes + plane) * plane_vectors], w[plane]);
    const float* column = x + sample_column(matrix, lanes, chunk, part, 0);
#pragma unroll
    for (int s = 0; s < kStreams; ++s)
#pragma unroll
      for (int quad = 0; quad < lanes; quad += 4) {
        const float4 v =
            *reinterpret_cast<const float4*>(column + s * x_stride + quad * matrix.parts);
#pragma unroll
        for (int plane = 0; plane < kPlanes; ++plane) {
          sum[plane][s] = fmaf(w[plane][quad], v.x, sum[plane][s]);
          sum[plane][s] = fmaf(w[plane][quad + 1], v.y, sum[plane][s]);
          sum[plane][s] = fmaf(w[plane][quad + 2], v.z, sum[plane][s]);
          sum[plane][s] = fmaf(w[plane][quad + 3], v.w, sum[plane][s]);
        }
      }
  }
}

// The sum over the threads that share a row, in each of them.
template <int kPlanes, int kStreams>
__device__ __forceinline__ void join_parts(float (&sum)[kPlanes][kStreams], int parts) {
  for (int distance = parts / 2; distance > 0; distance /= 2)
#pragma unroll
    for (int plane = 0; plane < kPlanes; ++plane)
#pragma unroll
      for (int s = 0; s < kStreams; ++s)
        sum[plane][s] += __shfl_xor_sync(full_warp, sum[plane][s], distance);
}

// store(plane, values by stream) for the sums that join_parts made, each by one of the threads that
// share the row.
template <int kPlanes, int kStreams, class Store>
__device__ __forceinline__ void for_each_plane(const float (&sum)[kPlanes][kStreams], int parts,
                                               int part, bool inside, Store&& store) {
  for (int plane = inside ? part : kPlanes; plane < kPlanes; plane += parts) {
    float value[kStreams];
#pragma unroll
    for (int s = 0; s < kStreams; ++s) {
      value[s] = sum[0][s];
#pragma unroll
      for (int other = 1; other < kPlanes; ++other) // registers have no index
        value[s] = plane == other ? sum[other][s] : value[s];
    }
    store(plane, value);
  }
}

} // namespace bunraku_kernels
