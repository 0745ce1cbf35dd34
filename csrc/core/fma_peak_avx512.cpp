#if defined(__AVX512F__)
#include "core/fma_peak.hpp"
#include "core/simd_avx512.hpp"

#include "core/fma_peak.inl"

namespace bunraku {

double run_fma_avx512(int rounds, float* sink) {
  return run_fma(rounds, sink);
}

} // namespace bunraku
#endif
