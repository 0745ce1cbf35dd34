// A WaveNet laid out for the fast kernels: plain data only, because the translation units that are
// compiled for one instruction set include it and must not instantiate anything shared.
#pragma once

#include <cstdint>

#include "core/activation_kernels.hpp"

namespace bunraku {

constexpr int kTileFrames = 64; // the most frames a kernel runs at once
constexpr int kTileWidths = 3;  // kernels for 64, 32 and 16 frames
constexpr int kMaxTaps = 256;

// History of `rows` channels: row r starts at memory + offset + r * stride. Frame t of a row lives
// at t mod frames; the first kTileFrames are repeated behind the end, so that a tile read from any
// position never wraps. A ring that nobody looks back into stays at position 0.
struct RingPlan {
  std::int64_t offset;
  int rows;
  int frames;
  int stride;
  bool advances;
};

struct WaveNetPlan;
struct WaveNetState;
struct LayerPlan;
using LayerFn = void (*)(const WaveNetPlan& plan, const LayerPlan& layer, WaveNetState& state,
                         int skip_ring);

// Matrices are [input][output], so that a tile of outputs is a run of broadcast scalars.
struct LayerPlan {
  LayerFn run[kTileWidths];
  const float* conv;      // [tap][channels][bottleneck]
  const float* conv_bias; // [bottleneck]
  const float* mixin;     // [condition][bottleneck]
  const float* layer1x1;  // [bottleneck][channels]
  const float* layer1x1_bias;
  const float* activation_parameters;
  int activation_stride; // 1: parameters differ by channel (PReLU)
  ActivationCode activation;
  int channels;
  int bottleneck;
  int kernel_size;
  int dilation;
  int in_ring;
  int out_ring;    // negative: nobody hears this layer's 1x1
  bool first_skip; // the skip sum starts here
};

struct ArrayPlan {
  const LayerPlan* layers;
  int layer_count;
  const float* rechannel; // [input_rows][channels]
  int input_rows;
  int channels;
  int in_ring;       // of the first layer
  int input_ring;    // the previous array's output; negative: the network's input
  int skip_ring;     // skip sum, with the history that the head's kernel needs
  const float* head; // [tap][bottleneck][head_out]
  const float* head_bias;
  int bottleneck;
  int head_out;
  int head_kernel_size;
  int head_dilation;
  int head_ring; // where the head writes: the next array's skip sum; negative: the output
};

struct WaveNetPlan {
  const ArrayPlan* arrays;
  const RingPlan* rings;
  int array_count;
  int ring_count;
  int in_channels;
  int out_channels;
};

// One voice. `input` is [in_channels][kTileFrames], `scratch` is [widest bottleneck][kTileFrames].
struct WaveNetState {
  float* memory;
  int* positions; // of each ring
  float* input;
  float* scratch;
  bool prewarming; // silence at position 0: whatever is written fills its whole row
};

// in[c] + 0 .. frames - 1 to out[c]; frames at most the tile's width.
using TileFn = void (*)(const WaveNetPlan& plan, WaveNetState& state, const float* const* in,
                        float* const* out, int offset, int frames);

struct WaveNetKernels {
  TileFn run_tile[kTileWidths];
  void (*select_layer)(LayerPlan& layer); // fills layer.run for its shape
  ActivationFn activate;
};

extern const WaveNetKernels kWaveNetPortable;
extern const WaveNetKernels kWaveNetAvx2;
extern const WaveNetKernels kWaveNetAvx512;
extern const WaveNetKernels kWaveNetNeon;

} // namespace bunraku
