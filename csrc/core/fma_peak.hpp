// What this core could do at best: fused multiply-adds on registers and nothing else.
#pragma once

#include "core/isa.hpp"

namespace bunraku {

// GFLOP/s of one short run (about 0.2 ms) on this thread; take the best of several. 0 where the
// build lacks the instruction set.
double fma_peak_gflops(Isa isa) noexcept;

// Of each instruction set: runs `rounds` rounds of independent chains, returns the FLOP done.
using FmaRunFn = double (*)(int rounds, float* sink);
double run_fma_portable(int rounds, float* sink);
double run_fma_avx2(int rounds, float* sink);
double run_fma_avx512(int rounds, float* sink);
double run_fma_neon(int rounds, float* sink);

} // namespace bunraku
