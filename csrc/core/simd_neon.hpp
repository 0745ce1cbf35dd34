// Four floats in a NEON register (ARMv8: fused multiply-add and division are in the base set).
#pragma once

#include <arm_neon.h>

#include "core/tanh_tables.hpp"

namespace bunraku {
namespace {

using Vec = float32x4_t;
constexpr int kLanes = 4;

inline Vec load(const float* p) {
  return vld1q_f32(p);
}
inline void store(float* p, Vec v) {
  vst1q_f32(p, v);
}
inline Vec broadcast(float x) {
  return vdupq_n_f32(x);
}
inline Vec zero() {
  return vdupq_n_f32(0.0f);
}
inline Vec add(Vec a, Vec b) {
  return vaddq_f32(a, b);
}
inline Vec sub(Vec a, Vec b) {
  return vsubq_f32(a, b);
}
inline Vec mul(Vec a, Vec b) {
  return vmulq_f32(a, b);
}
inline Vec div(Vec a, Vec b) {
  return vdivq_f32(a, b);
}
inline Vec mul_add(Vec a, Vec b, Vec c) {
  return vfmaq_f32(c, a, b);
}
inline Vec select_less(Vec a, Vec b, Vec if_less, Vec otherwise) {
  return vbslq_f32(vcltq_f32(a, b), if_less, otherwise);
}
// A NaN in `a` gives `b`.
inline Vec min(Vec a, Vec b) {
  return select_less(a, b, a, b);
}
inline Vec max(Vec a, Vec b) {
  return select_less(b, a, a, b);
}
inline Vec abs(Vec a) {
  return vabsq_f32(a);
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
