// Sixteen floats in an AVX-512 register. Included by one translation unit per file, and everything
// is in an unnamed namespace, so that no AVX-512 code can be merged into the rest by the linker.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push // GCC 12's own header reads its "undefined" vectors (bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include "core/tanh_tables.hpp"

namespace bunraku {
namespace {

using Vec = __m512;
constexpr int kLanes = 16;

inline Vec load(const float* p) {
  return _mm512_loadu_ps(p);
}
inline void store(float* p, Vec v) {
  _mm512_storeu_ps(p, v);
}
inline Vec broadcast(float x) {
  return _mm512_set1_ps(x);
}
inline Vec zero() {
  return _mm512_setzero_ps();
}
inline Vec add(Vec a, Vec b) {
  return _mm512_add_ps(a, b);
}
inline Vec sub(Vec a, Vec b) {
  return _mm512_sub_ps(a, b);
}
inline Vec mul(Vec a, Vec b) {
  return _mm512_mul_ps(a, b);
}
inline Vec div(Vec a, Vec b) {
  return _mm512_div_ps(a, b);
}
inline Vec mul_add(Vec a, Vec b, Vec c) {
  return _mm512_fmadd_ps(a, b, c);
}
// A NaN in `a` gives `b`.
inline Vec min(Vec a, Vec b) {
  return _mm512_min_ps(a, b);
}
inline Vec max(Vec a, Vec b) {
  return _mm512_max_ps(a, b);
}
inline Vec abs(Vec a) {
  return _mm512_abs_ps(a);
}
inline Vec select_less(Vec a, Vec b, Vec if_less, Vec otherwise) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), otherwise, if_less);
}

// 32 cubics in |x|; the exponent and the leading mantissa bits of 1 + |x| * scale pick one.
inline Vec tanh_approx(Vec x) {
  const Vec sign = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(0x80000000u)));
  const Vec a = min(abs(x), broadcast(kTanhTableBound)); // NaN gives the bound
  const __m512i segment = _mm512_srli_epi32(
      _mm512_castps_si512(mul_add(a, broadcast(kTanhTableScale), broadcast(1.0f))), 20);
  const auto fetch = [segment](const float* table) {
    return _mm512_permutex2var_ps(_mm512_load_ps(table), segment, _mm512_load_ps(table + 16));
  };
  const Vec y =
      mul_add(mul_add(mul_add(fetch(kTanhCubic3), a, fetch(kTanhCubic2)), a, fetch(kTanhCubic1)), a,
              fetch(kTanhCubic0));
  // y | (x & sign)
  return _mm512_castsi512_ps(_mm512_ternarylogic_epi32(
      _mm512_castps_si512(y), _mm512_castps_si512(x), _mm512_castps_si512(sign), 0xF8));
}

} // namespace
} // namespace bunraku

#include "core/simd_tanh_rational.hpp"
