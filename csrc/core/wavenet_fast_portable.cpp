#include <cstdint>
#include <cstring>

#include "core/wavenet_fast_plan.hpp"

// The vector type first, then what is written over it.
#include "core/simd_portable.hpp"

#include "core/simd_activations.hpp"

namespace bunraku {
namespace {

// 16 registers, no fused multiply-add: 8 sums, two inputs, a weight and a product.
constexpr int kSubVectors = 2;
constexpr int outputs_at_once(int, int) {
  return 4;
}
constexpr int kSmallChannels = 2;
constexpr int small_vectors(int) {
  return 2;
}

} // namespace
} // namespace bunraku

#include "core/wavenet_fast.inl"

namespace bunraku {

constexpr WaveNetKernels kWaveNetPortable = kernels_of_this_unit();

} // namespace bunraku
