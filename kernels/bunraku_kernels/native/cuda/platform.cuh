// What every kernel includes first: CUDA itself, or its emulation on the CPU when the same source
// is compiled as ordinary C++ (-DBUNRAKU_CUDA_EMULATED, tests/native/cuda_emulator).
#pragma once

#include <cstddef>

#if defined(BUNRAKU_CUDA_EMULATED)
#include "cuda_emulator.hpp"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#endif

#include "cuda/launch.cuh"

namespace bunraku::cuda {

#if defined(BUNRAKU_CUDA_EMULATED)

template <class T> T* dynamic_shared_memory() {
  return static_cast<T*>(bunraku_emulator::dynamic_shared_memory());
}

#else

/// The block's dynamic shared memory, aligned to 128 bytes; every call gives the same address.
template <class T> __device__ __forceinline__ T* dynamic_shared_memory() {
  extern __shared__ __align__(128) unsigned char bunraku_dynamic_shared_memory[];
  return reinterpret_cast<T*>(bunraku_dynamic_shared_memory);
}

#endif

} // namespace bunraku::cuda
