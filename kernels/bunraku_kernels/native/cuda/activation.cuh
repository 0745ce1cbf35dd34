// The activations of activations.py with slope and curve, by code, in float32.
#pragma once

#include "cuda/platform.cuh"

namespace bunraku_kernels {

enum class ActivationCode : int { Linear, Relu, Lrelu, Tanh, Sigmoid, Silu, Softplus, Elu };

__device__ inline float sigmoid(float u) {
  return 1.0f / (1.0f + expf(-u));
}

__device__ inline float activation_value(ActivationCode code, float u, float alpha) {
  switch (code) {
  case ActivationCode::Relu:
    return u < 0.0f ? 0.0f : u; // fmaxf would make a number of not-a-number
  case ActivationCode::Lrelu:
    return u > 0.0f ? u : alpha * u;
  case ActivationCode::Tanh:
    return tanhf(u);
  case ActivationCode::Sigmoid:
    return sigmoid(u);
  case ActivationCode::Silu:
    return u * sigmoid(u);
  case ActivationCode::Softplus:
    return fmaxf(u, 0.0f) + log1pf(expf(-fabsf(u)));
  case ActivationCode::Elu:
    return u > 0.0f ? u : alpha * expm1f(u);
  default:
    return u;
  }
}

// Not-a-number passes, where fminf and fmaxf would give the limit. A negative limit is none.
__device__ inline float clamped(float value, float limit) {
  if (limit < 0.0f)
    return value;
  return value > limit ? limit : value < -limit ? -limit : value;
}

// Where the clamp holds, and at not-a-number under one, no gradient passes.
__device__ inline bool passes_clamp(float value, float limit) {
  return limit < 0.0f || fabsf(value) < limit;
}

__device__ inline float activation_slope(ActivationCode code, float u, float alpha) {
  switch (code) {
  case ActivationCode::Relu:
    return u > 0.0f ? 1.0f : 0.0f;
  case ActivationCode::Lrelu:
    return u > 0.0f ? 1.0f : alpha;
  case ActivationCode::Tanh: {
    const float t = tanhf(u);
    return 1.0f - t * t;
  }
  case ActivationCode::Sigmoid: {
    const float s = sigmoid(u);
    return s * (1.0f - s);
  }
  case ActivationCode::Silu: {
    const float s = sigmoid(u);
    return s * (1.0f + u * (1.0f - s));
  }
  case ActivationCode::Softplus:
    return sigmoid(u);
  case ActivationCode::Elu:
    return u > 0.0f ? 1.0f : alpha * expf(u);
  default:
    return 1.0f;
  }
}

__device__ inline float activation_curve(ActivationCode code, float u, float alpha) {
  switch (code) {
  case ActivationCode::Tanh: {
    const float t = tanhf(u);
    return -2.0f * t * (1.0f - t * t);
  }
  case ActivationCode::Sigmoid: {
    const float s = sigmoid(u);
    return -s * (1.0f - s) * tanhf(0.5f * u); // 1 - 2s would cancel near zero
  }
  case ActivationCode::Silu: {
    const float s = sigmoid(u);
    return s * (1.0f - s) * (2.0f + u * (1.0f - 2.0f * s));
  }
  case ActivationCode::Softplus: {
    const float s = sigmoid(u);
    return s * (1.0f - s);
  }
  case ActivationCode::Elu:
    return u > 0.0f ? 0.0f : alpha * expf(u);
  default:
    return 0.0f;
  }
}

// An activation with what follows it.
struct Activation {
  ActivationCode code;
  float alpha;
  float gain;
  float clamp; // negative: none
};

// Order 0: clamped(gain * f(u)). 1: its slope times dy. 2: its curve times dy and ddx.
__device__ inline float activated(const Activation& a, int order, float u, float dy, float ddx) {
  const float value = a.gain * activation_value(a.code, u, a.alpha);
  if (order == 0)
    return clamped(value, a.clamp);
  if (!passes_clamp(value, a.clamp))
    return 0.0f;
  if (order == 1)
    return dy * a.gain * activation_slope(a.code, u, a.alpha);
  return ddx * dy * a.gain * activation_curve(a.code, u, a.alpha);
}

} // namespace bunraku_kernels
