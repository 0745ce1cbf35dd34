// Reductions over a warp and over a block. All take every lane of the warp: call them where all
// threads of each warp arrive, and make blocks of whole warps.
#pragma once

#include "cuda/platform.cuh"

namespace bunraku::cuda {

constexpr unsigned full_warp = 0xffffffffu;
constexpr int warp_lanes = 32;

/// The thread's number in its block, x fastest.
__device__ __forceinline__ int thread_rank() {
  return static_cast<int>(threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z));
}

__device__ __forceinline__ int block_threads() {
  return static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
}

__device__ __forceinline__ int lane_index() {
  return thread_rank() % warp_lanes;
}

__device__ __forceinline__ int warp_index() {
  return thread_rank() / warp_lanes;
}

struct Sum {
  template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a + b; }
};

struct Maximum {
  template <class T> __device__ __forceinline__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};

struct Minimum {
  template <class T> __device__ __forceinline__ T operator()(T a, T b) const {
    return a < b ? a : b;
  }
};

/// The combination of the warp's 32 values, in every lane; the order is the same in each, so
/// floats agree to the bit.
template <class T, class Combine>
__device__ __forceinline__ T warp_reduce(T value, Combine combine) {
#pragma unroll
  for (int distance = warp_lanes / 2; distance > 0; distance /= 2)
    value = combine(value, __shfl_xor_sync(full_warp, value, distance));
  return value;
}

template <class T> __device__ __forceinline__ T warp_sum(T value) {
  return warp_reduce(value, Sum{});
}

template <class T> __device__ __forceinline__ T warp_max(T value) {
  return warp_reduce(value, Maximum{});
}

template <class T> __device__ __forceinline__ T warp_min(T value) {
  return warp_reduce(value, Minimum{});
}

template <class T> __device__ __forceinline__ T warp_broadcast(T value, int lane) {
  return __shfl_sync(full_warp, value, lane);
}

/// The sum over this lane and those before it.
template <class T> __device__ __forceinline__ T warp_inclusive_sum(T value) {
#pragma unroll
  for (int distance = 1; distance < warp_lanes; distance *= 2) {
    const T before = __shfl_up_sync(full_warp, value, static_cast<unsigned>(distance));
    if (lane_index() >= distance)
      value += before;
  }
  return value;
}

/// The combination over the block, in every thread. `scratch` is shared memory for 32 values, free
/// for other use afterwards; `identity` leaves a value as it is. Two barriers.
template <class T, class Combine>
__device__ __forceinline__ T block_reduce(T value, T identity, T* scratch, Combine combine) {
  value = warp_reduce(value, combine);
  if (lane_index() == 0)
    scratch[warp_index()] = value;
  __syncthreads();
  const int warps = (block_threads() + warp_lanes - 1) / warp_lanes;
  value = warp_reduce(lane_index() < warps ? scratch[lane_index()] : identity, combine);
  __syncthreads();
  return value;
}

template <class T> __device__ __forceinline__ T block_sum(T value, T* scratch) {
  return block_reduce(value, T(0), scratch, Sum{});
}

} // namespace bunraku::cuda
