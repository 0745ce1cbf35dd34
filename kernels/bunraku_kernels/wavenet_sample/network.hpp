// A network as both samplers are given it. Plain data only: also the translation units that are
// compiled for one instruction set include it.
#pragma once

namespace bunraku_kernels {

enum class WaveNetOutput { Categorical, Logistic, Gaussian };

// Row-major float32 in host memory, of the shapes that WaveNetWeights (weights.py) documents.
struct WaveNetTensors {
  const float* input_previous;
  const float* input_current;
  const float* input_bias; // null for codes
  const float* past;
  const float* current;
  const float* residual;
  const float* residual_bias;
  const float* skip;
  const float* skip_bias;
  const float* out;
  const float* out_bias;
  const float* end;
  const float* end_bias;
};

} // namespace bunraku_kernels
