#if defined(__AVX2__)
#include <math.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "wavenet_sample/cpu/plan.hpp"

// The vector type first, then what is written over it.
#include "core/simd_avx2.hpp"

namespace bunraku {
namespace {

// Eight pairs of bfloat16, their first and second halves as floats.
inline Vec even_halves(const std::byte* p) {
  return _mm256_castsi256_ps(
      _mm256_slli_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), 16));
}
inline Vec odd_halves(const std::byte* p) {
  return _mm256_castsi256_ps(
      _mm256_and_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                       _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}

inline float largest_of_lanes(Vec v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  m = _mm_max_ss(m, _mm_shuffle_ps(m, m, 1));
  return _mm_cvtss_f32(m);
}

} // namespace
} // namespace bunraku

#include "wavenet_sample/cpu/sixteen_registers.inl"

#include "wavenet_sample/cpu/product.inl"

#include "wavenet_sample/cpu/choice.inl"

namespace bunraku_kernels {
namespace {

// Weights become 16 bits on the way; vpmaddwd sums two products in a lane.
struct Int8Dot {
  using Weights = __m256i;
  using Activations = __m256i;
  using Sum = __m256i;
  static constexpr WeightFormat format{WeightCode::Int8, kLanes, 2, 1};
  static constexpr int groups_at_once = 2;
  static constexpr int vectors(int columns) { return tile_vectors(columns); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    return _mm256_set1_epi32(static_cast<int>(words[group]));
  }
  static BUNRAKU_INLINE Sum begin(const float*, const std::uint32_t*, int) {
    return _mm256_setzero_si256();
  }
  static BUNRAKU_INLINE void add_product(Sum& sum, Weights w, Activations x) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w, x));
  }
  static BUNRAKU_INLINE Vec finish(Sum sum, const float* y, const float* scale, Vec column_scale) {
    return mul_add(_mm256_cvtepi32_ps(sum), mul(load(scale), column_scale), load(y));
  }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups,
                                     float bound) {
    const Quantum quantum = quantum_of(x, 2 * groups, bound);
    for (int g = 0; g < groups; g += kLanes / 2) {
      const __m256i q = _mm256_cvtps_epi32(mul(load(x + 2 * g), broadcast(quantum.inverse)));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(words + g),
                       _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1)));
    }
    return quantum.size;
  }
};

} // namespace
} // namespace bunraku_kernels

#include "wavenet_sample/cpu/frames.inl"

namespace bunraku_kernels {

constexpr WaveNetSampleKernels kWaveNetSampleAvx2 =
    kernels_of_this_unit<WideBfloat16Dot, Int8Dot>();

} // namespace bunraku_kernels
#endif
