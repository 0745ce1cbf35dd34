// Host side of dilated_conv.cu.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bunraku_kernels {

// Tensors are contiguous, with the shapes of op.py and reference.py; absent ones are null.
struct DilatedConvArguments {
  // what went in
  const void* x = nullptr;
  const void* weight = nullptr;
  const void* bias = nullptr;
  const void* condition = nullptr;
  const void* mixin = nullptr;
  const void* history = nullptr;
  const void* residual_weight = nullptr;
  const void* residual_bias = nullptr;
  const void* skip_weight = nullptr;
  const void* skip_bias = nullptr;
  // forward: what comes out
  void* x_out = nullptr;
  void* skip = nullptr;
  // gradients; h is written by grad_preactivation, which writes dz, which grad_input reads
  const void* dx_out = nullptr;
  const void* dskip = nullptr;
  void* dz = nullptr;
  void* h = nullptr;
  void* dx = nullptr;
  void* dhistory = nullptr;
  void* dcondition = nullptr;

  void* workspace = nullptr; // dilated_conv_workspace() bytes, aligned to 16
  std::int64_t batch = 0;
  int frames = 0;
  int channels = 0; // R
  int features = 0; // C
  int hidden = 0;   // H, at most 256
  int skips = 0;    // S; hidden without skip weights
  int taps = 0;
  int dilation = 0;
  int activation = 0; // place in activations.py; -1: gated
  float alpha = 0.0f;
};

enum class DilatedConvPass : int { Forward = 0, GradPreactivation = 1, GradInput = 2 };

// type: 0 float32, 1 float16, 2 bfloat16. Both throw std::runtime_error.
std::size_t dilated_conv_workspace(const DilatedConvArguments& arguments, DilatedConvPass pass,
                                   int type);
void dilated_conv(const DilatedConvArguments& arguments, DilatedConvPass pass, int type,
                  void* stream);

} // namespace bunraku_kernels
