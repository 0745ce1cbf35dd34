// Integer divisions of positions that may be negative.
#pragma once

#include "cuda/platform.cuh"

namespace bunraku_kernels::upfirdn_detail {

__host__ __device__ constexpr int ceil_div(int a, int b) { // b > 0, a of any sign
  return a > 0 ? (a + b - 1) / b : -(-a / b);
}
__host__ __device__ constexpr int floor_div(int a, int b) {
  return -ceil_div(-a, b);
}

} // namespace bunraku_kernels::upfirdn_detail
