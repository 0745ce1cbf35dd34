#include "core/fma_peak.hpp"
#include "core/simd_portable.hpp"

#include "core/fma_peak.inl"

namespace bunraku {

double run_fma_portable(int rounds, float* sink) {
  return run_fma(rounds, sink);
}

} // namespace bunraku
