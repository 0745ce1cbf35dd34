// CUDA on the CPU, for tests: a kernel's source compiled as ordinary C++ against this header runs
// each CUDA thread as a fiber, one at a time, so the true kernel can be held against a reference
// where there is no GPU. native/cuda/platform.cuh includes it when BUNRAKU_CUDA_EMULATED is
// defined.
//
// It is stricter than a GPU, to find what a GPU would forgive:
//  - BUNRAKU_EMULATOR_ORDER = forward | reverse | random:SEED chooses which thread goes on when
//    several could; a kernel that lacks a barrier gives another result in one of them;
//  - shared memory starts as 0xFF (NaN), and so does what an unfinished cp.async will fill;
//  - a write past the end of dynamic shared memory, to a block that has not started or has ended,
//    barriers that not all threads reach, warp operations that not all lanes of the mask reach,
//    waiting without end: each stops the launch with a Fault that says where.
// Not modelled: the memory model (a missing fence is invisible; every store is seen at once),
// rounding of fast intrinsics, registers, timing. A loop that polls plain memory hangs: poll
// through spin_until_at_least, load_acquire, an atomic or __nanosleep.
//
// BUNRAKU_EMULATOR_SM = 80 | 90 (default) | 100 is the compute capability it claims.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <driver_types.h>
#include <vector_functions.h>
#include <vector_types.h>

namespace bunraku_emulator {

/// What a kernel did wrong, in one line.
class Fault : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// ---- a launch -----------------------------------------------------------------------------------

using Body = void (*)(const void* closure);
cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, Body body,
                   const void* closure);

/// Runs `call`, one call of the kernel with its arguments, once for each thread of the grid, and
/// returns when all are done. A refused configuration is returned as CUDA would; a Fault is thrown.
template <class Call>
cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, const Call& call) {
  return launch(
      config, kernel, [](const void* closure) { (*static_cast<const Call*>(closure))(); }, &call);
}

void* dynamic_shared_memory();

// ---- waiting ------------------------------------------------------------------------------------

enum class BarrierKind { sync, any, all, count };
int block_barrier(BarrierKind kind, int predicate);
void grid_barrier();

/// All lanes of `mask` meet; the last to come runs `combine` on what they brought (null: absent).
using Combine = void (*)(void* const* slots, unsigned mask);
void warp_meet(unsigned mask, void* slot, Combine combine, const char* operation);
unsigned lane();

unsigned cluster_rank();
unsigned cluster_blocks();
void cluster_arrive();
void cluster_wait();
const void* map_shared(const volatile void* local, unsigned rank);

void store_release(int* flag, int value);
int load_acquire(const int* flag);
int add_release(int* flag, int value);
void spin_until_at_least(const int* flag, int value);
void pause();                    // lets others go first
void memory_event(bool changed); // an atomic was done: who waits for a change may go on

void copy_start(void* shared, const void* source, int bytes, bool valid);
void copy_commit();
void copy_wait(int pending_groups);

// ---- warp operations ----------------------------------------------------------------------------

template <class T> struct Shuffled {
  T value;
  T result;
  int source;
  static void combine(void* const* slots, unsigned) {
    for (int i = 0; i < 32; ++i) {
      auto* mine = static_cast<Shuffled*>(slots[i]);
      if (mine == nullptr)
        continue;
      const auto* from = static_cast<const Shuffled*>(slots[mine->source]);
      if (from != nullptr)
        mine->result = from->value;
      else // a lane outside the mask: undefined on a GPU
        std::memset(static_cast<void*>(&mine->result), 0xFF, sizeof(T));
    }
  }
};

template <class T> T shuffle(unsigned mask, T value, int source, const char* operation) {
  static_assert(std::is_trivially_copyable_v<T>, "a warp exchanges plain values");
  Shuffled<T> slot{value, value, source};
  warp_meet(mask, &slot, Shuffled<T>::combine, operation);
  return slot.result;
}

struct Vote {
  int predicate;
  unsigned ballot;
  static void combine(void* const* slots, unsigned);
};
unsigned ballot(unsigned mask, int predicate, const char* operation);

// ---- tensor cores -------------------------------------------------------------------------------

inline float to_float(__half value) {
  return __half2float(value);
}
inline float to_float(__nv_bfloat16 value) {
  return __bfloat162float(value);
}

/// The fragments of mma.m16n8k16 gathered from the lanes: PTX ISA, "Matrix fragments for
/// mma.m16n8k16 with floating point type".
template <class T> struct MatrixProduct {
  float* sum;
  const unsigned *a, *b;

  static float half_of(unsigned reg, int which) {
    const auto bits = static_cast<std::uint16_t>(reg >> (16 * which));
    T value;
    std::memcpy(static_cast<void*>(&value), &bits, 2);
    return to_float(value);
  }

  static void combine(void* const* slots, unsigned) {
    float a[16][16], b[16][8];
    for (int i = 0; i < 32; ++i) {
      const auto* lane = static_cast<const MatrixProduct*>(slots[i]);
      const int group = i / 4, member = i % 4;
      for (int r = 0; r < 4; ++r)
        for (int h = 0; h < 2; ++h)
          a[group + (r % 2) * 8][member * 2 + h + (r / 2) * 8] = half_of(lane->a[r], h);
      for (int r = 0; r < 2; ++r)
        for (int h = 0; h < 2; ++h)
          b[member * 2 + h + r * 8][group] = half_of(lane->b[r], h);
    }
    for (int i = 0; i < 32; ++i)
      for (int c = 0; c < 4; ++c) {
        const int row = i / 4 + (c / 2) * 8, column = (i % 4) * 2 + c % 2;
        float& sum = static_cast<const MatrixProduct*>(slots[i])->sum[c];
        for (int k = 0; k < 16; ++k)
          sum += a[row][k] * b[k][column];
      }
  }
};

template <class T> void mma_m16n8k16(float* sum, const unsigned* a, const unsigned* b) {
  MatrixProduct<T> slot{sum, a, b};
  warp_meet(0xffffffffu, &slot, MatrixProduct<T>::combine, "mma_m16n8k16");
}

/// ldmatrix: lane i brings the address of row i % 8 of matrix i / 8.
template <int Matrices> struct LoadedMatrix {
  unsigned* reg;
  const void* row;
  static void combine(void* const* slots, unsigned) {
    for (int i = 0; i < 32; ++i)
      for (int m = 0; m < Matrices; ++m) {
        const void* row = static_cast<const LoadedMatrix*>(slots[m * 8 + i / 4])->row;
        std::memcpy(&static_cast<const LoadedMatrix*>(slots[i])->reg[m],
                    static_cast<const char*>(row) + (i % 4) * 4, 4);
      }
  }
};
void check_matrix_row(const void* row);

template <int Matrices> void ldmatrix(unsigned* reg, const void* row) {
  if (lane() < 8 * Matrices)
    check_matrix_row(row);
  LoadedMatrix<Matrices> slot{reg, row};
  warp_meet(0xffffffffu, &slot, LoadedMatrix<Matrices>::combine, "ldmatrix");
}

// ---- atomics: one thread runs at a time, so a plain update is one -------------------------------

template <class T, class Update> T atomic(T* address, const Update& update) {
  const T before = *address;
  const T after = update(before);
  *address = after;
  memory_event(std::memcmp(&before, &after, sizeof(T)) != 0);
  return before;
}

} // namespace bunraku_emulator

#include "cuda_emulator_intrinsics.hpp"
