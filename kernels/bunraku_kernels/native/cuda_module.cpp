// bunraku_kernels._cuda: operators for NVIDIA GPUs; built a second time under another name against
// the emulator of tests/native/cuda_emulator.
#include "bindings.hpp"

#ifndef BUNRAKU_CUDA_MODULE
#define BUNRAKU_CUDA_MODULE _cuda
#endif

PYBIND11_MODULE(BUNRAKU_CUDA_MODULE, module) {
  module.doc() = "CUDA launches: addresses, sizes and a stream handle; called by each op.py.";
  for (const bunraku_kernels::Bind bind : bunraku_kernels::bindings())
    bind(module);
}
