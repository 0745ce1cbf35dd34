// Frame to tensor and back on the CPU: what the kernels of each instruction set are given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/isa.hpp"
#include "frame/frame_memory.hpp"

namespace bunraku_kernels {

// Output i is the sum over k of weight(i, k) * input[first[i] + k], k < count; see taps.py.
struct Taps {
  const std::int32_t* first;
  const float* weights; // for rows [out, count], for the columns of to_frame [count, out]
  int count;
};

// Internal to each unit, like all that the instruction sets' units call: were these members, the
// linker might keep the AVX-512 unit's copy for everyone.
static inline std::uint8_t* row_of(const Pixels& p, int frame, int y) {
  return p.data + frame * p.frame_bytes + y * p.row_bytes;
}

// Of the first value of a row; channel 0 where the layout is interleaved.
static inline std::uint8_t* row_of(const Planes& p, int frame, int channel, int y) {
  const std::ptrdiff_t rows =
      p.planar ? (static_cast<std::ptrdiff_t>(frame) * p.channels + channel) * p.height + y
               : (static_cast<std::ptrdiff_t>(frame) * p.height + y) * p.channels;
  return static_cast<std::uint8_t*>(p.data) + rows * p.width * (p.half ? 2 : 4);
}

struct ToTensor {
  Pixels frame;
  Planes out;
  Taps rows, columns;
  Affine affine;
  int frames;
  bool bgr;
};

struct ToFrame {
  Planes y;
  Planes mask; // no data: replace everything
  Pixels original, out;
  Taps rows, columns, mask_rows, mask_columns;
  Affine affine;
  int frames;
  bool bgr;
};

// Rows that vectors read or write beyond their end are so much longer.
constexpr std::size_t kRowPadding = 32;

static constexpr std::size_t padded(std::size_t floats) {
  return (floats + 2 * kRowPadding - 1) / 16 * 16;
}

// `scratch` holds as many floats as the function below says, and is aligned to 64 bytes.
struct FrameKernels {
  void (*to_tensor)(const ToTensor&, float* scratch);
  void (*to_frame)(const ToFrame&, float* scratch);
};

extern const FrameKernels frame_kernels_portable;
extern const FrameKernels frame_kernels_avx2;
extern const FrameKernels frame_kernels_avx512;

inline std::size_t to_tensor_scratch(const ToTensor& job) {
  const auto out = static_cast<std::size_t>(job.out.width);
  return padded(3 * static_cast<std::size_t>(job.frame.width)) + padded(4 * out) + 3 * padded(out);
}

inline std::size_t resized_rows_scratch(const Planes& source, const Taps& rows, int width) {
  const auto channels = static_cast<std::size_t>(source.channels);
  return 2 * padded(channels * static_cast<std::size_t>(source.width)) +
         padded(static_cast<std::size_t>(width)) * channels *
             static_cast<std::size_t>(rows.count + 1);
}

inline std::size_t to_frame_scratch(const ToFrame& job) {
  const std::size_t codes = resized_rows_scratch(job.y, job.rows, job.original.width);
  if (job.mask.data == nullptr)
    return codes;
  return codes + resized_rows_scratch(job.mask, job.mask_rows, job.original.width);
}

// With the best instruction set at hand, or the one that $BUNRAKU_ISA names. A thread keeps
// its scratch memory, which grows when it meets its largest job so far.
void run_to_tensor(const ToTensor& job);
void run_to_frame(const ToFrame& job);

} // namespace bunraku_kernels
