#if defined(__AVX512F__)
#include <cstring>

#include "core/simd_avx512.hpp"
#include "frame/frame_native.hpp"

#include "frame/frame_simd_avx512.hpp"

#include "frame/frame_kernels.inl"

namespace bunraku_kernels {

const FrameKernels frame_kernels_avx512{to_tensor, to_frame};

} // namespace bunraku_kernels
#endif
