// What one warp computes at a time: a run of frames by some outputs, as float32 sums in registers.
// A product is fed in panels of 16 input channels: the signal as rows of frames, and the weights as
// `packing.cuh` lays them out.
//
// float32 multiplies on the FMA units: a lane owns two frames and reads each weight as a broadcast.
// The half types use the tensor cores, frames as the rows of the product: the sums of a lane then
// hold both halves of the gate at the same place of neighbouring blocks.
#pragma once

#include "cuda/element.cuh"
#include "cuda/ldmatrix_transposed.cuh"

namespace bunraku_kernels {

constexpr int kPanel = 16; // input channels
constexpr int kBlock = 8;  // outputs

template <typename T> struct Geometry {
  static constexpr int kFrames = 32;       // of a warp
  static constexpr int kSignalStride = 40; // 80 bytes: ldmatrix meets no bank conflicts
  static constexpr int kWeightStride = 24; // likewise
  static constexpr int kBlocks = 8;        // of outputs computed together, at most
  static constexpr int kWarps = 8;         // of a thread block, at most
  static constexpr int kStages = 4;        // panels under way
  // Where the weight from input `channel` to `output` lies in a panel for `blocks` blocks.
  __host__ __device__ static constexpr int panel_elements(int blocks) {
    return blocks * kBlock * kWeightStride;
  }
  __host__ __device__ static int channel_of(int element, int) { return element % kWeightStride; }
  __host__ __device__ static int output_of(int element, int) { return element / kWeightStride; }
};

template <> struct Geometry<float> {
  static constexpr int kFrames = 64;
  static constexpr int kSignalStride = 64;
  static constexpr int kBlocks = 4;
  static constexpr int kWarps = 4;
  static constexpr int kStages = 2;
  __host__ __device__ static constexpr int panel_elements(int blocks) {
    return kPanel * blocks * kBlock;
  }
  __host__ __device__ static int channel_of(int element, int blocks) {
    return element / (blocks * kBlock);
  }
  __host__ __device__ static int output_of(int element, int blocks) {
    return element % (blocks * kBlock);
  }
};

// `blocks_used` of multiply() must be the same in the whole warp; blocks beyond stay as they are.
template <typename T, int kBlocks> class WarpTile {
public:
  static constexpr int kValues = 8; // of a lane in each block

  __device__ float& value(int block, int i) { return m_sum[block][i / 4].value[i % 4]; }
  // Where value i of this lane lies in its block.
  __device__ static int output(int i) { return bunraku::cuda::accumulator_column(i % 4); }
  __device__ static int frame(int i) { return i / 4 * 16 + bunraku::cuda::accumulator_row(i % 4); }

  __device__ void multiply(const T* signal, const T* panel, int blocks_used) {
    using namespace bunraku::cuda;
    const FragmentA frames[2] = {load_a_columns_matrix(signal, Geometry<T>::kSignalStride),
                                 load_a_columns_matrix(signal + 16, Geometry<T>::kSignalStride)};
    const int lane = lane_index();
    const T* row =
        panel + (lane / 16 * 8 + lane % 8) * Geometry<T>::kWeightStride + lane / 8 % 2 * 8;
#pragma unroll
    for (int block = 0; block < kBlocks; block += 2) {
      if (block >= blocks_used)
        break;
      unsigned w[4];
      ldmatrix_x4(w, row + block * kBlock * Geometry<T>::kWeightStride);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const FragmentB weights{{w[2 * half], w[2 * half + 1]}};
        mma_m16n8k16<T>(m_sum[block + half][0], frames[0], weights);
        mma_m16n8k16<T>(m_sum[block + half][1], frames[1], weights);
      }
    }
  }

private:
  bunraku::cuda::Accumulator m_sum[kBlocks][2];
};

template <int kBlocks> class WarpTile<float, kBlocks> {
public:
  static constexpr int kValues = 16;

  __device__ float& value(int block, int i) { return m_sum[block][i]; }
  __device__ static int output(int i) { return i / 2; }
  __device__ static int frame(int i) { return bunraku::cuda::lane_index() + i % 2 * 32; }

  __device__ void multiply(const float* signal, const float* panel, int blocks_used) {
    const float* column = signal + bunraku::cuda::lane_index();
#pragma unroll 4
    for (int channel = 0; channel < kPanel; ++channel) {
      const float early = column[channel * Geometry<float>::kSignalStride];
      const float late = column[channel * Geometry<float>::kSignalStride + 32];
      const auto* weights = reinterpret_cast<const float4*>(panel + channel * kBlocks * kBlock);
#pragma unroll
      for (int block = 0; block < kBlocks; ++block) {
        if (block >= blocks_used)
          break;
        add(m_sum[block], weights[2 * block], early, late);
        add(m_sum[block] + 8, weights[2 * block + 1], early, late);
      }
    }
  }

private:
  __device__ static void add(float* sum, const float4& weight, float early, float late) {
    sum[0] = fmaf(weight.x, early, sum[0]);
    sum[1] = fmaf(weight.x, late, sum[1]);
    sum[2] = fmaf(weight.y, early, sum[2]);
    sum[3] = fmaf(weight.y, late, sum[3]);
    sum[4] = fmaf(weight.z, early, sum[4]);
    sum[5] = fmaf(weight.z, late, sum[5]);
    sum[6] = fmaf(weight.w, early, sum[6]);
    sum[7] = fmaf(weight.w, late, sum[7]);
  }

  float m_sum[kBlocks][kValues];
};

// Sets every sum to f(block, output in the block, its place among the lane's values).
template <typename T, int kBlocks, typename Function>
__device__ void set_each(WarpTile<T, kBlocks>& tile, Function&& f) {
  using Tile = WarpTile<T, kBlocks>;
#pragma unroll
  for (int block = 0; block < kBlocks; ++block)
#pragma unroll
    for (int i = 0; i < Tile::kValues; ++i)
      tile.value(block, i) = f(block, Tile::output(i), i);
}

} // namespace bunraku_kernels
