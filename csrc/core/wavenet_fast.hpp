// The fast path of WaveNet: frames in SIMD lanes, everything of a layer fused.
#pragma once

#include <memory>

#include "core/isa.hpp"
#include "core/model_spec.hpp"
#include "core/stage.hpp"
#include "core/wavenet_fast_plan.hpp"

namespace bunraku {

// Null when the network has a shape that only the general path runs: FiLM, a condition network, a
// post-stack head, groups, gating, a head 1x1, no layer 1x1, or sizes that do not fit each other.
std::unique_ptr<Stage> make_wavenet_fast(const WaveNetSpec& spec, Isa isa);

// The kernels of one instruction set, null where this build has none.
const WaveNetKernels* wavenet_kernels(Isa isa) noexcept;

} // namespace bunraku
