#include "frame/frame_native.hpp"

#include "core/aligned_buffer.hpp"

namespace bunraku_kernels {
namespace {

const FrameKernels& kernels_of(bunraku::Isa isa) {
  switch (isa) {
#if defined(BUNRAKU_HAVE_AVX512)
  case bunraku::Isa::Avx512:
    return frame_kernels_avx512;
#endif
#if defined(BUNRAKU_HAVE_AVX2)
  case bunraku::Isa::Avx2:
    // Not part of AVX2, though every processor sold with the one has the other.
    return __builtin_cpu_supports("f16c") ? frame_kernels_avx2 : frame_kernels_portable;
#endif
  default:
    return frame_kernels_portable;
  }
}

// A thread's own memory, kept from call to call: a camera's frames are all of one size.
float* scratch_of(std::size_t floats) {
  thread_local bunraku::AlignedBuffer buffer;
  thread_local std::size_t size = 0;
  if (floats > size) {
    buffer = bunraku::AlignedBuffer(floats);
    size = floats;
  }
  return buffer.data();
}

} // namespace

void run_to_tensor(const ToTensor& job) {
  kernels_of(bunraku::choose_isa(nullptr)).to_tensor(job, scratch_of(to_tensor_scratch(job)));
}

void run_to_frame(const ToFrame& job) {
  kernels_of(bunraku::choose_isa(nullptr)).to_frame(job, scratch_of(to_frame_scratch(job)));
}

} // namespace bunraku_kernels
