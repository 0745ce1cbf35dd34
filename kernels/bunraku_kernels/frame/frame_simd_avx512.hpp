// What frame_kernels.inl needs beside core/simd_avx512.hpp: sixteen pixels are three registers of
// bytes.
#pragma once

#include "frame/frame_simd_x86.hpp"

namespace bunraku_kernels {
namespace {

inline Vec bytes_to_floats(__m128i bytes) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
}
inline Vec load_bytes(const std::uint8_t* p) {
  return bytes_to_floats(load16(p));
}

template <int kChannel> inline Vec split_channel(__m128i head, __m128i middle, __m128i tail) {
  return bytes_to_floats(_mm_or_si128(
      _mm_or_si128(moved<FromPixels<kChannel, 0>>(head), moved<FromPixels<kChannel, 16>>(middle)),
      moved<FromPixels<kChannel, 32>>(tail)));
}
inline void split_pixels(const std::uint8_t* pixels, Vec* channels) {
  const __m128i head = load16(pixels), middle = load16(pixels + 16), tail = load16(pixels + 32);
  channels[0] = split_channel<0>(head, middle, tail);
  channels[1] = split_channel<1>(head, middle, tail);
  channels[2] = split_channel<2>(head, middle, tail);
}

// Values in 0..255, rounded to nearest, halves to even.
inline __m128i floats_to_bytes(Vec values) {
  return _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(values));
}
template <int kBegin> inline void join_part(std::uint8_t* pixels, __m128i a, __m128i b, __m128i c) {
  const __m128i all = _mm_or_si128(_mm_or_si128(moved<FromChannel<0, kBegin, 0, 16>>(a),
                                                moved<FromChannel<1, kBegin, 0, 16>>(b)),
                                   moved<FromChannel<2, kBegin, 0, 16>>(c));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(pixels + kBegin), all);
}
inline void join_pixels(std::uint8_t* pixels, const Vec* channels) {
  const __m128i a = floats_to_bytes(channels[0]), b = floats_to_bytes(channels[1]);
  const __m128i c = floats_to_bytes(channels[2]);
  join_part<0>(pixels, a, b, c);
  join_part<16>(pixels, a, b, c);
  join_part<32>(pixels, a, b, c);
}

// Lane i takes window[first[i] - begin]: for neighbours, which differ by less than kLanes.
constexpr bool kCanPick = true;
class Picker {
public:
  Picker(const std::int32_t* first, int begin)
      : m_places(_mm512_sub_epi32(_mm512_loadu_si512(first), _mm512_set1_epi32(begin))) {}
  Vec operator()(const float* window) const {
    return _mm512_permutexvar_ps(m_places, load(window));
  }

private:
  __m512i m_places;
};

inline void widen(float* out, const std::uint16_t* halves, int count) {
  int i = 0;
  for (; i + 16 <= count; i += 16)
    store(out + i,
          _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves + i))));
  if (i < count) {
    const auto mask = static_cast<__mmask16>((1u << (count - i)) - 1u);
    store(out + i, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, halves + i)));
  }
}
inline void narrow(std::uint16_t* out, const float* values, int count) {
  for (int i = 0; i < count; i += 16) {
    const __m256i halves = _mm512_cvtps_ph(load(values + i), _MM_FROUND_TO_NEAREST_INT);
    const auto mask = static_cast<__mmask16>(count - i >= 16 ? 0xffffu : (1u << (count - i)) - 1u);
    _mm256_mask_storeu_epi16(out + i, mask, halves);
  }
}

} // namespace
} // namespace bunraku_kernels
