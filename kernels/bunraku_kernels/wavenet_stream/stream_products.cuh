// Products of a warp's tile: a lane computes a quad of output channels for several frames.
#pragma once

#include "cuda/platform.cuh"
#include "wavenet_stream/stream_warp.cuh"

namespace bunraku_kernels::wavenet_stream_detail {

__device__ __forceinline__ void add_product(float4& sum, float x, float4 w) {
  sum.x = fmaf(x, w.x, sum.x);
  sum.y = fmaf(x, w.y, sum.y);
  sum.z = fmaf(x, w.z, sum.z);
  sum.w = fmaf(x, w.w, sum.w);
}

__device__ __forceinline__ float4 sum_of(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

// The outputs of one lane: a quad of channels, at every kGroups-th frame.
template <int kQuads, int kTile> struct Share {
  static constexpr int kGroups = kLanes / kQuads;
  static constexpr int kRows = (kTile + kGroups - 1) / kGroups;
  int quad;
  int group;
  int frames;
  bool works; // three quads leave two lanes over

  __device__ Share(int lane, int tile_frames)
      : quad(lane % kQuads), group(lane / kQuads), frames(tile_frames),
        works(lane < kQuads * kGroups) {}
  // A lane without a frame to compute reads that of another.
  __device__ int row(int j) const { return min(group + j * kGroups, frames - 1); }
  __device__ bool owns(int j) const { return works && group + j * kGroups < frames; }
};

// sum[j] += matrix^T shared[rows[j]]; `matrix` is [4 * in_quads][out_floats] from this lane's quad
// on.
template <int kRows>
__device__ __forceinline__ void accumulate(float4 (&sum)[kRows], const float* shared,
                                           const int (&rows)[kRows], const float* matrix,
                                           int in_quads, int out_floats) {
#pragma unroll
  for (int in = 0; in < in_quads; ++in) {
    const float* w = matrix + 4 * in * out_floats;
    const float4 w0 = load(w), w1 = load(w + out_floats);
    const float4 w2 = load(w + 2 * out_floats), w3 = load(w + 3 * out_floats);
#pragma unroll
    for (int j = 0; j < kRows; ++j) {
      const float4 x = load(shared + rows[j] + 4 * in);
      add_product(sum[j], x.x, w0);
      add_product(sum[j], x.y, w1);
      add_product(sum[j], x.z, w2);
      add_product(sum[j], x.w, w3);
    }
  }
}

template <int kRows>
__device__ __forceinline__ void set_all(float4 (&values)[kRows], float4 value) {
#pragma unroll
  for (int j = 0; j < kRows; ++j)
    values[j] = value;
}

// sum += the convolution of the tile at `now`, whose history comes from the segments. in_quads is
// conv.quads, as a constant where the caller has one.
template <int kQuads, int kTile>
__device__ __forceinline__ void convolve(Warp& warp, const Share<kQuads, kTile>& share,
                                         const WaveNetConvEntry& conv, int now, int in_quads,
                                         float4 (&sum)[Share<kQuads, kTile>::kRows]) {
  constexpr int rows_of_lane = Share<kQuads, kTile>::kRows, out_floats = 4 * kQuads;
  const int row_step = row_floats(in_quads), tap_floats = 4 * in_quads * out_floats;
  const float* matrix = warp.weights + conv.weights + 4 * share.quad;
  int rows[rows_of_lane];
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j)
    rows[j] = now + share.row(j) * row_step;
  accumulate(sum, warp.shared, rows, matrix, in_quads, out_floats);
  const bool whole = conv.lookback <= kSegmentRows;
  for (int tap = 1; tap < conv.taps;) {
    const int segment = warp.await();
    const int end = whole ? conv.taps : tap + 1;
    const int begins = whole ? conv.lookback : tap * conv.dilation; // frames before the tile
    for (; tap < end; ++tap) {
      const int distance = tap * conv.dilation;
#pragma unroll
      for (int j = 0; j < rows_of_lane; ++j) {
        const int row = share.row(j) - distance;
        rows[j] = row < 0 ? segment + (row + begins) * row_step : now + row * row_step;
      }
      accumulate(sum, warp.shared, rows, matrix + tap * tap_floats, in_quads, out_floats);
    }
    warp.release();
  }
}

} // namespace bunraku_kernels::wavenet_stream_detail
