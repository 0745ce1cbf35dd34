// Signals on their way between global memory and a warp: tiles of 16 channels by the warp's frames
// in shared memory that belongs to the warp alone, and the product that reads them.
#pragma once

#include <cstdint>

#include "cuda/async_copy.cuh"
#include "dilated_conv/packing.cuh"

namespace bunraku_kernels {

// One item of a batch, [channels][frames]; frame t < 0 is frame before_frames + t of `before`.
// Outside is silence.
template <typename T> struct Signal {
  const T* data = nullptr;
  int channels = 0;
  int frames = 0;
  const T* before = nullptr;
  int before_frames = 0;

  __device__ const T* find(int channel, int frame) const {
    if (channel >= channels || frame >= frames)
      return nullptr;
    if (frame >= 0)
      return data + static_cast<std::int64_t>(channel) * frames + frame;
    if (before == nullptr || frame < -before_frames)
      return nullptr;
    return before + static_cast<std::int64_t>(channel + 1) * before_frames + frame;
  }

  // Whether 16 bytes from frame `first` on, and every 16 from there, are all in or all out.
  __device__ bool in_vectors(int first) const {
    constexpr int lanes = Vector16<T>::kLanes;
    const auto addresses =
        reinterpret_cast<std::uintptr_t>(data) | reinterpret_cast<std::uintptr_t>(before);
    return frames % lanes == 0 && before_frames % lanes == 0 && first % lanes == 0 &&
           addresses % 16 == 0;
  }
};

// Starts the copy of 16 channels; complete after cp_async_wait and a barrier of the warp.
template <typename T>
__device__ void fetch_signal(T* tile, const Signal<T>& signal, int channel, int first_frame) {
  constexpr int frames = Geometry<T>::kFrames, stride = Geometry<T>::kSignalStride;
  constexpr int lanes = Vector16<T>::kLanes, vectors = frames / lanes;
  const int lane = bunraku::cuda::lane_index();
  if (signal.in_vectors(first_frame)) {
#pragma unroll
    for (int i = lane; i < kPanel * vectors; i += 32) {
      const int row = i / vectors, frame = i % vectors * lanes;
      const T* from = signal.find(channel + row, first_frame + frame);
      bunraku::cuda::cp_async16(tile + row * stride + frame, from == nullptr ? signal.data : from,
                                from != nullptr);
    }
    return;
  }
#pragma unroll 4
  for (int i = lane; i < kPanel * frames; i += 32) {
    const int row = i / frames, frame = i % frames;
    const T* from = signal.find(channel + row, first_frame + frame);
    T* to = tile + row * stride + frame;
    if constexpr (sizeof(T) == 4)
      bunraku::cuda::cp_async4(to, from == nullptr ? signal.data : from, from != nullptr);
    else // cp.async has no copy of two bytes
      *to = from == nullptr ? from_float<T>(0.0f) : *from;
  }
}

// What a product sums over: delayed (step < 0) or later (step > 0) copies of one signal, and
// another.
template <typename T> struct Inputs {
  Signal<T> first;
  int taps = 0;
  int step = 0; // frames from one tap to the one before it
  Signal<T> second;
};

// Feeds a product from global memory, through kStages tiles.
template <typename T> struct FromSignals {
  const Inputs<T>& inputs;
  int first_frame;
  T* tiles;

  __device__ T* tile(int panel) const {
    return tiles + panel % Geometry<T>::kStages * (kPanel * Geometry<T>::kSignalStride);
  }
  __device__ void fetch(int panel) const {
    const int of_tap = Packing::panels_of(inputs.first.channels);
    const int in_first = inputs.taps * of_tap;
    if (panel >= in_first)
      return fetch_signal(tile(panel), inputs.second, (panel - in_first) * kPanel, first_frame);
    const int tap = panel / of_tap;
    fetch_signal(tile(panel), inputs.first, (panel - tap * of_tap) * kPanel,
                 first_frame + (inputs.taps - 1 - tap) * inputs.step);
  }
};

// Feeds a product from rows that the warp holds already.
template <typename T> struct FromTile {
  const T* rows;

  __device__ const T* tile(int panel) const {
    return rows + panel * (kPanel * Geometry<T>::kSignalStride);
  }
  __device__ void fetch(int) const {}
};

// sum += weights times source, by all warps of the block together: they share the panels of
// weights. kStages panels are in shared memory: one being multiplied, the others under way. The
// barrier of each step says both that the panel has come and that nobody reads the one before it,
// whose place the next copy takes.
template <typename T, int kBlocks, typename Source>
__device__ void multiply(WarpTile<T, kBlocks>& sum, const Source& source, const Packing& packing,
                         int group, T* shared_panels) {
  constexpr int stages = Geometry<T>::kStages;
  constexpr int elements = Geometry<T>::panel_elements(kBlocks);
  constexpr int vectors = elements / Vector16<T>::kLanes;
  const int panels = packing.panels(), used = packing.blocks_used(group);
  const T* packed =
      static_cast<const T*>(packing.to) + static_cast<std::int64_t>(group) * panels * elements;
  const auto fetch = [&](int panel) {
    if (panel < panels) {
      const T* from = packed + static_cast<std::int64_t>(panel) * elements;
      T* to = shared_panels + panel % stages * elements;
      for (int i = static_cast<int>(threadIdx.x); i < vectors; i += static_cast<int>(blockDim.x))
        bunraku::cuda::cp_async16(to + i * Vector16<T>::kLanes, from + i * Vector16<T>::kLanes);
      source.fetch(panel);
    }
    bunraku::cuda::cp_async_commit(); // an empty group too: they are counted
  };
  for (int panel = 0; panel < stages - 1; ++panel)
    fetch(panel);
  for (int panel = 0; panel < panels; ++panel) {
    bunraku::cuda::cp_async_wait<stages - 2>();
    __syncthreads();
    fetch(panel + stages - 1);
    sum.multiply(source.tile(panel), shared_panels + panel % stages * elements, used);
  }
  bunraku::cuda::cp_async_wait<0>();
  __syncthreads();
}

// tile += rows first_row.. of the signal at the warp's frames. `scratch` holds one signal tile.
template <typename T, int kBlocks>
__device__ void add_signal(WarpTile<T, kBlocks>& tile, const Signal<T>& signal, int first_row,
                           int first_frame, T* scratch) {
  using Tile = WarpTile<T, kBlocks>;
#pragma unroll
  for (int block = 0; block < kBlocks; block += 2) {
    const int row = first_row + block * kBlock;
    if (row >= signal.channels)
      break;
    fetch_signal(scratch, signal, row, first_frame);
    bunraku::cuda::cp_async_commit();
    bunraku::cuda::cp_async_wait<0>();
    __syncwarp();
#pragma unroll
    for (int i = 0; i < 2 * Tile::kValues; ++i) {
      const int half = i / Tile::kValues, j = i % Tile::kValues;
      const int place = (half * kBlock + Tile::output(j)) * Geometry<T>::kSignalStride;
      tile.value(block + half, j) += to_float(scratch[place + Tile::frame(j)]);
    }
    __syncwarp();
  }
}

// Rounds the tile to rows of `to`, [..][frames]; row_of(block, output) is the row or -1.
template <typename T, int kBlocks, typename RowOf>
__device__ void store_signal(WarpTile<T, kBlocks>& tile, T* to, int frames, int first_frame,
                             int blocks_used, T* scratch, RowOf&& row_of) {
  using Tile = WarpTile<T, kBlocks>;
  constexpr int width = Geometry<T>::kFrames, stride = Geometry<T>::kSignalStride;
  constexpr int lanes = Vector16<T>::kLanes;
  const int lane = bunraku::cuda::lane_index();
  const bool in_vectors = frames % lanes == 0 && first_frame % lanes == 0 &&
                          reinterpret_cast<std::uintptr_t>(to) % 16 == 0;
#pragma unroll
  for (int block = 0; block < kBlocks; block += 2) {
    if (block >= blocks_used)
      break;
#pragma unroll
    for (int i = 0; i < 2 * Tile::kValues; ++i) {
      const int half = i / Tile::kValues, j = i % Tile::kValues;
      scratch[(half * kBlock + Tile::output(j)) * stride + Tile::frame(j)] =
          from_float<T>(tile.value(block + half, j));
    }
    __syncwarp();
    const int piece = in_vectors ? lanes : 1;
    for (int i = lane; i < kPanel * width / piece; i += 32) {
      const int line = i / (width / piece), frame = i % (width / piece) * piece;
      const int row = row_of(block + line / kBlock, line % kBlock), t = first_frame + frame;
      if (row < 0 || t < 0 || t >= frames)
        continue;
      T* there = to + static_cast<std::int64_t>(row) * frames + t;
      const T* here = scratch + line * stride + frame;
      if (in_vectors)
        *reinterpret_cast<Vector16<T>*>(there) = *reinterpret_cast<const Vector16<T>*>(here);
      else
        *there = *here;
    }
    __syncwarp();
  }
}

} // namespace bunraku_kernels
