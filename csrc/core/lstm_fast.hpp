// The fast path of LSTM, for every shape of the format.
#pragma once

#include <memory>

#include "core/isa.hpp"
#include "core/model_spec.hpp"
#include "core/stage.hpp"

namespace bunraku {

// Null where this build lacks the instruction set, or the number of weights is not the shape's.
std::unique_ptr<Stage> make_lstm_fast(const LstmSpec& spec, Isa isa);

} // namespace bunraku
