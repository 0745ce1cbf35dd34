// Any WaveNet of the .nam format: groups, bottlenecks, gating, blending, FiLM, condition network,
// post-stack head. The slow, plain truth against which the fast path is tested.
#pragma once

#include "model_spec.hpp"
#include "stage.hpp"

namespace bunraku {

// `condition` plays spec.condition, and is null where that is.
std::unique_ptr<Stage> make_wavenet_general(const WaveNetSpec& spec,
                                            std::unique_ptr<const Stage> condition);

} // namespace bunraku
