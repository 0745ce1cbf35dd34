// ldmatrix with transposition, for factors that lie in shared memory the other way round from what
// mma wants: signals, whose rows are channels and whose columns are time.
#pragma once

#include "cuda/tensor_core.cuh"

namespace bunraku::cuda {

#if defined(BUNRAKU_CUDA_EMULATED)

namespace ldmatrix_detail {

struct Transposed {
  unsigned* reg;
  const void* row;

  static void combine(void* const* slots, unsigned) {
    for (int lane = 0; lane < 32; ++lane)
      for (int matrix = 0; matrix < 4; ++matrix)
        static_cast<const Transposed*>(slots[lane])->reg[matrix] =
            value(slots, matrix, (lane % 4) * 2, lane / 4) |
            static_cast<unsigned>(value(slots, matrix, (lane % 4) * 2 + 1, lane / 4)) << 16;
  }

  static unsigned short value(void* const* slots, int matrix, int row, int column) {
    unsigned short bits = 0;
    const void* from = static_cast<const Transposed*>(slots[matrix * 8 + row])->row;
    std::memcpy(&bits, static_cast<const char*>(from) + column * 2, 2);
    return bits;
  }
};

} // namespace ldmatrix_detail

inline void ldmatrix_x4_transposed(unsigned (&reg)[4], const void* row) {
  bunraku_emulator::check_matrix_row(row);
  ldmatrix_detail::Transposed slot{reg, row};
  bunraku_emulator::warp_meet(0xffffffffu, &slot, ldmatrix_detail::Transposed::combine,
                              "ldmatrix.trans");
}

#else

/// As ldmatrix_x4, but the lane gets, of each matrix, the two values at column lane / 4, rows
/// 2 (lane % 4) and the next.
__device__ __forceinline__ void ldmatrix_x4_transposed(unsigned (&reg)[4], const void* row) {
  const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(reg[0]), "=r"(reg[1]), "=r"(reg[2]), "=r"(reg[3])
               : "r"(address)
               : "memory");
}

#endif

/// A's 16 x 16 tile, element (row, k) at tile[k * stride + row], on the terms of load_a_matrix.
template <class T>
__device__ __forceinline__ FragmentA load_a_columns_matrix(const T* tile, int stride) {
  const int lane = lane_index();
  FragmentA a;
  ldmatrix_x4_transposed(a.reg, tile + (lane / 16 * 8 + lane % 8) * stride + lane / 8 % 2 * 8);
  return a;
}

} // namespace bunraku::cuda
