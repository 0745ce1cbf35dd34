#include <math.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "wavenet_sample/cpu/plan.hpp"

// The vector type first, then what is written over it.
#include "core/simd_portable.hpp"

namespace bunraku {
namespace {

// Four pairs of bfloat16, their first and second halves as floats.
inline Vec halves(const std::byte* p, int shift) {
  std::uint32_t words[kLanes];
  std::memcpy(words, p, sizeof words);
  for (std::uint32_t& word : words)
    word = (word << shift) & 0xffff0000u;
  Vec v;
  std::memcpy(&v, words, sizeof v);
  return v;
}
inline Vec even_halves(const std::byte* p) {
  return halves(p, 16);
}
inline Vec odd_halves(const std::byte* p) {
  return halves(p, 0);
}

// One byte of each of four words, as a float.
inline Vec signed_bytes(const std::byte* p, int byte) {
#if defined(__GNUC__) || defined(__clang__)
  VecBits words;
  std::memcpy(&words, p, sizeof words);
  return __builtin_convertvector((words << (24 - 8 * byte)) >> 24, Vec);
#else
  return each([&](int i) { return static_cast<float>(static_cast<signed char>(p[4 * i + byte])); });
#endif
}

inline float largest_of_lanes(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  float most = lanes[0];
  for (const float lane : lanes)
    most = lane > most ? lane : most;
  return most;
}

} // namespace
} // namespace bunraku

#include "wavenet_sample/cpu/sixteen_registers.inl"

#include "wavenet_sample/cpu/product.inl"

#include "wavenet_sample/cpu/choice.inl"

namespace bunraku_kernels {
namespace {

// One product of whole numbers a lane, as floats: exact while sums stay below 2^24, as those of a
// thousand products do.
struct Int8Dot {
  struct Weights {
    Vec input[4];
  };
  struct Activations {
    Vec input[4];
  };
  using Sum = Vec;
  static constexpr WeightFormat format{WeightCode::Int8, kLanes, 4, 4};
  static constexpr int groups_at_once = 2;
  static constexpr int vectors(int columns) { return tile_vectors(columns); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) {
    return {{signed_bytes(p, 0), signed_bytes(p, 1), signed_bytes(p, 2), signed_bytes(p, 3)}};
  }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    const auto* x = reinterpret_cast<const float*>(words) + 4 * group;
    return {{broadcast(x[0]), broadcast(x[1]), broadcast(x[2]), broadcast(x[3])}};
  }
  static BUNRAKU_INLINE Sum begin(const float*, const std::uint32_t*, int) { return zero(); }
  static BUNRAKU_INLINE void add_product(Sum& sum, const Weights& w, const Activations& x) {
    BUNRAKU_UNROLL(4, i, { sum = mul_add(w.input[i], x.input[i], sum); });
  }
  static BUNRAKU_INLINE Vec finish(Sum sum, const float* y, const float* scale, Vec column_scale) {
    return mul_add(sum, mul(load(scale), column_scale), load(y));
  }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups,
                                     float bound) {
    const Quantum quantum = quantum_of(x, 4 * groups, bound);
    auto* out = reinterpret_cast<float*>(words);
    const Vec rounder = broadcast(12582912.0f); // 1.5 * 2^23: adding it leaves no fraction
    for (int i = 0; i < 4 * groups; i += kLanes)
      store(out + i, sub(add(mul(load(x + i), broadcast(quantum.inverse)), rounder), rounder));
    return quantum.size;
  }
};

} // namespace
} // namespace bunraku_kernels

#include "wavenet_sample/cpu/frames.inl"

namespace bunraku_kernels {

constexpr WaveNetSampleKernels kWaveNetSamplePortable =
    kernels_of_this_unit<WideBfloat16Dot, Int8Dot>();

} // namespace bunraku_kernels
