// The .nam format's Linear: a finite impulse response, each channel for itself.
#pragma once

#include "model_spec.hpp"
#include "stage.hpp"

namespace bunraku {

std::unique_ptr<Stage> make_linear(const LinearSpec& spec);

} // namespace bunraku
