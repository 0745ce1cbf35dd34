// tanh as x * P(x^2) / Q(x^2) between bounds.
#pragma once

namespace bunraku {
namespace {

inline Vec tanh_rational(Vec x) {
  const Vec bound = broadcast(kTanhRationalBound);
  const Vec c = max(min(x, bound), sub(zero(), bound)); // NaN gives the bound
  const Vec s = mul(c, c);
  Vec p = mul_add(broadcast(kTanhP[4]), s, broadcast(kTanhP[3]));
  p = mul_add(p, s, broadcast(kTanhP[2]));
  Vec q = mul_add(broadcast(kTanhQ[3]), s, broadcast(kTanhQ[2]));
  p = mul_add(p, s, broadcast(kTanhP[1]));
  q = mul_add(q, s, broadcast(kTanhQ[1]));
  p = mul_add(p, s, broadcast(kTanhP[0]));
  q = mul_add(q, s, broadcast(kTanhQ[0]));
  return div(mul(c, p), q);
}

inline float sum_of_lanes(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  float sum = 0.0f;
  for (const float lane : lanes)
    sum += lane;
  return sum;
}

} // namespace
} // namespace bunraku
