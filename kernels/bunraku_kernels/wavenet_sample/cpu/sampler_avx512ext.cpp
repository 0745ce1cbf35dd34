#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
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

// The products are written as assembly: GCC 12 copies the sums before and after these intrinsics.

// Two products of 16-bit floats a lane and instruction; activations are rounded to bfloat16 too.
struct Bfloat16Dot {
  using Weights = __m512i;
  using Activations = __m512i;
  using Sum = Vec;
  static constexpr WeightFormat format{WeightCode::Bfloat16, kLanes, 2, 1};
  static constexpr int groups_at_once = 1;
  static constexpr int vectors(int columns) { return tile_vectors(columns); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) { return _mm512_loadu_si512(p); }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    return _mm512_set1_epi32(static_cast<int>(words[group]));
  }
  static BUNRAKU_INLINE Sum begin(const float* y, const std::uint32_t*, int) { return load(y); }
  static BUNRAKU_INLINE void add_product(Sum& sum, Weights w, Activations x) {
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
  }
  static BUNRAKU_INLINE Vec finish(Sum sum, const float*, const float*, Vec) { return sum; }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups, float) {
    for (int g = 0; g < groups; g += kLanes / 2)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(words + g),
                          (__m256i)_mm512_cvtneps_pbh(load(x + 2 * g)));
    return 1.0f;
  }
};

// vpdpbusd sums four products of an unsigned and a signed byte in a lane. Weights are made unsigned
// by adding 128; what that adds is 128 times the sum of the activations, known when they are
// encoded.
struct Int8Dot {
  using Weights = __m512i;
  using Activations = __m512i;
  using Sum = __m512i;
  static constexpr WeightFormat format{WeightCode::Int8Plus128, kLanes, 4, 1};
  static constexpr int groups_at_once = 1;
  static constexpr int vectors(int columns) { return tile_vectors(columns); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) { return _mm512_loadu_si512(p); }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    return _mm512_set1_epi32(static_cast<int>(words[group]));
  }
  static BUNRAKU_INLINE Sum begin(const float*, const std::uint32_t* words, int groups) {
    return _mm512_set1_epi32(static_cast<int>(words[groups]));
  }
  static BUNRAKU_INLINE void add_product(Sum& sum, Weights w, Activations x) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
  }
  static BUNRAKU_INLINE Vec finish(Sum sum, const float* y, const float* scale, Vec column_scale) {
    return mul_add(_mm512_cvtepi32_ps(sum), mul(load(scale), column_scale), load(y));
  }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups,
                                     float bound) {
    const Quantum quantum = quantum_of(x, 4 * groups, bound);
    __m512i sum = _mm512_setzero_si512();
    for (int g = 0; g < groups; g += kLanes / 4) {
      const __m512i q = _mm512_cvtps_epi32(mul(load(x + 4 * g), broadcast(quantum.inverse)));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(words + g), _mm512_cvtepi32_epi8(q));
      sum = _mm512_add_epi32(sum, q);
    }
    words[groups] = static_cast<std::uint32_t>(_mm512_reduce_add_epi32(sum)) * (0u - 128u);
    return quantum.size;
  }
};

} // namespace
} // namespace bunraku_kernels

#include "wavenet_sample/cpu/frames.inl"

namespace bunraku_kernels {

constexpr WaveNetSampleKernels kWaveNetSampleAvx512Ext =
    kernels_of_this_unit<Bfloat16Dot, Int8Dot>();

} // namespace bunraku_kernels
#endif
