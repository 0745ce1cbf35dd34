// Host side of bias_act.cu.
#pragma once

#include <cstdint>

namespace bunraku_kernels {

struct BiasActArguments {
  const void* x;   // dense, `count` elements
  const void* b;   // `channels` elements, or null
  const void* dy;  // orders 1 and 2
  const void* ddx; // order 2
  void* out;
  std::int64_t count;
  std::int64_t channels; // the channel of element i is (i / stride) % channels
  std::int64_t stride;
  float alpha;
  float gain;
  float clamp;    // negative: none
  int order;      // 0 value, 1 slope * dy, 2 curve * dy * ddx
  int activation; // place in activations.py
};

// type: 0 float32, 1 float16, 2 bfloat16. Runs on `stream`; throws std::runtime_error.
void bias_act(const BiasActArguments& arguments, int type, void* stream);

} // namespace bunraku_kernels
