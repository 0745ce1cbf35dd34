// What the sampler needs beside core/simd_avx512.hpp, which is included before.
#pragma once

#include <cstddef>

namespace bunraku {
namespace {

// Sixteen pairs of bfloat16, their first and second halves as floats.
inline Vec even_halves(const std::byte* p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}
inline Vec odd_halves(const std::byte* p) {
  return _mm512_castsi512_ps(
      _mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}

inline float largest_of_lanes(Vec v) {
  return _mm512_reduce_max_ps(v);
}

// 2^x within 2e-7, for x that 2^x can be had of; a polynomial of 2^f for f from -1/2 to 1/2.
inline Vec exp2_approx(Vec x) {
  const Vec whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const Vec f = sub(x, whole);
  Vec p = broadcast(1.34072498e-3f);
  p = mul_add(p, f, broadcast(9.6718762e-3f));
  p = mul_add(p, f, broadcast(5.55030839e-2f));
  p = mul_add(p, f, broadcast(2.40222346e-1f));
  p = mul_add(p, f, broadcast(6.93147215e-1f));
  p = mul_add(p, f, broadcast(1.0f));
  return _mm512_scalef_ps(p, whole);
}

// tanh(a) * sigmoid(b) = (1 - u) / ((1 + u) (1 + v)) with u = e^-2a, v = e^-b: one division. Beyond
// the bounds both functions are at their ends; a NaN gives the bound.
inline Vec gate_product(Vec a, Vec b) {
  a = max(min(a, broadcast(10.0f)), broadcast(-10.0f));
  b = max(b, broadcast(-40.0f));
  const Vec u = exp2_approx(mul(a, broadcast(-2.88539008f)));
  const Vec v = exp2_approx(mul(b, broadcast(-1.44269504f)));
  const Vec one = broadcast(1.0f), under = add(one, u);
  return div(sub(one, u), mul_add(under, v, under));
}

// 32 registers: 16 sums, beside the activations of each column and a vector of weights.
constexpr int tile_vectors(int columns) {
  return columns >= 4 ? 4 : 8;
}

} // namespace
} // namespace bunraku
