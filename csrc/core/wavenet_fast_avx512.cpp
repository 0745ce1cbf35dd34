#if defined(__AVX512F__)
#include <cstdint>
#include <cstring>

#include "core/wavenet_fast_plan.hpp"

// The vector type first, then what is written over it.
#include "core/simd_avx512.hpp"

#include "core/simd_activations.hpp"

namespace bunraku {
namespace {

// Eight to twelve sums at once would fit three times into 32 registers; but then the activations of
// a tile fill the reorder window, and the next tile's products cannot start beside them.
constexpr int kSubVectors = 2;
constexpr int outputs_at_once(int channels, int vectors) {
  if (vectors == 1)
    return channels == 12 ? 12 : 8;
  return channels > 0 && channels % 6 == 0 ? 6 : 4;
}
constexpr int kSmallChannels = 8;
constexpr int small_vectors(int channels) {
  return channels <= 2 ? 4 : channels <= 6 ? 2 : 1;
}

} // namespace
} // namespace bunraku

#include "core/wavenet_fast.inl"

namespace bunraku {

constexpr WaveNetKernels kWaveNetAvx512 = kernels_of_this_unit();

} // namespace bunraku
#endif
