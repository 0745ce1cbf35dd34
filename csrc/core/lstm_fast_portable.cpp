#include "core/simd_portable.hpp"

#include "core/lstm_fast_plan.hpp"

#include "core/lstm_fast.inl"

namespace bunraku {

constexpr LstmKernels kLstmPortable = {kLanes, run_lstm_tile};

} // namespace bunraku
