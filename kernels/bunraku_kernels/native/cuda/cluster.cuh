// What blocks use to meet other blocks: clusters with distributed shared memory (sm_90), barriers
// of the whole grid, and flags handed over with acquire and release.
#pragma once

#include "cuda/platform.cuh"

#if !defined(BUNRAKU_CUDA_EMULATED)
#include <cooperative_groups.h>
#endif

namespace bunraku::cuda {

/// Which threads a flag is for: those of the cluster, or of the whole device.
enum class Scope { cluster, device };

#if defined(BUNRAKU_CUDA_EMULATED)

inline unsigned cluster_rank() {
  return bunraku_emulator::cluster_rank();
}

inline unsigned cluster_blocks() {
  return bunraku_emulator::cluster_blocks();
}

inline void cluster_arrive() {
  bunraku_emulator::cluster_arrive();
}

inline void cluster_wait() {
  bunraku_emulator::cluster_wait();
}

template <class T> T* map_shared(T* local, unsigned rank) {
  return const_cast<T*>(static_cast<const T*>(bunraku_emulator::map_shared(local, rank)));
}

inline void grid_sync() {
  bunraku_emulator::grid_barrier();
}

template <Scope S> void store_release(int* flag, int value) {
  bunraku_emulator::store_release(flag, value);
}

template <Scope S> int load_acquire(const int* flag) {
  return bunraku_emulator::load_acquire(flag);
}

template <Scope S> int add_release(int* flag, int value) {
  return bunraku_emulator::add_release(flag, value);
}

template <Scope S> void spin_until_at_least(const int* flag, int value) {
  bunraku_emulator::spin_until_at_least(flag, value);
}

#else

namespace cluster_detail {

// Without clusters there is nothing to run: a kernel that uses them is not launched there.
__device__ __forceinline__ void need_clusters() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  __trap();
#endif
}

} // namespace cluster_detail

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
#define BUNRAKU_CLUSTER_ASM(...) cluster_detail::need_clusters()
#else
#define BUNRAKU_CLUSTER_ASM(...) asm volatile(__VA_ARGS__)
#endif

/// This block's number in its cluster, 0 to cluster_blocks() - 1.
__device__ __forceinline__ unsigned cluster_rank() {
  unsigned rank = 0;
  BUNRAKU_CLUSTER_ASM("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

__device__ __forceinline__ unsigned cluster_blocks() {
  unsigned blocks = 1;
  BUNRAKU_CLUSTER_ASM("mov.u32 %0, %%cluster_nctarank;" : "=r"(blocks));
  return blocks;
}

/// The first half of cluster_sync(): what this thread wrote before is seen by the cluster's threads
/// after their cluster_wait(). Each arrive is followed by one wait.
__device__ __forceinline__ void cluster_arrive() {
  BUNRAKU_CLUSTER_ASM("barrier.cluster.arrive.release;" :: : "memory");
}

/// The second half: waits until all threads of the cluster have arrived.
__device__ __forceinline__ void cluster_wait() {
  BUNRAKU_CLUSTER_ASM("barrier.cluster.wait.acquire;" :: : "memory");
}

/// The address, in the shared memory of block `rank` of the cluster, of what lies at `local` in
/// this block's. Use it only between the cluster's first barrier (all blocks run) and its last
/// (none has left). `local` must be in dynamic shared memory.
template <class T> __device__ __forceinline__ T* map_shared(T* local, unsigned rank) {
  unsigned long long mapped = 0;
  BUNRAKU_CLUSTER_ASM("mapa.u64 %0, %1, %2;" : "=l"(mapped) : "l"(local), "r"(rank));
  return reinterpret_cast<T*>(mapped);
}

/// A barrier of all threads of the grid; launch_cooperative() only.
__device__ __forceinline__ void grid_sync() {
  cooperative_groups::this_grid().sync();
}

/// Stores a flag, in global or (through map_shared) distributed shared memory, after all that this
/// thread wrote before. To release the writes of a whole block, put a barrier before it.
template <Scope S> __device__ __forceinline__ void store_release(int* flag, int value) {
  if constexpr (S == Scope::device)
    asm volatile("st.release.gpu.s32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
  else
    BUNRAKU_CLUSTER_ASM("st.release.cluster.s32 [%0], %1;" ::"l"(flag), "r"(value) : "memory");
}

/// Loads a flag before all that this thread reads after.
template <Scope S> __device__ __forceinline__ int load_acquire(const int* flag) {
  int value = 0;
  if constexpr (S == Scope::device)
    asm volatile("ld.acquire.gpu.s32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
  else
    BUNRAKU_CLUSTER_ASM("ld.acquire.cluster.s32 %0, [%1];" : "=r"(value) : "l"(flag) : "memory");
  return value;
}

/// Adds to a flag as store_release stores; returns the value before.
template <Scope S> __device__ __forceinline__ int add_release(int* flag, int value) {
  int before = 0;
  if constexpr (S == Scope::device)
    asm volatile("atom.add.release.gpu.s32 %0, [%1], %2;"
                 : "=r"(before)
                 : "l"(flag), "r"(value)
                 : "memory");
  else
    BUNRAKU_CLUSTER_ASM("atom.add.release.cluster.s32 %0, [%1], %2;" : "=r"(before) : "l"(flag),
                        "r"(value) : "memory");
  return before;
}

/// Waits until the flag has reached `value`. The writer must be running: a block of the same
/// cluster, or of a cooperative grid.
template <Scope S> __device__ __forceinline__ void spin_until_at_least(const int* flag, int value) {
  while (load_acquire<S>(flag) < value) {
  }
}

#undef BUNRAKU_CLUSTER_ASM

#endif

__device__ __forceinline__ void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

} // namespace bunraku::cuda
