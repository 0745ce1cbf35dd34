// The sum of products, in partial sums that the compiler can keep in vectors. Audio thread.
#pragma once

namespace bunraku {

inline float dot(const float* a, const float* b, int count) noexcept {
  constexpr int kLanes = 16;
  float sums[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane)
      sums[lane] += a[i + lane] * b[i + lane];
  float sum = 0.0f;
  for (; i < count; ++i)
    sum += a[i] * b[i];
  for (float part : sums)
    sum += part;
  return sum;
}

} // namespace bunraku
