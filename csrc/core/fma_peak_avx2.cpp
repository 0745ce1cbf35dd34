#if defined(__AVX2__)
#include "core/fma_peak.hpp"
#include "core/simd_avx2.hpp"

#include "core/fma_peak.inl"

namespace bunraku {

double run_fma_avx2(int rounds, float* sink) {
  return run_fma(rounds, sink);
}

} // namespace bunraku
#endif
