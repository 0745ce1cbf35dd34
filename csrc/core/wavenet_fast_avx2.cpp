#if defined(__AVX2__)
#include <cstdint>
#include <cstring>

#include "core/wavenet_fast_plan.hpp"

// The vector type first, then what is written over it.
#include "core/simd_avx2.hpp"

#include "core/simd_activations.hpp"

namespace bunraku {
namespace {

// 16 registers: 12 sums, two inputs and a weight.
constexpr int kSubVectors = 2;
constexpr int outputs_at_once(int channels, int) {
  return channels % 6 == 0 && channels > 0 ? 6 : 4;
}
constexpr int kSmallChannels = 3;
constexpr int small_vectors(int channels) {
  return channels <= 2 ? 2 : 1;
}

} // namespace
} // namespace bunraku

#include "core/wavenet_fast.inl"

namespace bunraku {

constexpr WaveNetKernels kWaveNetAvx2 = kernels_of_this_unit();

} // namespace bunraku
#endif
