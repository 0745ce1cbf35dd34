// What the AVX2 and AVX-512 units of frame_kernels.inl share: quads, and three times 16 bytes or 8
// between pixels and channels. Included after core/simd_avx2.hpp or core/simd_avx512.hpp.
#pragma once

#include <cstdint>

namespace bunraku_kernels {
namespace {

using namespace bunraku;
using Quad = __m128;

inline Quad quad_load(const float* p) {
  return _mm_loadu_ps(p);
}
inline void quad_store(float* p, Quad q) {
  _mm_storeu_ps(p, q);
}
inline Quad quad_broadcast(float x) {
  return _mm_set1_ps(x);
}
inline Quad quad_add(Quad a, Quad b) {
  return _mm_add_ps(a, b);
}
inline Quad quad_mul_add(Quad a, Quad b, Quad c) {
  return _mm_fmadd_ps(a, b, c);
}
// Lanes 2, 1, 0 and any.
inline Quad quad_reversed(Quad q) {
  return _mm_shuffle_ps(q, q, _MM_SHUFFLE(3, 0, 1, 2));
}
// Four quads to four values of each of their first three lanes.
inline void quads_to_lines(const float* quads, float* a, float* b, float* c) {
  const Quad q0 = quad_load(quads), q1 = quad_load(quads + 4);
  const Quad q2 = quad_load(quads + 8), q3 = quad_load(quads + 12);
  const Quad low01 = _mm_unpacklo_ps(q0, q1), low23 = _mm_unpacklo_ps(q2, q3);
  quad_store(a, _mm_movelh_ps(low01, low23));
  quad_store(b, _mm_movehl_ps(low23, low01));
  quad_store(c, _mm_movelh_ps(_mm_unpackhi_ps(q0, q1), _mm_unpackhi_ps(q2, q3)));
}

// Byte i of the result is byte place(i) of the source, or zero where place(i) is outside 0..15.
// Place is a type with a constexpr static function, so that the whole pattern is one constant.
struct BytePattern {
  alignas(16) std::int8_t places[16];
};
template <typename Place> constexpr BytePattern byte_pattern() {
  BytePattern pattern{};
  for (int i = 0; i < 16; ++i) {
    const int place = Place::of(i);
    pattern.places[i] = static_cast<std::int8_t>(place >= 0 && place < 16 ? place : -128);
  }
  return pattern;
}
template <typename Place> inline __m128i moved(__m128i source) {
  static constexpr BytePattern pattern = byte_pattern<Place>();
  return _mm_shuffle_epi8(source, _mm_load_si128(reinterpret_cast<const __m128i*>(pattern.places)));
}

// Channel kChannel of pixel i, from a register that begins at byte kBegin of the pixels.
template <int kChannel, int kBegin> struct FromPixels {
  static constexpr int of(int i) { return 3 * i + kChannel - kBegin; }
};
// Byte kBegin + i of the pixels, from a register that has channel kChannel from kPlace on.
template <int kChannel, int kBegin, int kPlace, int kPixels> struct FromChannel {
  static constexpr int of(int i) {
    const int byte = kBegin + i;
    return byte % 3 == kChannel && byte / 3 < kPixels ? kPlace + byte / 3 : -1;
  }
};

inline __m128i load16(const std::uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline __m128i load8(const std::uint8_t* p) {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
}

} // namespace
} // namespace bunraku_kernels
