// A sampler laid out for the kernels: plain data only, because the translation units that are
// compiled for one instruction set include it and must not instantiate anything shared.
#pragma once

#include <cstddef>
#include <cstdint>

#include "wavenet_sample/network.hpp"

namespace bunraku_kernels {

constexpr int kTileVectors = 8; // of outputs
constexpr int kMaxPastFrames = 8;

constexpr int kWeightTypes = 3;
enum class WeightType { Float32, Bfloat16, Int8 };

// How one kind of weights meets one instruction set. A vector of weights has `lanes` outputs, each
// with a group of inputs side by side, as its multiplying instruction wants them.
enum class WeightCode { Float32, Bfloat16, Int8, Int8Plus128 };
constexpr int bytes_of(WeightCode code) {
  return code == WeightCode::Float32 ? 4 : code == WeightCode::Bfloat16 ? 2 : 1;
}
struct WeightFormat {
  WeightCode code;
  int input_multiple; // inputs are padded with zeros to whole multiples
  int group_inputs;
  int group_words; // 32-bit words that a group of activations takes; a column has one more
};

// The matrix W of y += W x: tiles of kTileVectors vectors of outputs (the last one lower); in a
// tile, group after group of inputs; in a group, vector after vector. This is the order of reading.
struct MatrixPlan {
  const std::byte* data;
  const float* scale; // int8: of each output; else nobody reads it
  int vectors;
  int groups;
};

// Rows of `current` and `past` alternate: a vector of filter rows, a vector of gate rows.
struct SampleLayerPlan {
  MatrixPlan past;
  MatrixPlan current;
  MatrixPlan residual;
  MatrixPlan skip;
  const float* residual_bias;
  std::int64_t history_offset; // floats from the start of a stream's history
  int dilation;
};

// Vectors of channels are padded with zeros to whole registers.
struct SamplePlan {
  const SampleLayerPlan* layers;
  const float* input_previous; // [classes or 1][residual, padded]
  const float* input_current;
  const float* input_bias; // null for codes
  const float* skip_bias;
  const float* out_bias;
  const float* end_bias;
  MatrixPlan out;
  MatrixPlan end;
  std::int64_t history_floats; // of one stream
  WaveNetOutput output;
  int layer_count;
  int residual;
  int residual_padded;
  int skip_padded;
  int hidden_padded;
  int outputs;
  int outputs_padded;
};

// Activations of a batch as the products take them, one column for each stream.
struct ActivationColumns {
  std::uint32_t* words;
  float* scale; // of each column
  std::int64_t stride;
};

// Condition plus past products of a layer, [past_frames][batch][2 * residual, padded]: made for
// that many frames at once (at most the dilation), so that the weights are read once for them.
struct LayerScratch {
  float* z;
  int past_frames;
};

// Scratch of one call; rows are padded as in the plan.
struct SampleWork {
  const LayerScratch* layers;
  float* x;
  float* hidden;
  float* skip;
  float* logits;
  float* row;
  ActivationColumns past;
  ActivationColumns input;
  ActivationColumns gated;
  ActivationColumns head;
  int* slots; // [batch][layer]: where the ring of each layer is now
};

// Frames [first, first + count) of a call, count at most the longest
// LayerScratch::past_frames.
struct SampleCall {
  const float* condition; // [batch][frames][layer][2 * residual]
  float* history;         // [batch][history_floats]
  float* last;            // [batch][2]
  const float* uniforms;  // [count][batch][4]
  void* samples;          // [batch][frames], int32 codes or float values
  float* log_likelihood;  // [batch][frames]: score `samples`; null: choose them
  std::int64_t frames;
  std::int64_t first;
  int count;
  int batch;
  float temperature;
};

using RunSamplesFn = void (*)(const SamplePlan& plan, const SampleWork& work,
                              const SampleCall& call);

constexpr std::size_t kReadBytes = 1024;
// The sum of the floats at `p`; `size` a multiple of kReadBytes. To measure a cache's bandwidth.
using ReadBytesFn = float (*)(const std::byte* p, std::size_t size);

struct WaveNetSampleKernels {
  RunSamplesFn run[kWeightTypes];
  WeightFormat format[kWeightTypes];
  ReadBytesFn read;
  int lanes;
};

extern const WaveNetSampleKernels kWaveNetSamplePortable;
extern const WaveNetSampleKernels kWaveNetSampleAvx2;
extern const WaveNetSampleKernels kWaveNetSampleAvx512;
extern const WaveNetSampleKernels kWaveNetSampleAvx512Ext;

} // namespace bunraku_kernels
