// The activations as the vector kernels know them: plain data, safe to include in any unit.
#pragma once

namespace bunraku {

enum class ActivationCode : int {
  Tanh,
  Hardtanh,
  Fasttanh,
  ReLU,
  LeakyReLU,         // any slope; PReLU is this with a slope for each channel
  LeakyReLUBelowOne, // slope <= 1: one multiplication and one maximum
  Sigmoid,
  SiLU,
  Hardswish,
  LeakyHardtanh,
  Softsign,
};

// out[i] = activation(in[i]); for tests and for whatever wants an array done.
using ActivationFn = void (*)(ActivationCode code, const float* parameters, const float* in,
                              float* out, int count);

} // namespace bunraku
