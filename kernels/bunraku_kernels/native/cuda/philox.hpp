// Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random
// numbers: as easy as 1, 2, 3" (SC 2011): the same counter and key give the same four words on
// every backend, in any order. No CUDA header is needed, so host units include this too.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define BUNRAKU_HOST_DEVICE __host__ __device__
#else
#define BUNRAKU_HOST_DEVICE
#endif

namespace bunraku {

struct UInt32x4 {
  std::uint32_t x, y, z, w;
};

struct UInt32x2 {
  std::uint32_t x, y;
};

namespace philox_detail {

BUNRAKU_HOST_DEVICE inline UInt32x4 round(UInt32x4 counter, UInt32x2 key) {
  const std::uint64_t even = std::uint64_t{0xD2511F53u} * counter.x;
  const std::uint64_t odd = std::uint64_t{0xCD9E8D57u} * counter.z;
  return {
      static_cast<std::uint32_t>(odd >> 32) ^ counter.y ^ key.x, static_cast<std::uint32_t>(odd),
      static_cast<std::uint32_t>(even >> 32) ^ counter.w ^ key.y, static_cast<std::uint32_t>(even)};
}

} // namespace philox_detail

/// Four independent uniform 32-bit words for one counter and key.
BUNRAKU_HOST_DEVICE inline UInt32x4 philox4x32_10(UInt32x4 counter, UInt32x2 key) {
  for (int i = 0; i < 9; ++i) {
    counter = philox_detail::round(counter, key);
    key.x += 0x9E3779B9u; // the golden ratio
    key.y += 0xBB67AE85u; // the square root of three, less one
  }
  return philox_detail::round(counter, key);
}

/// A word as a float in the open interval (0, 1): (its top 24 bits + 0.5) / 2^24, rounded to float.
/// That rounds to 1 for the last of the 2^24 values, whose logarithm then vanishes: it is held at
/// the largest float below 1.
BUNRAKU_HOST_DEVICE inline float unit_open(std::uint32_t word) {
  const float value = (static_cast<float>(word >> 8) + 0.5f) * (1.0f / 16777216.0f);
  const float largest = 1.0f - 1.0f / 16777216.0f;
  return value < largest ? value : largest;
}

} // namespace bunraku
