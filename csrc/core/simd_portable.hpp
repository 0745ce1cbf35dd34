// Four floats by the compiler's own vector type, for any processor that it knows; plain C++ where
// it has none. Baseline flags only.
#pragma once

#include <cmath>
#include <cstring>

#include "core/tanh_tables.hpp"

namespace bunraku {
namespace {

constexpr int kLanes = 4;

#if defined(__GNUC__) || defined(__clang__)
typedef float Vec __attribute__((vector_size(16)));
typedef int VecBits __attribute__((vector_size(16)));

inline Vec broadcast(float x) {
  return Vec{x, x, x, x};
}
inline Vec add(Vec a, Vec b) {
  return a + b;
}
inline Vec sub(Vec a, Vec b) {
  return a - b;
}
inline Vec mul(Vec a, Vec b) {
  return a * b;
}
inline Vec div(Vec a, Vec b) {
  return a / b;
}
inline Vec mul_add(Vec a, Vec b, Vec c) {
  return a * b + c;
}
inline Vec select_less(Vec a, Vec b, Vec if_less, Vec otherwise) {
  const VecBits less = a < b;
  return (Vec)((less & (VecBits)if_less) | (~less & (VecBits)otherwise));
}
inline Vec abs(Vec a) {
  return (Vec)((VecBits)a & 0x7fffffff);
}
#else
struct Vec {
  float lane[kLanes];
};

template <typename Function> inline Vec each(Function function) {
  Vec v;
  for (int i = 0; i < kLanes; ++i)
    v.lane[i] = function(i);
  return v;
}
inline Vec broadcast(float x) {
  return each([&](int) { return x; });
}
inline Vec add(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline Vec sub(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] - b.lane[i]; });
}
inline Vec mul(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] * b.lane[i]; });
}
inline Vec div(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] / b.lane[i]; });
}
inline Vec mul_add(Vec a, Vec b, Vec c) {
  return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
}
inline Vec select_less(Vec a, Vec b, Vec if_less, Vec otherwise) {
  return each([&](int i) { return a.lane[i] < b.lane[i] ? if_less.lane[i] : otherwise.lane[i]; });
}
inline Vec abs(Vec a) {
  return each([&](int i) { return std::fabs(a.lane[i]); });
}
#endif

inline Vec zero() {
  return broadcast(0.0f);
}
inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) {
  std::memcpy(p, &v, sizeof v);
}
// A NaN in `a` gives `b`.
inline Vec min(Vec a, Vec b) {
  return select_less(a, b, a, b);
}
inline Vec max(Vec a, Vec b) {
  return select_less(b, a, a, b);
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
