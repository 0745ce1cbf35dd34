// The .nam format's ConvNet: dilated convolutions of two taps, batch normalisation folded into
// them, an activation after each, a linear head.
#pragma once

#include "model_spec.hpp"
#include "stage.hpp"

namespace bunraku {

std::unique_ptr<Stage> make_convnet(const ConvNetSpec& spec);

} // namespace bunraku
