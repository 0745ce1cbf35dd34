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
    return s * (1.0f - s) * (1.0f - 2.0f * s);
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

} // namespace bunraku_kernels
