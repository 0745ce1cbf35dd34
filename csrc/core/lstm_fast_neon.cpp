#if defined(__ARM_NEON)
#include "core/simd_neon.hpp"

#include "core/lstm_fast_plan.hpp"

#include "core/lstm_fast.inl"

namespace bunraku {

constexpr LstmKernels kLstmNeon = {kLanes, run_lstm_tile};

} // namespace bunraku
#endif
