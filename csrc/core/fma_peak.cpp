#include "core/fma_peak.hpp"

#include <chrono>

namespace bunraku {
namespace {

FmaRunFn fma_run(Isa isa) noexcept {
  switch (isa) {
  case Isa::Portable:
    return run_fma_portable;
#if defined(BUNRAKU_HAVE_AVX2)
  case Isa::Avx2:
    return run_fma_avx2;
#endif
#if defined(BUNRAKU_HAVE_AVX512)
  case Isa::Avx512:
    return run_fma_avx512;
#endif
#if defined(__ARM_NEON)
  case Isa::Neon:
    return run_fma_neon;
#endif
  default:
    return nullptr;
  }
}

} // namespace

double fma_peak_gflops(Isa isa) noexcept {
  const FmaRunFn run = fma_run(isa);
  if (!run)
    return 0.0;
  alignas(64) float sink[16] = {1.0f, 0.999f, 0.001f};
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const double flop = run(8000, sink);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  // The sums must be seen to be used.
  return sink[0] == sink[0] && seconds > 0.0 ? flop / seconds * 1e-9 : 0.0;
}

} // namespace bunraku
