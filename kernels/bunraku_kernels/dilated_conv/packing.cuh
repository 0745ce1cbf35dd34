// Weights in the order in which the kernels copy them to shared memory: for each group of outputs
// the panels of input channels, tap after tap, padded with zeros to whole panels and blocks.
// One launch packs all the matrices of a pass.
#pragma once

#include <cstdint>

#include "dilated_conv/warp_tile.cuh"

namespace bunraku_kernels {

// A weight matrix [rows][channels] with strides in elements; `data` may be null if `channels` is 0.
struct Matrix {
  const void* data = nullptr;
  int channels = 0;
  std::int64_t row_stride = 0;
  std::int64_t channel_stride = 0;
};

// The product of `outputs` rows with `taps` delayed copies of one signal and with another signal.
struct Packing {
  Matrix first; // tap k of it begins `tap_stride` elements after tap k - 1
  int taps = 0;
  std::int64_t tap_stride = 0;
  Matrix second;
  int outputs = 0;
  int gate_rows = 0; // gated: blocks alternate between rows r and r + gate_rows, r < outputs
  int blocks = 0;    // of a group
  void* to = nullptr;

  __host__ __device__ static int panels_of(int channels) {
    return (channels + kPanel - 1) / kPanel;
  }
  __host__ __device__ int panels() const {
    return taps * panels_of(first.channels) + panels_of(second.channels);
  }
  // Of the rows r above: how many a group holds, and how many groups there are.
  __host__ __device__ int group_outputs() const {
    return gate_rows > 0 ? blocks * kBlock / 2 : blocks * kBlock;
  }
  __host__ __device__ int groups() const {
    return outputs == 0 ? 0 : (outputs + group_outputs() - 1) / group_outputs();
  }
  // Blocks of the group that hold any output.
  __host__ __device__ int blocks_used(int group) const {
    const int left = outputs - group * group_outputs();
    const int held = left < group_outputs() ? left : group_outputs();
    return (held + kBlock - 1) / kBlock * (gate_rows > 0 ? 2 : 1);
  }
  // The row of an output, or -1 beyond the last.
  __host__ __device__ int row(int group, int block, int output) const {
    const int within = gate_rows > 0 ? block / 2 * kBlock + output : block * kBlock + output;
    const int r = group * group_outputs() + within;
    return r < outputs ? r + block % 2 * gate_rows : -1;
  }
};

constexpr int kMostPackings = 3;

struct Packings {
  Packing item[kMostPackings];
};

template <typename T> __host__ __device__ std::int64_t packed_elements(const Packing& packing) {
  return static_cast<std::int64_t>(packing.groups()) * packing.panels() *
         Geometry<T>::panel_elements(packing.blocks);
}

template <typename T>
__device__ T packed_weight(const Packing& packing, int row, int panel, int within) {
  const int of_tap = Packing::panels_of(packing.first.channels);
  const bool in_first = panel < packing.taps * of_tap;
  const int tap = in_first ? panel / of_tap : 0;
  const Matrix& matrix = in_first ? packing.first : packing.second;
  const int from = in_first ? panel - tap * of_tap : panel - packing.taps * of_tap;
  const int channel = from * kPanel + within;
  if (row < 0 || within >= kPanel || channel >= matrix.channels)
    return from_float<T>(0.0f);
  return static_cast<const T*>(
      matrix.data)[row * matrix.row_stride + channel * matrix.channel_stride +
                   tap * packing.tap_stride];
}

template <typename T> __global__ void pack_weights(Packings packings) {
  const Packing& packing = packings.item[blockIdx.y];
  const int panel_elements = Geometry<T>::panel_elements(packing.blocks);
  const std::int64_t count = packed_elements<T>(packing);
  const auto step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (auto i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    const auto panel = static_cast<int>(i / panel_elements);
    const auto element = static_cast<int>(i % panel_elements);
    const int output = Geometry<T>::output_of(element, packing.blocks);
    const int row = packing.row(panel / packing.panels(), output / kBlock, output % kBlock);
    static_cast<T*>(packing.to)[i] = packed_weight<T>(
        packing, row, panel % packing.panels(), Geometry<T>::channel_of(element, packing.blocks));
  }
}

} // namespace bunraku_kernels
