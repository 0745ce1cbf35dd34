#if defined(__ARM_NEON)
#include "core/fma_peak.hpp"
#include "core/simd_neon.hpp"

#include "core/fma_peak.inl"

namespace bunraku {

double run_fma_neon(int rounds, float* sink) {
  return run_fma(rounds, sink);
}

} // namespace bunraku
#endif
