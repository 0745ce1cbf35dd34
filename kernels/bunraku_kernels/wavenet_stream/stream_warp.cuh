// A stream in the hands of its warp: where its signal lies in shared memory, and how its history
// comes from device memory and goes back.
#pragma once

#include "cuda/async_copy.cuh"
#include "cuda/platform.cuh"
#include "wavenet_stream/wavenet_stream_launch.hpp"

namespace bunraku_kernels::wavenet_stream_detail {

using bunraku::cuda::cp_async16;
using bunraku::cuda::cp_async_commit;
using bunraku::cuda::cp_async_wait;

constexpr int kLanes = 32;
constexpr int kLongTile = 64;  // frames that a warp takes through the network at once
constexpr int kShortTile = 16; // the same, for short blocks
constexpr int kSegmentRows = kLongTile;
constexpr int kSegments = 2;

// Rows an odd number of quads apart: eight lanes that read one quad of eight frames meet no bank
// twice.
__host__ __device__ constexpr int row_floats(int quads) {
  return 4 * (quads | 1);
}

__host__ __device__ constexpr int whole_quads(int floats) {
  return (floats + 3) / 4 * 4;
}

__host__ __device__ inline int program_ints(int arrays, int convs) {
  return arrays * static_cast<int>(sizeof(WaveNetArrayEntry) / 4) +
         convs * static_cast<int>(sizeof(WaveNetConvEntry) / 4);
}

// Floats of shared memory that one stream needs; its parts begin at these places.
struct StreamShared {
  int signal, hidden, segments, input, starts, floats;
  __host__ __device__ StreamShared(int tile, int quads, int convs) {
    const int row = row_floats(quads);
    signal = 0;
    hidden = signal + tile * row;
    segments = hidden + tile * row;
    input = segments + kSegments * kSegmentRows * row;
    starts = input + tile;
    floats = starts + whole_quads(convs);
  }
};

__device__ __forceinline__ float4 load(const float* quad) {
  return *reinterpret_cast<const float4*>(quad);
}

__device__ __forceinline__ void store(float* quad, float4 value) {
  *reinterpret_cast<float4*>(quad) = value;
}

// A stream in the hands of its warp. Places are floats from `shared`.
struct Warp {
  float* shared;
  const float* weights;
  const WaveNetArrayEntry* arrays;
  const WaveNetConvEntry* convs;
  int conv_count;
  int signal;   // input of the layer, [frame][channel]
  int hidden;   // of the layer behind its activation; between arrays the sum of skips
  int segments; // history on its way
  int segment_floats;
  int input;
  int* starts; // where in each ring the tile begins
  int lane;
  int frames; // of the tile
  float* ring;
  int next_conv; // whose history is fetched next
  int next_tap;
  int fetched; // segment that is filled next
  int used;    // segment that is used next

  __device__ void begin_tile(std::uint64_t position, int tile_frames);
  __device__ void fetch();
  __device__ int await();
  __device__ void release();
  __device__ void remember(int index, int now) const;
};

__device__ inline void Warp::begin_tile(std::uint64_t position, int tile_frames) {
  frames = tile_frames;
  for (int i = lane; i < conv_count; i += kLanes)
    starts[i] = convs[i].lookback == 0 ? 0 : static_cast<int>(position % convs[i].lookback);
  __syncwarp();
  next_conv = fetched = used = 0;
  next_tap = 1;
  for (int i = 0; i < kSegments; ++i)
    fetch();
}

// Starts the copy of the next segment. Also where none is left: so many groups are always under
// way.
__device__ inline void Warp::fetch() {
  while (next_conv < conv_count && convs[next_conv].lookback == 0)
    ++next_conv;
  if (next_conv < conv_count) {
    const WaveNetConvEntry conv = convs[next_conv];
    const bool whole = conv.lookback <= kSegmentRows;
    const int distance = whole ? conv.lookback : next_tap * conv.dilation;
    const int rows = whole ? distance : min(distance, frames);
    const int groups = kLanes / conv.quads, quad = lane % conv.quads;
    const int start = starts[next_conv] - distance, row_step = row_floats(conv.quads);
    float* to = shared + segments + fetched * segment_floats + 4 * quad;
    const float* from = ring + conv.ring + 4 * quad;
    for (int row = lane / conv.quads; row < rows && lane < groups * conv.quads; row += groups) {
      const int place = start + row < 0 ? start + row + conv.lookback : start + row;
      cp_async16(to + row * row_step, from + static_cast<std::int64_t>(place) * 4 * conv.quads);
    }
    ++next_tap;
    if (whole || next_tap == conv.taps) {
      next_tap = 1;
      ++next_conv;
    }
  }
  cp_async_commit();
  fetched = (fetched + 1) % kSegments;
}

// The place of the oldest segment, once it is there.
__device__ inline int Warp::await() {
  cp_async_wait<kSegments - 1>();
  __syncwarp();
  return segments + used * segment_floats;
}

__device__ inline void Warp::release() {
  __syncwarp();
  used = (used + 1) % kSegments;
  fetch();
}

// The tile's input of a convolution joins its history, of which all has been fetched before.
__device__ inline void Warp::remember(int index, int now) const {
  const WaveNetConvEntry conv = convs[index];
  if (conv.lookback == 0)
    return;
  const int groups = kLanes / conv.quads, quad = lane % conv.quads;
  if (lane >= groups * conv.quads)
    return;
  float* to = ring + conv.ring + 4 * quad;
  const float* from = shared + now + 4 * quad;
  for (int row = max(0, frames - conv.lookback) + lane / conv.quads; row < frames; row += groups) {
    const int place = (starts[index] + row) % conv.lookback;
    store(to + static_cast<std::int64_t>(place) * 4 * conv.quads,
          load(from + row * row_floats(conv.quads)));
  }
}

} // namespace bunraku_kernels::wavenet_stream_detail
