#if defined(__AVX512F__)
#include <math.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "wavenet_sample/cpu/plan.hpp"

// The vector type first, then what is written over it.
#include "core/simd_avx512.hpp"

#include "wavenet_sample/cpu/pairs_avx512.hpp"

#include "wavenet_sample/cpu/product.inl"

#include "wavenet_sample/cpu/choice.inl"

namespace bunraku_kernels {
namespace {

// Weights become 16 bits on the way; vpmaddwd sums two products in a lane.
struct Int8Dot {
  using Weights = __m512i;
  using Activations = __m512i;
  using Sum = __m512i;
  static constexpr WeightFormat format{WeightCode::Int8, kLanes, 2, 1};
  static constexpr int groups_at_once = 2;
  static constexpr int vectors(int columns) { return tile_vectors(columns); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    return _mm512_set1_epi32(static_cast<int>(words[group]));
  }
  static BUNRAKU_INLINE Sum begin(const float*, const std::uint32_t*, int) {
    return _mm512_setzero_si512();
  }
  static BUNRAKU_INLINE void add_product(Sum& sum, Weights w, Activations x) {
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(w, x));
  }
  static BUNRAKU_INLINE Vec finish(Sum sum, const float* y, const float* scale, Vec column_scale) {
    return mul_add(_mm512_cvtepi32_ps(sum), mul(load(scale), column_scale), load(y));
  }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups,
                                     float bound) {
    const Quantum quantum = quantum_of(x, 2 * groups, bound);
    for (int g = 0; g < groups; g += kLanes / 2) {
      const __m512i q = _mm512_cvtps_epi32(mul(load(x + 2 * g), broadcast(quantum.inverse)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + g), _mm512_cvtepi32_epi16(q));
    }
    return quantum.size;
  }
};

} // namespace
} // namespace bunraku_kernels

#include "wavenet_sample/cpu/frames.inl"

namespace bunraku_kernels {

constexpr WaveNetSampleKernels kWaveNetSampleAvx512 =
    kernels_of_this_unit<WideBfloat16Dot, Int8Dot>();

} // namespace bunraku_kernels
#endif
