// Frames and planes as both compiled modules take them; the tuples of memory.py.
#pragma once

#include <cstdint>

namespace bunraku_kernels {

struct Pixels { // interleaved, three bytes each; rows may be padded
  std::uint8_t* data;
  std::int64_t row_bytes;
  std::int64_t frame_bytes;
  int height;
  int width;
};

struct Planes { // dense [N, channels, height, width], planar or interleaved; null: absent
  void* data;
  bool half; // float16, else float32
  bool planar;
  int channels;
  int height;
  int width;
};

// Output channel c is scale[c] * input + shift[c]; c as in the planes.
struct Affine {
  float scale[3];
  float shift[3];
};

} // namespace bunraku_kernels
