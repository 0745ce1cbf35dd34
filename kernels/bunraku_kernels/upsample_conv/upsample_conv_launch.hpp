// Host side of upsample_conv.cu.
#pragma once

#include <cstdint>

namespace bunraku_kernels {

struct Strides {
  std::int64_t n, c, h, w; // elements
};

struct Activated {
  int activation; // place in activations.py
  float alpha;
  float gain;
  float clamp; // negative: none
};

struct PhaseConvArguments {
  const void* x;       // [batch, in_channels, height, width]
  const void* weights; // [up_h * up_w, taps_h, taps_w, out_channels, in_channels], dense
  const float* style;  // [batch, in_channels] or null
  const float* demod;  // [batch, out_channels] or null
  const void* bias;    // [out_channels] or null
  void* y;             // [batch, out_channels, out_height, out_width]
  float* parts;        // [batch, out_channels, statistics_parts(), 3] or null
  float* stats;        // [batch, out_channels, 2]: mean, 1 / deviation; with `parts`
  int batch, in_channels, height, width;
  int out_channels, out_height, out_width;
  int up_h, up_w, taps_h, taps_w, crop_h, crop_w;
  Strides x_stride, y_stride;
  int pre_activation;
  float pre_alpha;
  Activated after;
  float eps; // added to the variance
};

struct NormalizeArguments {
  const void* u;
  const float* stats; // [batch, channels, 2]
  void* y;
  int batch, channels;
  std::int64_t pixels;
  bool channels_last; // else channel by channel
  Activated after;
};

// How many partial statistics of each picture's channel phase_conv writes.
std::int64_t statistics_parts(const PhaseConvArguments& arguments);

// type: 0 float32, 1 float16, 2 bfloat16. Both run on `stream` and throw std::runtime_error.
void phase_conv(const PhaseConvArguments& arguments, int type, void* stream);
void normalize(const NormalizeArguments& arguments, int type, void* stream);

} // namespace bunraku_kernels
