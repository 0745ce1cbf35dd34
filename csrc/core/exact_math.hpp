// tanh and the logistic function without branches or calls, so that loops over frames vectorise:
// within 3 units in the last place of the true value, for every float. Audio thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace bunraku {

struct ExpSplit {
  float scale;     // 2^k
  float minus_one; // e^r - 1, with |r| <= ln(2) / 2; the exponential is scale * (1 + minus_one)
};

// e^x for -87 <= x <= 0, split so that e^x - 1 can be had without cancellation.
inline ExpSplit split_exp(float x) noexcept {
  const auto k = static_cast<std::int32_t>(x * 1.44269504088896341f - 0.5f); // towards 0: nearest
  const float n = static_cast<float>(k);
  // ln 2 in two parts (Cody and Waite), so that r keeps all its bits.
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.98412698e-4f; // 1/7!, and so on down: the Taylor series is enough on this interval
  p = p * r + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r * r + r;
  const std::int32_t bits = (k + 127) * (1 << 23);
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return {scale, p};
}

inline float exact_tanh(float x) noexcept {
  const float a = std::min(10.0f, std::fabs(x)); // tanh(10) is 1 in float; a NaN becomes 10
  const ExpSplit e = split_exp(-2.0f * a);
  const float minus_one = e.scale * e.minus_one + (e.scale - 1.0f); // e^(-2a) - 1
  const float magnitude = -minus_one / (2.0f + minus_one);
  return x != x ? x : std::copysign(magnitude, x);
}

inline float exact_sigmoid(float x) noexcept {
  const float a = std::min(87.0f, std::fabs(x)); // a NaN becomes 87
  const ExpSplit e = split_exp(-a);
  const float small = e.scale * e.minus_one + e.scale; // e^-a
  const float upper = 1.0f / (1.0f + small);
  const float value = x < 0.0f ? small * upper : upper;
  return x != x ? x : value;
}

} // namespace bunraku
