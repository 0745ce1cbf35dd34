// The elementwise activations of the .nam format, over the Vec of the simd header included before.
#pragma once

#include "core/activation_kernels.hpp"

namespace bunraku {
namespace {

inline Vec sigmoid_approx(Vec x) {
  const Vec half = broadcast(0.5f);
  return mul_add(half, tanh_approx(mul(half, x)), half);
}

inline Vec clamp(Vec x, float low, float high) {
  return max(min(x, broadcast(high)), broadcast(low));
}

// NeuralAmpModeler's "fast tanh", a different function from tanh (2.4e-3 off).
inline Vec fast_tanh(Vec x) {
  const Vec a = abs(x);
  const Vec s = mul(x, x);
  const Vec c = broadcast(2.45550750702956f);
  const Vec d = broadcast(2.44506634652299f);
  const Vec poly = mul_add(broadcast(0.821226666969744f), a, broadcast(0.893229853513558f));
  const Vec top = mul(x, mul_add(poly, s, mul_add(c, a, c)));
  const Vec bent = abs(mul_add(mul(broadcast(0.814642734961073f), x), a, x));
  return div(top, mul_add(add(d, s), bent, d));
}

inline Vec leaky_hardtanh(Vec x, const float* p) {
  const Vec low = broadcast(p[0]), high = broadcast(p[1]);
  const Vec below = mul_add(sub(x, low), broadcast(p[2]), low);
  const Vec above = mul_add(sub(x, high), broadcast(p[3]), high);
  return select_less(x, low, below, select_less(high, x, above, x));
}

// `p`: the activation's parameters; for PReLU the slope of this channel.
inline Vec activate(ActivationCode code, const float* p, Vec x) {
  switch (code) {
  case ActivationCode::Tanh:
    return tanh_approx(x);
  case ActivationCode::Hardtanh:
    return clamp(x, -1.0f, 1.0f);
  case ActivationCode::Fasttanh:
    return fast_tanh(x);
  case ActivationCode::ReLU:
    return max(x, zero());
  case ActivationCode::LeakyReLU:
    return select_less(zero(), x, x, mul(x, broadcast(p[0])));
  case ActivationCode::LeakyReLUBelowOne:
    return max(x, mul(x, broadcast(p[0])));
  case ActivationCode::Sigmoid:
    return sigmoid_approx(x);
  case ActivationCode::SiLU:
    return mul(x, sigmoid_approx(x));
  case ActivationCode::Hardswish:
    return mul(mul(x, clamp(add(x, broadcast(3.0f)), 0.0f, 6.0f)), broadcast(1.0f / 6.0f));
  case ActivationCode::LeakyHardtanh:
    return leaky_hardtanh(x, p);
  case ActivationCode::Softsign:
    return div(x, add(broadcast(1.0f), abs(x)));
  }
  return x;
}

} // namespace
} // namespace bunraku
