// The product of one block of phase_conv: a tile of [pixels][input channels of one tap] times a
// tile of [output channels][the same], both in shared memory with the channels innermost. Half
// types multiply on the tensor cores, float32 on the FMA units, exactly.
#pragma once

#include "cuda/element.cuh"
#include "cuda/tensor_core.cuh"

namespace bunraku_kernels {

// Pixels and output channels of a block, and how its warps divide them.
template <int kPixels, int kChannels, int kWarpsDown, int kWarpsAcross> struct Tile {
  static constexpr int pixels = kPixels;
  static constexpr int channels = kChannels;
  static constexpr int warps_down = kWarpsDown;
  static constexpr int warps_across = kWarpsAcross;
  static constexpr int threads = 32 * kWarpsDown * kWarpsAcross;
};

// One step covers 64 bytes of channels. Rows are 80 bytes apart: eight rows' pieces of 16 bytes
// then lie in different banks, for ldmatrix and for float4 alike.
template <typename T> struct Depth {
  static constexpr int lanes = Vector16<T>::kLanes;
  static constexpr int channels = 4 * lanes;
  static constexpr int stride = 5 * lanes;
};

template <typename T, class Shape> class Product {
public:
  __device__ Product() {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        m_sum[i][j] = {};
  }

  __device__ void add(const T* x, const T* w) {
    using namespace bunraku::cuda;
    constexpr int stride = Depth<T>::stride;
#pragma unroll
    for (int k = 0; k < Depth<T>::channels; k += 16) {
      FragmentB b[kColumns];
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        b[j] = load_b_matrix(w + (first_column() + 8 * j) * stride + k, stride);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const FragmentA a = load_a_matrix(x + (first_row() + 16 * i) * stride + k, stride);
#pragma unroll
        for (int j = 0; j < kColumns; ++j)
          mma_m16n8k16<T>(m_sum[i][j], a, b[j]);
      }
    }
  }

  // tile[pixel * stride + channel]
  __device__ void store(float* tile, int stride) const {
    using namespace bunraku::cuda;
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
#pragma unroll
        for (int v = 0; v < 4; ++v)
          tile[(first_row() + 16 * i + accumulator_row(v)) * stride + first_column() + 8 * j +
               accumulator_column(v)] = m_sum[i][j].value[v];
  }

private:
  static constexpr int kRows = Shape::pixels / Shape::warps_down / 16;
  static constexpr int kColumns = Shape::channels / Shape::warps_across / 8;

  __device__ static int first_row() {
    return bunraku::cuda::warp_index() / Shape::warps_across * (kRows * 16);
  }
  __device__ static int first_column() {
    return bunraku::cuda::warp_index() % Shape::warps_across * (kColumns * 8);
  }

  bunraku::cuda::Accumulator m_sum[kRows][kColumns];
};

// Each thread's pixels and channels lie apart by the number of threads that share the axis, so that
// the threads of a warp read neighbouring rows.
template <class Shape> class Product<float, Shape> {
public:
  __device__ Product() {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        m_sum[i][j] = 0.0f;
  }

  __device__ void add(const float* x, const float* w) {
    constexpr int stride = Depth<float>::stride;
#pragma unroll
    for (int k = 0; k < Depth<float>::channels; k += 4) {
      float4 b[kColumns];
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        b[j] = four(w + (column() + kAcross * j) * stride + k);
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        const float4 a = four(x + (row() + kDown * i) * stride + k);
#pragma unroll
        for (int j = 0; j < kColumns; ++j) {
          float& sum = m_sum[i][j];
          sum = fmaf(a.x, b[j].x, sum);
          sum = fmaf(a.y, b[j].y, sum);
          sum = fmaf(a.z, b[j].z, sum);
          sum = fmaf(a.w, b[j].w, sum);
        }
      }
    }
  }

  __device__ void store(float* tile, int stride) const {
#pragma unroll
    for (int i = 0; i < kRows; ++i)
#pragma unroll
      for (int j = 0; j < kColumns; ++j)
        tile[(row() + kDown * i) * stride + column() + kAcross * j] = m_sum[i][j];
  }

private:
  static constexpr int kAcross = 16;
  static constexpr int kDown = Shape::threads / kAcross;
  static constexpr int kRows = Shape::pixels / kDown;
  static constexpr int kColumns = Shape::channels / kAcross;

  __device__ static int row() { return static_cast<int>(threadIdx.x) / kAcross; }
  __device__ static int column() { return static_cast<int>(threadIdx.x) % kAcross; }
  __device__ static float4 four(const float* from) {
    return *reinterpret_cast<const float4*>(from);
  }

  float m_sum[kRows][kColumns];
};

} // namespace bunraku_kernels
