#if defined(__AVX2__)
#include "core/simd_avx2.hpp"

#include "core/lstm_fast_plan.hpp"

#include "core/lstm_fast.inl"

namespace bunraku {

constexpr LstmKernels kLstmAvx2 = {kLanes, run_lstm_tile};

} // namespace bunraku
#endif
