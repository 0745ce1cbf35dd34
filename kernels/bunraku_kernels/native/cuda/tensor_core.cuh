// Matrix products of one warp on the tensor cores: D[16][8] += A[16][16] B[16][8] with fp16 or bf16
// factors and fp32 sums (mma.sync.m16n8k16, sm_80). The layout of the fragments across the lanes is
// that of the PTX ISA, "Matrix fragments for mma.m16n8k16 with floating point type".
#pragma once

#include <type_traits>

#include "cuda/warp.cuh"

namespace bunraku::cuda {

/// Two 16-bit values a register, the one of the lower column (A) or row (B) in the lower half.
struct FragmentA {
  unsigned reg[4];
};

struct FragmentB {
  unsigned reg[2];
};

struct Accumulator {
  float value[4];
};

/// Where value[i] of the calling lane's Accumulator lies in the 16 x 8 tile.
__device__ __forceinline__ int accumulator_row(int i) {
  return lane_index() / 4 + (i / 2) * 8;
}

__device__ __forceinline__ int accumulator_column(int i) {
  return (lane_index() % 4) * 2 + i % 2;
}

#if defined(BUNRAKU_CUDA_EMULATED)

template <class T> void mma_m16n8k16(Accumulator& sum, const FragmentA& a, const FragmentB& b) {
  bunraku_emulator::mma_m16n8k16<T>(sum.value, a.reg, b.reg);
}

inline void ldmatrix_x4(unsigned (&reg)[4], const void* row) {
  bunraku_emulator::ldmatrix<4>(reg, row);
}

inline void ldmatrix_x2(unsigned (&reg)[2], const void* row) {
  bunraku_emulator::ldmatrix<2>(reg, row);
}

#else

/// sum += a b, by the whole warp. T is __half or __nv_bfloat16, the type of both factors.
template <class T>
__device__ __forceinline__ void mma_m16n8k16(Accumulator& sum, const FragmentA& a,
                                             const FragmentB& b) {
  float* d = sum.value;
  if constexpr (std::is_same_v<T, __half>) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a.reg[0]), "r"(a.reg[1]), "r"(a.reg[2]), "r"(a.reg[3]), "r"(b.reg[0]),
                   "r"(b.reg[1]));
  } else {
    static_assert(std::is_same_v<T, __nv_bfloat16>, "the factors are __half or __nv_bfloat16");
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a.reg[0]), "r"(a.reg[1]), "r"(a.reg[2]), "r"(a.reg[3]), "r"(b.reg[0]),
                   "r"(b.reg[1]));
  }
}

/// Loads four 8 x 8 matrices of 16-bit values: lane i gives the address of row i % 8 of matrix
/// i / 8 in shared memory (16 bytes, aligned to 16) and gets, of each matrix, the two values at row
/// lane / 4, columns 2 (lane % 4) and the next.
__device__ __forceinline__ void ldmatrix_x4(unsigned (&reg)[4], const void* row) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(reg[0]), "=r"(reg[1]), "=r"(reg[2]), "=r"(reg[3])
               : "r"(address)
               : "memory");
}

/// As ldmatrix_x4 with two matrices, whose addresses lanes 0 to 15 give.
__device__ __forceinline__ void ldmatrix_x2(unsigned (&reg)[2], const void* row) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(reg[0]), "=r"(reg[1])
               : "r"(address)
               : "memory");
}

#endif

namespace tensor_core_detail {

template <class T> __device__ __forceinline__ unsigned pair(const T& low, const T& high) {
  static_assert(sizeof(T) == 2, "fragments hold 16-bit values");
  unsigned short bits[2];
  memcpy(&bits[0], &low, 2);
  memcpy(&bits[1], &high, 2);
  return bits[0] | static_cast<unsigned>(bits[1]) << 16;
}

} // namespace tensor_core_detail

/// A's 16 x 16 tile, element (row, k) at tile[row * stride + k]. Any memory, any alignment.
template <class T> __device__ __forceinline__ FragmentA load_a(const T* tile, int stride) {
  const T* corner = tile + (lane_index() / 4) * stride + (lane_index() % 4) * 2;
  FragmentA a;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const T* two = corner + (i % 2) * 8 * stride + (i / 2) * 8;
    a.reg[i] = tensor_core_detail::pair(two[0], two[1]);
  }
  return a;
}

/// B's 16 x 8 tile, element (k, column) at tile[column * stride + k]. Any memory, any alignment.
template <class T> __device__ __forceinline__ FragmentB load_b(const T* tile, int stride) {
  const T* corner = tile + (lane_index() / 4) * stride + (lane_index() % 4) * 2;
  FragmentB b;
#pragma unroll
  for (int i = 0; i < 2; ++i)
    b.reg[i] = tensor_core_detail::pair(corner[i * 8], corner[i * 8 + 1]);
  return b;
}

/// B's 16 x 8 tile, element (k, column) at tile[k * stride + column]. Any memory, any alignment.
template <class T> __device__ __forceinline__ FragmentB load_b_rows(const T* tile, int stride) {
  const T* corner = tile + (lane_index() % 4) * 2 * stride + lane_index() / 4;
  FragmentB b;
#pragma unroll
  for (int i = 0; i < 2; ++i)
    b.reg[i] = tensor_core_detail::pair(corner[i * 8 * stride], corner[(i * 8 + 1) * stride]);
  return b;
}

/// load_a by ldmatrix: one instruction. Shared memory, each row's 16-byte pieces aligned to 16
/// (stride a multiple of 8); a stride of 8 more than a multiple of 64 meets no bank conflicts.
template <class T> __device__ __forceinline__ FragmentA load_a_matrix(const T* tile, int stride) {
  FragmentA a;
  ldmatrix_x4(a.reg, tile + (lane_index() % 16) * stride + (lane_index() / 16) * 8);
  return a;
}

/// load_b by ldmatrix, on the same terms as load_a_matrix.
template <class T> __device__ __forceinline__ FragmentB load_b_matrix(const T* tile, int stride) {
  FragmentB b;
  ldmatrix_x2(b.reg, tile + (lane_index() % 8) * stride + (lane_index() / 8 % 2) * 8);
  return b;
}

} // namespace bunraku::cuda
