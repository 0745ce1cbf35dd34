// Eight floats in an AVX2 register. Included by one translation unit per file, and everything is
// in an unnamed namespace, so that no AVX2 code can be merged into the rest by the linker.
#pragma once

#include <immintrin.h>

#include "core/tanh_tables.hpp"

namespace bunraku {
namespace {

using Vec = __m256;
constexpr int kLanes = 8;

inline Vec load(const float* p) {
  return _mm256_loadu_ps(p);
}
inline void store(float* p, Vec v) {
  _mm256_storeu_ps(p, v);
}
inline Vec broadcast(float x) {
  return _mm256_set1_ps(x);
}
inline Vec zero() {
  return _mm256_setzero_ps();
}
inline Vec add(Vec a, Vec b) {
  return _mm256_add_ps(a, b);
}
inline Vec sub(Vec a, Vec b) {
  return _mm256_sub_ps(a, b);
}
inline Vec mul(Vec a, Vec b) {
  return _mm256_mul_ps(a, b);
}
inline Vec div(Vec a, Vec b) {
  return _mm256_div_ps(a, b);
}
inline Vec mul_add(Vec a, Vec b, Vec c) {
  return _mm256_fmadd_ps(a, b, c);
}
// A NaN in `a` gives `b`.
inline Vec min(Vec a, Vec b) {
  return _mm256_min_ps(a, b);
}
inline Vec max(Vec a, Vec b) {
  return _mm256_max_ps(a, b);
}
inline Vec abs(Vec a) {
  return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
inline Vec select_less(Vec a, Vec b, Vec if_less, Vec otherwise) {
  return _mm256_blendv_ps(otherwise, if_less, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

} // namespace
} // namespace bunraku

#include "core/simd_tanh_rational.hpp"

namespace bunraku {
namespace {

inline Vec tanh_approx(Vec x) {
  return tanh_rational(x);
}

} // namespace
} // namespace bunraku
