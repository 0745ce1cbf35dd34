// Host side of frame.cu.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bunraku_kernels {

struct DevicePixels { // interleaved, three bytes each; rows may be padded
  std::uint8_t* data;
  std::int64_t row_bytes;
  std::int64_t frame_bytes;
  int height;
  int width;
};

struct DevicePlanes { // dense [N, channels, height, width], planar or interleaved; null: absent
  void* data;
  int half; // float16, else float32
  int planar;
  int channels;
  int height;
  int width;
};

// Both jobs: output channel c is scale[c] * input + shift[c], red first. No side exceeds 16384.
struct FrameToTensorArguments {
  DevicePixels frame;
  DevicePlanes out;
  float scale[3];
  float shift[3];
  int frames; // at most 65535
  int bgr;
  int antialias;
};

struct TensorToFrameArguments {
  DevicePlanes y;
  DevicePlanes mask; // null: replace everything
  DevicePixels original;
  DevicePixels out; // may be the original
  float scale[3];
  float shift[3];
  int frames;
  int bgr;
  int antialias; // of y; the mask is always resized bilinearly
};

// On `stream`; throw std::runtime_error.
void frame_to_tensor(const FrameToTensorArguments& arguments, void* stream);
void tensor_to_frame(const TensorToFrameArguments& arguments, void* stream);

} // namespace bunraku_kernels
