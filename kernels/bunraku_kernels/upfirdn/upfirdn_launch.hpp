// Host side of upfirdn.cu.
#pragma once

#include <cstdint>

namespace bunraku_kernels {

// x [N, C, H, W] and out [N, C, OH, OW] are both contiguous or both channels-last.
struct UpfirdnArguments {
  const void* x;
  const float* f;  // [taps_y, taps_x], or [taps_x] when separable: applied along y and x
  const void* b;   // `channels` elements, or null
  const void* dy;  // orders 1 and 2, as out
  const void* ddx; // order 2, as out
  void* out;
  std::int64_t images;
  int channels;
  int height, width;
  int out_height, out_width;
  int up_x, up_y;
  int down_x, down_y;
  int before_x, before_y; // padding before the first sample; negative crops
  int taps_x, taps_y;     // 1 to 32
  bool separable;
  bool flip; // correlate
  bool channels_last;
  float scale;    // on the filter
  int order;      // -1 none; 0 bias and activation, 1 slope * dy, 2 curve * dy * ddx
  int activation; // place in activations.py
  float alpha;
  float gain;
  float clamp; // negative: none
};

// type: 0 float32, 1 float16, 2 bfloat16, for all but f. Runs on `stream`; throws
// std::runtime_error.
void upfirdn(const UpfirdnArguments& arguments, int type, void* stream);

} // namespace bunraku_kernels
