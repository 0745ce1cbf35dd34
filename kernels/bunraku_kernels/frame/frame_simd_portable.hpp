// What frame_kernels.inl needs beside core/simd_portable.hpp: bytes, halves and quads in plain C++.
#pragma once

#include <cstdint>
#include <cstring>

namespace bunraku_kernels {
namespace {

using namespace bunraku;
using Quad = Vec;
static_assert(kLanes == 4, "a quad is the portable vector");

inline Quad quad_load(const float* p) {
  return load(p);
}
inline void quad_store(float* p, Quad q) {
  store(p, q);
}
inline Quad quad_broadcast(float x) {
  return broadcast(x);
}
inline Quad quad_add(Quad a, Quad b) {
  return add(a, b);
}
inline Quad quad_mul_add(Quad a, Quad b, Quad c) {
  return mul_add(a, b, c);
}
// Lanes 2, 1, 0 and any.
inline Quad quad_reversed(Quad q) {
  float lanes[4];
  store(lanes, q);
  const float reversed[4] = {lanes[2], lanes[1], lanes[0], lanes[3]};
  return load(reversed);
}
// Four quads to four values of each of their first three lanes.
inline void quads_to_lines(const float* quads, float* a, float* b, float* c) {
  for (int i = 0; i < 4; ++i, quads += 4) {
    a[i] = quads[0];
    b[i] = quads[1];
    c[i] = quads[2];
  }
}

inline Vec load_bytes(const std::uint8_t* p) {
  const float lanes[4] = {static_cast<float>(p[0]), static_cast<float>(p[1]),
                          static_cast<float>(p[2]), static_cast<float>(p[3])};
  return load(lanes);
}
inline void split_pixels(const std::uint8_t* pixels, Vec* channels) {
  for (int c = 0; c < 3; ++c) {
    const float lanes[4] = {static_cast<float>(pixels[c]), static_cast<float>(pixels[3 + c]),
                            static_cast<float>(pixels[6 + c]), static_cast<float>(pixels[9 + c])};
    channels[c] = load(lanes);
  }
}
// Values in 0..255, rounded to nearest, halves to even: adding 2^23 leaves no room for a fraction.
inline void join_pixels(std::uint8_t* pixels, const Vec* channels) {
  for (int c = 0; c < 3; ++c) {
    float lanes[4];
    store(lanes, add(channels[c], broadcast(8388608.0f)));
    for (int i = 0; i < 4; ++i) {
      std::uint32_t bits;
      std::memcpy(&bits, lanes + i, 4);
      pixels[3 * i + c] = static_cast<std::uint8_t>(bits);
    }
  }
}

constexpr bool kCanPick = false;
struct Picker {
  Picker(const std::int32_t*, int) {}
  Vec operator()(const float* window) const { return load(window); }
};

inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t rest = half & 0x7fffu;
  std::uint32_t bits =
      sign | (rest >= 0x7c00u ? 0x7f800000u | (rest & 0x3ffu) << 13 : (rest << 13) + (112u << 23));
  float value;
  if (rest < 0x400u) { // subnormal: a multiple of 2^-24
    value = static_cast<float>(rest) * 5.9604644775390625e-8f;
    std::memcpy(&bits, &value, 4);
    bits |= sign;
  }
  std::memcpy(&value, &bits, 4);
  return value;
}

// To nearest, halves to even.
inline std::uint16_t float_to_half(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, 4);
  const std::uint32_t sign = bits >> 16 & 0x8000u;
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u)
    return static_cast<std::uint16_t>(sign | 0x7e00u);
  if (bits >= 0x477ff000u)
    return static_cast<std::uint16_t>(sign | 0x7c00u);
  if (bits < 0x38800000u) { // below 2^-14: the sum with 1/2 rounds to a multiple of 2^-24
    float magnitude;
    std::memcpy(&magnitude, &bits, 4);
    magnitude += 0.5f;
    std::memcpy(&bits, &magnitude, 4);
    return static_cast<std::uint16_t>(sign | (bits - 0x3f000000u));
  }
  const std::uint32_t rounded = bits + 0xfffu + (bits >> 13 & 1u);
  return static_cast<std::uint16_t>(sign | ((rounded - (112u << 23)) >> 13));
}

inline void widen(float* out, const std::uint16_t* halves, int count) {
  for (int i = 0; i < count; ++i)
    out[i] = half_to_float(halves[i]);
}
inline void narrow(std::uint16_t* out, const float* values, int count) {
  for (int i = 0; i < count; ++i)
    out[i] = float_to_half(values[i]);
}

} // namespace
} // namespace bunraku_kernels
