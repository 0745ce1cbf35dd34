#include <math.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "wavenet_sample/wavenet_sample_plan.hpp"

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

inline float largest_of_lanes(Vec v) {
  float lanes[kLanes];
  store(lanes, v);
  float most = lanes[0];
  for (const float lane : lanes)
    most = lane > most ? lane : most;
  return most;
}

inline Vec gate_product(Vec a, Vec b) {
  const Vec half = broadcast(0.5f);
  return mul(tanh_approx(a), mul_add(half, tanh_approx(mul(half, b)), half));
}

// 16 registers: 8 sums, beside the activations of each column and a vector of weights.
constexpr int tile_vectors(int columns, int registers_a_sum) {
  const int sums = columns * registers_a_sum;
  return sums >= 4 ? 2 : sums >= 2 ? 4 : 8;
}

} // namespace
} // namespace bunraku

#include "wavenet_sample/wavenet_sample.inl"

namespace bunraku_kernels {
namespace {

struct Lanes {
  std::int32_t lane[kLanes];
};

// One product of 8 by 16 bits a lane.
struct Int8Dot {
  using Weights = Lanes;
  using Activations = std::int32_t;
  using Sum = Lanes;
  static constexpr WeightFormat format{WeightCode::Int8, kLanes, 1, 1};
  static constexpr int vectors(int columns) { return tile_vectors(columns, 1); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) {
    Lanes w;
    for (int i = 0; i < kLanes; ++i)
      w.lane[i] = static_cast<std::int8_t>(p[i]);
    return w;
  }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    return static_cast<std::int32_t>(words[group]);
  }
  static BUNRAKU_INLINE Sum begin(const float*, const std::uint32_t*, int) { return {}; }
  static BUNRAKU_INLINE void add_product(Sum& sum, const Weights& w, Activations x) {
    for (int i = 0; i < kLanes; ++i)
      sum.lane[i] += w.lane[i] * x;
  }
  static BUNRAKU_INLINE Vec finish(const Sum& sum, const float* y, const float* scale, Vec column_scale) {
    float values[kLanes];
    for (int i = 0; i < kLanes; ++i)
      values[i] = static_cast<float>(sum.lane[i]);
    return mul_add(load(values), mul(load(scale), column_scale), load(y));
  }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups, float bound) {
    const Quantum quantum = quantum_of(x, groups, bound);
    for (int g = 0; g < groups; ++g)
      words[g] = static_cast<std::uint32_t>(static_cast<std::int32_t>(lrintf(x[g] * quantum.inverse)));
    return quantum.size;
  }
};

} // namespace

constexpr WaveNetSampleKernels kWaveNetSamplePortable =
    kernels_of_this_unit<WideBfloat16Dot, Int8Dot>();

} // namespace bunraku_kernels
