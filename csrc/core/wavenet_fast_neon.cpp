#if defined(__ARM_NEON)
#include <cstdint>
#include <cstring>

#include "core/wavenet_fast_plan.hpp"

// The vector type first, then what is written over it.
#include "core/simd_neon.hpp"

#include "core/simd_activations.hpp"

namespace bunraku {
namespace {

// 32 registers of four floats.
constexpr int kSubVectors = 4;
constexpr int outputs_at_once(int channels, int) {
  return channels % 6 == 0 && channels > 0 ? 6 : 4;
}
constexpr int kSmallChannels = 4;
constexpr int small_vectors(int channels) {
  return channels <= 2 ? 4 : 2;
}

} // namespace
} // namespace bunraku

#include "core/wavenet_fast.inl"

namespace bunraku {

constexpr WaveNetKernels kWaveNetNeon = kernels_of_this_unit();

} // namespace bunraku
#endif
