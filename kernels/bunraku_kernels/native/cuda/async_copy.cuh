// Copies from global to shared memory that run beside the computation (cp.async, sm_80).
#pragma once

#include "cuda/platform.cuh"

namespace bunraku::cuda {

/// Starts a copy of `Bytes` (4, 8 or 16) from global to shared memory, both aligned to `Bytes`;
/// where `valid` is false it writes zeros and reads nothing (`source` must still be an address
/// inside an allocation). The bytes are there for this thread after cp_async_wait, and for others
/// after a barrier that follows it; until then they are undefined.
template <int Bytes>
__device__ __forceinline__ void cp_async(void* shared, const void* source, bool valid = true) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16, "cp.async copies 4, 8 or 16 bytes");
#if defined(BUNRAKU_CUDA_EMULATED)
  bunraku_emulator::copy_start(shared, source, Bytes, valid);
#else
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  const int read_bytes = valid ? Bytes : 0;
  if constexpr (Bytes == 16) // past the first-level cache, which only this size may skip
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(source),
                 "r"(read_bytes)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(source),
                 "n"(Bytes), "r"(read_bytes)
                 : "memory");
#endif
}

__device__ __forceinline__ void cp_async16(void* shared, const void* source, bool valid = true) {
  cp_async<16>(shared, source, valid);
}

__device__ __forceinline__ void cp_async4(void* shared, const void* source, bool valid = true) {
  cp_async<4>(shared, source, valid);
}

/// Closes a group of copies: all that this thread started since the last one.
__device__ __forceinline__ void cp_async_commit() {
#if defined(BUNRAKU_CUDA_EMULATED)
  bunraku_emulator::copy_commit();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most `Pending` of this thread's groups are under way.
template <int Pending> __device__ __forceinline__ void cp_async_wait() {
#if defined(BUNRAKU_CUDA_EMULATED)
  bunraku_emulator::copy_wait(Pending);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
#endif
}

} // namespace bunraku::cuda
