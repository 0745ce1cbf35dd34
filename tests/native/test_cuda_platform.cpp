// The device helpers of native/cuda against plain loops: reductions, matrix products of a warp,
// random numbers; the same source that nvcc compiles, run by the emulator.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "cuda/philox.hpp"
#include "cuda/tensor_core.cuh"
#include "emulator_orders.hpp"

using namespace bunraku;
using namespace bunraku::cuda;
using emulator_orders::in_each;

namespace {

__global__ void reductions(const float* in, float* out) {
  float* scratch = dynamic_shared_memory<float>();
  const float value = in[thread_rank()];
  float* mine = out + thread_rank() * 8;
  mine[0] = warp_sum(value);
  mine[1] = warp_max(value);
  mine[2] = warp_min(value);
  mine[3] = warp_broadcast(value, 7);
  mine[4] = warp_inclusive_sum(value);
  mine[5] = block_sum(value, scratch);
  mine[6] = block_reduce(value, -1e30f, scratch, Maximum{});
  mine[7] = static_cast<float>(block_sum(thread_rank(), reinterpret_cast<int*>(scratch)));
}

void test_reductions() {
  constexpr int threads = 160; // five warps
  std::vector<float> in(threads), out(threads * 8);
  for (int i = 0; i < threads; ++i)
    in[i] = static_cast<float>(i * 37 % 101 - 50);
  const float total = std::accumulate(in.begin(), in.end(), 0.0f);
  in_each([&](const char* order) {
    launch(reductions, 1, dim3(40, 4), 128, nullptr, in.data(), out.data());
    for (int i = 0; i < threads; ++i) {
      const float* warp = in.data() + i / 32 * 32;
      const float* mine = out.data() + i * 8;
      CHECK(mine[0] == std::accumulate(warp, warp + 32, 0.0f), "%s: %d", order, i);
      CHECK(mine[1] == *std::max_element(warp, warp + 32), "%s: %d", order, i);
      CHECK(mine[2] == *std::min_element(warp, warp + 32), "%s: %d", order, i);
      CHECK(mine[3] == warp[7], "%s: %d", order, i);
      CHECK(mine[4] == std::accumulate(warp, warp + i % 32 + 1, 0.0f), "%s: %d", order, i);
      CHECK(mine[5] == total, "%s: %d", order, i);
      CHECK(mine[6] == *std::max_element(in.begin(), in.end()), "%s: %d", order, i);
      CHECK(mine[7] == threads * (threads - 1) / 2, "%s: %d", order, i);
    }
  });
}

// ---- tensor cores -------------------------------------------------------------------------------

enum class Loads { plain, rows, matrix };

// C[16][8] += A[16][16] B[16][8]; b is stored by columns, b_rows by rows.
template <class T, Loads loads>
__global__ void product(const T* a, const T* b, const T* b_rows, float* c) {
  constexpr int stride = 24; // more than 16, so that rows are told from columns
  T* shared_a = dynamic_shared_memory<T>();
  T* shared_b = shared_a + 16 * stride;
  for (int i = lane_index(); i < 256; i += warp_lanes)
    shared_a[i / 16 * stride + i % 16] = a[i];
  for (int i = lane_index(); i < 128; i += warp_lanes)
    shared_b[i / 16 * stride + i % 16] = b[i];
  __syncwarp();
  Accumulator sum;
  for (int i = 0; i < 4; ++i)
    sum.value[i] = c[accumulator_row(i) * 8 + accumulator_column(i)];
  if constexpr (loads == Loads::plain)
    mma_m16n8k16<T>(sum, load_a(shared_a, stride), load_b(shared_b, stride));
  else if constexpr (loads == Loads::rows)
    mma_m16n8k16<T>(sum, load_a(a, 16), load_b_rows(b_rows, 8));
  else
    mma_m16n8k16<T>(sum, load_a_matrix(shared_a, stride), load_b_matrix(shared_b, stride));
  for (int i = 0; i < 4; ++i)
    c[accumulator_row(i) * 8 + accumulator_column(i)] = sum.value[i];
}

template <class T> struct Factors {
  std::vector<T> a, b, b_rows;
  std::vector<double> product;

  explicit Factors(T (*from_float)(float)) : a(256), b(128), b_rows(128), product(128) {
    const auto number = [](int i) {
      const UInt32x4 words = philox4x32_10({static_cast<std::uint32_t>(i), 0, 0, 0}, {1, 2});
      return unit_open(words.x) * 2.0f - 1.0f;
    };
    for (int i = 0; i < 256; ++i)
      a[i] = from_float(number(i));
    for (int column = 0; column < 8; ++column)
      for (int k = 0; k < 16; ++k)
        b[column * 16 + k] = b_rows[k * 8 + column] = from_float(number(1000 + k * 8 + column));
    for (int i = 0; i < 128; ++i)
      for (int k = 0; k < 16; ++k)
        product[i] += double{bunraku_emulator::to_float(a[i / 8 * 16 + k])} *
                      double{bunraku_emulator::to_float(b_rows[k * 8 + i % 8])};
  }
};

template <class T, Loads loads> void test_product(T (*from_float)(float), const char* what) {
  const Factors<T> factors(from_float);
  in_each([&](const char* order) {
    std::vector<float> c(128);
    std::iota(c.begin(), c.end(), 0.0f);
    launch(product<T, loads>, 1, 32, 24 * 24 * 2, nullptr, factors.a.data(), factors.b.data(),
           factors.b_rows.data(), c.data());
    for (int i = 0; i < 128; ++i)
      CHECK(std::abs(c[i] - (i + factors.product[i])) < 1e-4, "%s, %s: [%d] is %g, not %g", what,
            order, i, c[i], i + factors.product[i]);
  });
}

__half half_of(float value) {
  return __float2half(value);
}

__nv_bfloat16 bfloat_of(float value) {
  return __float2bfloat16(value);
}

// ---- random numbers -----------------------------------------------------------------------------

bool equal(UInt32x4 a, UInt32x4 b) {
  return a.x == b.x && a.y == b.y && a.z == b.z && a.w == b.w;
}

// The known answers published with Random123 (kat_vectors).
void test_philox() {
  CHECK(equal(philox4x32_10({0, 0, 0, 0}, {0, 0}),
              {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}),
        "zeros");
  CHECK(equal(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
              {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}),
        "ones");
  CHECK(equal(philox4x32_10({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                            {0xa4093822u, 0x299f31d0u}),
              {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}),
        "the digits of pi");
}

void test_unit_open() {
  CHECK(unit_open(0) == 0x1p-25f, "%g", unit_open(0));
  CHECK(unit_open(255) == unit_open(0), "the last eight bits have no part");
  CHECK(unit_open(0x80000100u) > 0.5f, "%g", unit_open(0x80000100u));
  CHECK(unit_open(~0u) < 1.0f && std::log(unit_open(~0u)) < 0.0f, "below one: %g", unit_open(~0u));
}

} // namespace

int main() {
  test_reductions();
  test_product<__half, Loads::plain>(half_of, "fp16");
  test_product<__half, Loads::rows>(half_of, "fp16 from rows");
  test_product<__half, Loads::matrix>(half_of, "fp16 by ldmatrix");
  test_product<__nv_bfloat16, Loads::plain>(bfloat_of, "bf16");
  test_product<__nv_bfloat16, Loads::rows>(bfloat_of, "bf16 from rows");
  test_product<__nv_bfloat16, Loads::matrix>(bfloat_of, "bf16 by ldmatrix");
  test_philox();
  test_unit_open();
  return check_kit::report();
}
