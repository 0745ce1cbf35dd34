// Host side of wavenet_stream.cu.
#pragma once

#include <cstdint>

namespace bunraku_kernels {

// The plan as packing.py's program_of writes it: each array, then each convolution in the order of
// computation (an array's layers, then its head). Offsets are in floats. A quad is four channels.
struct WaveNetArrayEntry {
  std::int32_t quads;
  std::int32_t first_conv;
  std::int32_t layer_count;
  std::int32_t rechannel;
  std::int32_t input_quads;
};

struct WaveNetConvEntry {
  std::int32_t weights;
  std::int32_t quads; // of its input
  std::int32_t taps;
  std::int32_t dilation;
  std::int32_t lookback;
  std::int32_t ring;
  std::int32_t activation; // place in activations.py
  float alpha;
};

// Of one network; Layout.sizes of packing.py.
struct WaveNetStreamSizes {
  std::int64_t weight_floats;
  std::int64_t ring_floats; // of one stream
  std::int32_t array_count;
  std::int32_t conv_count;
  std::int32_t widest_quads; // 1 to 4
};

struct WaveNetStreamArguments {
  const float* x; // [streams][frames]
  float* y;
  const float* weights;        // [weight_floats], 16 bytes aligned
  const std::int32_t* program; // array_count entries, then conv_count
  float* ring;                 // [streams][ring_floats], 16 bytes aligned
  std::int64_t* position;      // [streams]
  std::int64_t streams;
  std::int64_t frames;
  WaveNetStreamSizes sizes;
};

// One block of every stream. Runs on `stream`; throws std::runtime_error.
void wavenet_stream(const WaveNetStreamArguments& arguments, void* stream);

// How many streams a thread block of the current device can hold; 0: the network does not fit.
int wavenet_stream_streams_per_block(const WaveNetStreamSizes& sizes);

} // namespace bunraku_kernels
