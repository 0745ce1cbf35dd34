// An LSTM laid out for the fast kernels: plain data only, as in wavenet_fast_plan.hpp.
#pragma once

namespace bunraku {

constexpr int kLstmTileFrames = 64;
constexpr int kLstmChains = 4; // sums side by side in the recurrence

// Rows of one gate lie in the lanes, padded to `width`. Gates: input, candidate, forget, output,
// the order in which the recurrence needs them; all but the candidate are halved, so that one tanh
// does for every gate: sigmoid(x) = tanh(x / 2) / 2 + 1 / 2.
struct LstmLayerPlan {
  const float* input_weights;     // [heard_size][4][width]
  const float* recurrent_weights; // [gate pair][recurrent_rows][2][width]
  const float* biases;            // [4][width]
  int heard_size;
};

struct LstmPlan {
  const LstmLayerPlan* layers;
  int layer_count;
  int in_channels;
  int out_channels;
  int hidden_size;
  int recurrent_rows;        // hidden size rounded up to kLstmChains
  int width;                 // hidden size rounded up to the lanes
  const float* head_weights; // [out][width]
  const float* head_biases;  // [out]
};

// One voice. `hidden` of a layer is [1 + kLstmTileFrames][width]: row 0 is the frame before.
struct LstmState {
  float* input;   // [kLstmTileFrames][in_channels]
  float* hidden;  // [layer][1 + kLstmTileFrames][width]
  float* memory;  // [layer][width]
  float* outside; // [kLstmTileFrames][4][width]: what the gates owe to bias and input
};

struct LstmKernels {
  int lanes;
  // frames at most kLstmTileFrames; out null: nobody listens.
  void (*run_tile)(const LstmPlan& plan, LstmState& state, const float* const* in,
                   float* const* out, int offset, int frames);
};

extern const LstmKernels kLstmPortable;
extern const LstmKernels kLstmAvx2;
extern const LstmKernels kLstmAvx512;
extern const LstmKernels kLstmNeon;

} // namespace bunraku
