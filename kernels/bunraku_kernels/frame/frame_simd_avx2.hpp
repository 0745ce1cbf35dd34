// What frame_kernels.inl needs beside core/simd_avx2.hpp: eight pixels are a register and a half of
// bytes.
#pragma once

#include "frame/frame_simd_x86.hpp"

namespace bunraku_kernels {
namespace {

inline Vec bytes_to_floats(__m128i bytes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}
inline Vec load_bytes(const std::uint8_t* p) {
  return bytes_to_floats(load8(p));
}

template <int kChannel> inline Vec split_channel(__m128i head, __m128i tail) {
  return bytes_to_floats(
      _mm_or_si128(moved<FromPixels<kChannel, 0>>(head), moved<FromPixels<kChannel, 16>>(tail)));
}
inline void split_pixels(const std::uint8_t* pixels, Vec* channels) {
  const __m128i head = load16(pixels), tail = load8(pixels + 16);
  channels[0] = split_channel<0>(head, tail);
  channels[1] = split_channel<1>(head, tail);
  channels[2] = split_channel<2>(head, tail);
}

// Values in 0..255, rounded to nearest, halves to even. Eight bytes in the lower half.
inline __m128i floats_to_bytes(Vec values) {
  const __m256i codes = _mm256_cvtps_epi32(values);
  const __m128i words =
      _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
  return _mm_packus_epi16(words, words);
}
// `pair`: the first two channels in one register.
template <int kBegin> inline __m128i joined(__m128i pair, __m128i third) {
  return _mm_or_si128(_mm_or_si128(moved<FromChannel<0, kBegin, 0, 8>>(pair),
                                   moved<FromChannel<1, kBegin, 8, 8>>(pair)),
                      moved<FromChannel<2, kBegin, 0, 8>>(third));
}
inline void join_pixels(std::uint8_t* pixels, const Vec* channels) {
  const __m128i pair =
      _mm_unpacklo_epi64(floats_to_bytes(channels[0]), floats_to_bytes(channels[1]));
  const __m128i third = floats_to_bytes(channels[2]);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(pixels), joined<0>(pair, third));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(pixels + 16), joined<16>(pair, third));
}

// Lane i takes window[first[i] - begin]: for neighbours, which differ by less than kLanes.
constexpr bool kCanPick = true;
class Picker {
public:
  Picker(const std::int32_t* first, int begin)
      : m_places(_mm256_sub_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(first)),
                                  _mm256_set1_epi32(begin))) {}
  Vec operator()(const float* window) const {
    return _mm256_permutevar8x32_ps(load(window), m_places);
  }

private:
  __m256i m_places;
};

__attribute__((target("f16c"))) inline void widen(float* out, const std::uint16_t* halves,
                                                  int count) {
  for (int i = 0; i < count; i += 8) {
    std::uint16_t rest[8] = {};
    if (count - i < 8)
      std::memcpy(rest, halves + i, static_cast<std::size_t>(count - i) * 2);
    const std::uint16_t* eight = count - i < 8 ? rest : halves + i;
    store(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(eight))));
  }
}
__attribute__((target("f16c"))) inline void narrow(std::uint16_t* out, const float* values,
                                                   int count) {
  for (int i = 0; i < count; i += 8) {
    const __m128i eight = _mm256_cvtps_ph(load(values + i), _MM_FROUND_TO_NEAREST_INT);
    std::uint16_t halves[8];
    _mm_storeu_si128(reinterpret_cast<__m128i*>(halves), eight);
    std::memcpy(out + i, halves, static_cast<std::size_t>(count - i < 8 ? count - i : 8) * 2);
  }
}

} // namespace
} // namespace bunraku_kernels
