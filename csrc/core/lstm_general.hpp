// Any LSTM of the .nam format: layers of one size, a linear head.
#pragma once

#include "model_spec.hpp"
#include "stage.hpp"

namespace bunraku {

std::unique_ptr<Stage> make_lstm_general(const LstmSpec& spec);

} // namespace bunraku
