#if defined(__AVX512F__)
#include "core/simd_avx512.hpp"

#include "core/lstm_fast_plan.hpp"

#include "core/lstm_fast.inl"

namespace bunraku {

constexpr LstmKernels kLstmAvx512 = {kLanes, run_lstm_tile};

} // namespace bunraku
#endif
