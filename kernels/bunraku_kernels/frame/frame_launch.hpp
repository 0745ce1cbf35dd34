// Host side of frame.cu.
#pragma once

#include "frame/frame_memory.hpp"

namespace bunraku_kernels {

// Of both jobs no side exceeds 16384; the planes' channels are red first.
struct FrameToTensorArguments {
  Pixels frame;
  Planes out;
  Affine affine;
  int frames; // at most 65535
  bool bgr;
  bool antialias;
};

struct TensorToFrameArguments {
  Planes y;
  Planes mask; // null: replace everything
  Pixels original;
  Pixels out; // may be the original
  Affine affine;
  int frames;
  bool bgr;
  bool antialias; // of y; the mask is always resized bilinearly
};

// On `stream`; throw std::runtime_error.
void frame_to_tensor(const FrameToTensorArguments& arguments, void* stream);
void tensor_to_frame(const TensorToFrameArguments& arguments, void* stream);

} // namespace bunraku_kernels
