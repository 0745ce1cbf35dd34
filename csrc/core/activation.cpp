#include "activation.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "exact_math.hpp"

namespace bunraku {
namespace {

template <class Function> void each(float* samples, int frames, Function function) noexcept {
  for (int frame = 0; frame < frames; ++frame)
    samples[frame] = function(samples[frame]);
}

// The rational approximation that the .nam format calls "Fasttanh"; part of the format, so its
// constants are too.
float fast_tanh(float x) noexcept {
  const float a = std::fabs(x);
  const float square = x * x;
  const float numerator = x * (2.45550750702956f + 2.45550750702956f * a +
                               (0.893229853513558f + 0.821226666969744f * a) * square);
  const float denominator =
      2.44506634652299f + (2.44506634652299f + square) * std::fabs(x + 0.814642734961073f * x * a);
  return numerator / denominator;
}

} // namespace

Activation::Activation(ActivationSpec spec) : m_spec(std::move(spec)) {}

void Activation::apply(int channel, float* samples, int frames) const noexcept {
  const std::vector<float>& p = m_spec.parameters;
  switch (m_spec.kind) {
  case ActivationKind::Tanh:
    return each(samples, frames, [](float x) { return exact_tanh(x); });
  case ActivationKind::Hardtanh:
    return each(samples, frames, [](float x) { return std::min(std::max(x, -1.0f), 1.0f); });
  case ActivationKind::Fasttanh:
    return each(samples, frames, fast_tanh);
  case ActivationKind::ReLU:
    return each(samples, frames, [](float x) { return x > 0.0f ? x : 0.0f; });
  case ActivationKind::LeakyReLU:
  case ActivationKind::PReLU: {
    const float slope = p[static_cast<std::size_t>(channel) % p.size()];
    return each(samples, frames, [slope](float x) { return x > 0.0f ? x : slope * x; });
  }
  case ActivationKind::Sigmoid:
    return each(samples, frames, [](float x) { return exact_sigmoid(x); });
  case ActivationKind::SiLU:
    return each(samples, frames, [](float x) { return x * exact_sigmoid(x); });
  case ActivationKind::Hardswish:
    return each(samples, frames, [](float x) {
      return x * std::min(std::max(x + 3.0f, 0.0f), 6.0f) * (1.0f / 6.0f);
    });
  case ActivationKind::LeakyHardtanh: {
    const float low = p[0], high = p[1], low_slope = p[2], high_slope = p[3];
    return each(samples, frames, [=](float x) {
      const float upper = x > high ? (x - high) * high_slope + high : x;
      return x < low ? (x - low) * low_slope + low : upper;
    });
  }
  case ActivationKind::Softsign:
    return each(samples, frames, [](float x) { return x / (1.0f + std::fabs(x)); });
  }
}

} // namespace bunraku
