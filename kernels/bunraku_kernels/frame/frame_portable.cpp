#include <cstring>

#include "core/simd_portable.hpp"
#include "frame/frame_native.hpp"

#include "frame/frame_simd_portable.hpp"

#include "frame/frame_kernels.inl"

namespace bunraku_kernels {

const FrameKernels frame_kernels_portable{to_tensor, to_frame};

} // namespace bunraku_kernels
