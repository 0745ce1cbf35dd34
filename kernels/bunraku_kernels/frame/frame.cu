// The frame is read once: a block loads the bytes under its tile of the output in vectors, resizes
// them along the rows into shared memory and then along the columns. Nothing else touches device
// memory, not even tables: the taps come from integers (see taps.py), so a CUDA graph holds no
// pointer that could be freed.
#include "frame/frame_launch.hpp"

#include <algorithm>

#include "cuda/element.cuh"
#include "cuda/platform.cuh"
#include "cuda/warp.cuh"

namespace bunraku_kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kSharedBudget = 48 * 1024; // more would halve the blocks that a processor holds

struct Axis {
  int size_in;
  int size_out;
  int half_width; // of the triangle, in units of 1 / (2 size_out) input pixels
};

Axis make_axis(int size_in, int size_out, bool antialias) {
  return {size_in, size_out, 2 * (antialias ? std::max(size_in, size_out) : size_out)};
}

// At most so many input pixels lie under `outputs` neighbouring outputs.
int span(const Axis& axis, int outputs) {
  const std::int64_t reach = static_cast<std::int64_t>(outputs - 1) * 2 * axis.size_in +
                             2 * static_cast<std::int64_t>(axis.half_width);
  return static_cast<int>(std::min<std::int64_t>(axis.size_in, reach / (2 * axis.size_out) + 1));
}

// The input pixels under one output and their weights, as in taps.py: exact integers, one rounding.
struct Window {
  int first;
  int last;
  int centre;
  int half_width;
  int step;
  float per_unit;

  __device__ float weight(int pixel) const {
    return static_cast<float>(half_width - abs(centre - (2 * pixel + 1) * step)) * per_unit;
  }
};

// Without the sum of the weights, which costs a division and a loop.
__device__ Window range_of(const Axis& axis, int output) {
  Window w;
  w.step = axis.size_out;
  w.half_width = axis.half_width;
  w.centre = (2 * output + 1) * axis.size_in;
  const int low = w.centre - w.half_width;
  // Below zero the division would round up, and the first pixel is 0 anyway.
  w.first = low < 0 ? 0 : (low / w.step + 1) / 2;
  const int high = (w.centre + w.half_width + w.step - 1) / w.step / 2 - 1;
  w.last = min(high, axis.size_in - 1);
  w.per_unit = 0.0f;
  return w;
}

__device__ Window window_of(const Axis& axis, int output) {
  Window w = range_of(axis, output);
  int sum = 0;
  for (int pixel = w.first; pixel <= w.last; ++pixel)
    sum += w.half_width - abs(w.centre - (2 * pixel + 1) * w.step);
  w.per_unit = 1.0f / static_cast<float>(sum);
  return w;
}

__device__ float value_at(const Planes& p, std::int64_t index) {
  return p.half ? __half2float(static_cast<const __half*>(p.data)[index])
                : static_cast<const float*>(p.data)[index];
}

__device__ void put_value(const Planes& p, std::int64_t index, float value) {
  if (p.half)
    static_cast<__half*>(p.data)[index] = __float2half(value);
  else
    static_cast<float*>(p.data)[index] = value;
}

__device__ std::int64_t place(const Planes& p, int frame, int channel, int y, int x) {
  const std::int64_t n = frame;
  return p.planar ? ((n * p.channels + channel) * p.height + y) * p.width + x
                  : ((n * p.height + y) * p.width + x) * p.channels + channel;
}

// ---- frame to tensor ----------------------------------------------------------------------------

// The shared memory of one block: bytes of the frame, then the rows resized to the tile's width.
struct Tile {
  int width;
  int height;
  int most_rows;   // input rows under the tile
  int pitch_bytes; // from row to row of the loaded bytes, a multiple of 16

  std::size_t bytes() const {
    return static_cast<std::size_t>(most_rows) *
           (static_cast<std::size_t>(pitch_bytes) + 3 * sizeof(float) * width);
  }
};

struct Axes {
  Axis rows;
  Axis columns;
};

// Copies bytes [begin, end) of a row to `shared` + (the address of begin modulo 16), in vectors
// where all 16 bytes belong to the row.
__device__ void load_row(std::uint8_t* shared, const std::uint8_t* begin, const std::uint8_t* end,
                         int thread, int threads) {
  const int phase = static_cast<int>(reinterpret_cast<std::uintptr_t>(begin) & 15);
  const int length = static_cast<int>(end - begin);
  for (int at = 16 * thread - phase; at < length; at += 16 * threads) {
    if (at >= 0 && at + 16 <= length) {
      *reinterpret_cast<uint4*>(shared + phase + at) = *reinterpret_cast<const uint4*>(begin + at);
      continue;
    }
    for (int i = max(at, 0); i < min(at + 16, length); ++i)
      shared[phase + i] = begin[i];
  }
}

// Normalised, from the frame's order of channels. The choice is between values, not places: an
// array with an index that varies would go to local memory.
__device__ void put_pixel(const FrameToTensorArguments& a, int frame, int y, int x,
                          const float (&codes)[3]) {
#pragma unroll
  for (int c = 0; c < 3; ++c)
    put_value(a.out, place(a.out, frame, c, y, x),
              (a.bgr ? codes[2 - c] : codes[c]) * a.affine.scale[c] + a.affine.shift[c]);
}

__global__ void __launch_bounds__(kThreads)
    frame_to_tensor_tiles(FrameToTensorArguments a, Axes axes, Tile tile) {
  auto* loaded = dynamic_shared_memory<std::uint8_t>();
  auto* resized = reinterpret_cast<float*>(loaded + tile.most_rows * tile.pitch_bytes);
  const int x0 = static_cast<int>(blockIdx.x) * tile.width;
  const int y0 = static_cast<int>(blockIdx.y) * tile.height;
  const int frame = static_cast<int>(blockIdx.z), thread = static_cast<int>(threadIdx.x);
  const int width = min(tile.width, a.out.width - x0);
  const int height = min(tile.height, a.out.height - y0);
  const int top = range_of(axes.rows, y0).first;
  const int rows = range_of(axes.rows, y0 + height - 1).last - top + 1;
  const int left = range_of(axes.columns, x0).first;
  const int right = range_of(axes.columns, x0 + width - 1).last + 1;
  const std::uint8_t* corner =
      a.frame.data + frame * a.frame.frame_bytes + top * a.frame.row_bytes + 3 * left;

  constexpr int per_row = 32; // one warp loads a row
  for (int row = thread / per_row; row < rows; row += kThreads / per_row) {
    const std::uint8_t* begin = corner + row * a.frame.row_bytes;
    load_row(loaded + row * tile.pitch_bytes, begin, begin + 3 * (right - left), thread % per_row,
             per_row);
  }
  __syncthreads();

  // A thread keeps its column, whose window it works out once.
  const int column = thread % tile.width;
  if (column < width) {
    const Window window = window_of(axes.columns, x0 + column);
    for (int row = thread / tile.width; row < rows; row += kThreads / tile.width) {
      const auto address = reinterpret_cast<std::uintptr_t>(corner + row * a.frame.row_bytes);
      const std::uint8_t* pixel =
          loaded + row * tile.pitch_bytes + (address & 15) + 3 * (window.first - left);
      float sums[3] = {};
      for (int j = window.first; j <= window.last; ++j, pixel += 3) {
        const float weight = window.weight(j);
        for (int c = 0; c < 3; ++c)
          sums[c] += weight * static_cast<float>(pixel[c]);
      }
      for (int c = 0; c < 3; ++c)
        resized[(row * 3 + c) * tile.width + column] = sums[c];
    }
  }
  __syncthreads();

  if (column >= width)
    return;
  for (int y = thread / tile.width; y < height; y += kThreads / tile.width) {
    const Window window = window_of(axes.rows, y0 + y);
    float sums[3] = {};
    for (int j = window.first; j <= window.last; ++j) {
      const float weight = window.weight(j);
      const float* row = resized + (j - top) * 3 * tile.width + column;
      for (int c = 0; c < 3; ++c)
        sums[c] += weight * row[c * tile.width];
    }
    put_pixel(a, frame, y0 + y, x0 + column, sums);
  }
}

// Where not even a small tile fits shared memory: a warp for each output pixel.
__global__ void __launch_bounds__(kThreads)
    frame_to_tensor_pixels(FrameToTensorArguments a, Axes axes) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int x = static_cast<int>(blockIdx.x) * (kThreads / 32) + static_cast<int>(threadIdx.x) / 32;
  const int y = static_cast<int>(blockIdx.y), frame = static_cast<int>(blockIdx.z);
  if (x >= a.out.width)
    return;
  const Window rows = window_of(axes.rows, y), columns = window_of(axes.columns, x);
  float sums[3] = {};
  for (int j = rows.first; j <= rows.last; ++j) {
    const std::uint8_t* row = a.frame.data + frame * a.frame.frame_bytes + j * a.frame.row_bytes;
    const float row_weight = rows.weight(j);
    for (int i = columns.first + lane; i <= columns.last; i += 32) {
      const float weight = row_weight * columns.weight(i);
      for (int c = 0; c < 3; ++c)
        sums[c] += weight * static_cast<float>(row[3 * i + c]);
    }
  }
  for (float& sum : sums)
    sum = warp_sum(sum);
  if (lane == 0)
    put_pixel(a, frame, y, x, sums);
}

// The widest tile that fits; width 0 where none does.
Tile choose_tile(const Axes& axes) {
  constexpr int widths[] = {32, 16, 8}, heights[] = {8, 4, 2, 1};
  for (const int width : widths)
    for (const int height : heights) {
      const int row_bytes = 3 * span(axes.columns, width) + 15; // and the phase
      const Tile tile{width, height, span(axes.rows, height), (row_bytes + 15) / 16 * 16};
      if (tile.bytes() <= kSharedBudget)
        return tile;
    }
  return {};
}

unsigned ceil_div(int a, int b) {
  return static_cast<unsigned>((a + b - 1) / b);
}

// ---- tensor to frame ----------------------------------------------------------------------------

// Each pixel is limited before it is resized, so that a wild value stays in its place; fmaxf takes
// the number where the other is not one.
__device__ float limited(float value, float most) {
  return fminf(fmaxf(value, 0.0f), most);
}

// Of one pixel of the frame: sums over the windows of all channels. The result is in 0..most.
template <int kChannels>
__device__ void resample(const Planes& p, int frame, const Window& rows, const Window& columns,
                         const Affine& affine, float most, float* out) {
  for (int c = 0; c < kChannels; ++c)
    out[c] = 0.0f;
  for (int j = rows.first; j <= rows.last; ++j) {
    const float row_weight = rows.weight(j);
    for (int i = columns.first; i <= columns.last; ++i) {
      const float weight = row_weight * columns.weight(i);
      for (int c = 0; c < kChannels; ++c) {
        const float value = value_at(p, place(p, frame, c, j, i));
        out[c] += weight * limited(value * affine.scale[c] + affine.shift[c], most);
      }
    }
  }
}

struct FrameAxes {
  Axes y;
  Axes mask;
};

// Four pixels of a row for each thread: twelve bytes, which are three words where the address
// allows.
constexpr int kPixels = 4;

// The twelve bytes stay in registers as words: nothing here is indexed by what varies.
struct FourPixels {
  unsigned word[3];

  __device__ unsigned byte(int i) const { return word[i / 4] >> (8 * (i % 4)) & 0xffu; }
  __device__ void add(int i, unsigned code) { word[i / 4] |= code << (8 * (i % 4)); }
};

__device__ bool takes_words(const std::uint8_t* address, int pixels) {
  return pixels == kPixels && (reinterpret_cast<std::uintptr_t>(address) & 3) == 0;
}

__device__ FourPixels load_pixels(const std::uint8_t* from, int pixels) {
  FourPixels p{};
  if (takes_words(from, pixels)) {
#pragma unroll
    for (int i = 0; i < 3; ++i)
      p.word[i] = reinterpret_cast<const unsigned*>(from)[i];
    return p;
  }
#pragma unroll
  for (int i = 0; i < 3 * kPixels; ++i)
    if (i < 3 * pixels)
      p.add(i, from[i]);
  return p;
}

__device__ void store_pixels(std::uint8_t* to, const FourPixels& p, int pixels) {
  if (takes_words(to, pixels)) {
#pragma unroll
    for (int i = 0; i < 3; ++i)
      reinterpret_cast<unsigned*>(to)[i] = p.word[i];
    return;
  }
#pragma unroll
  for (int i = 0; i < 3 * kPixels; ++i)
    if (i < 3 * pixels)
      to[i] = static_cast<std::uint8_t>(p.byte(i));
}

// Two blocks a processor: the compiler may use 128 registers, where 64 would spill.
__global__ void __launch_bounds__(kThreads, 2)
    tensor_to_frame_pixels(TensorToFrameArguments a, FrameAxes axes) {
  const int x0 = (static_cast<int>(blockIdx.x) * 32 + static_cast<int>(threadIdx.x) % 32) * kPixels;
  const int y = static_cast<int>(blockIdx.y) * (kThreads / 32) + static_cast<int>(threadIdx.x) / 32;
  const int frame = static_cast<int>(blockIdx.z);
  if (x0 >= a.out.width || y >= a.out.height)
    return;
  const int pixels = min(kPixels, a.out.width - x0);
  const bool masked = a.mask.data != nullptr;
  const Window rows = window_of(axes.y.rows, y);
  FourPixels before{}, codes{};
  Window mask_rows = rows;
  if (masked) {
    mask_rows = window_of(axes.mask.rows, y);
    before = load_pixels(a.original.data + frame * a.original.frame_bytes +
                             y * a.original.row_bytes + 3 * x0,
                         pixels);
  }
#pragma unroll
  for (int i = 0; i < kPixels; ++i) {
    if (i >= pixels)
      continue;
    float values[3], share = 1.0f;
    resample<3>(a.y, frame, rows, window_of(axes.y.columns, x0 + i), a.affine, 255.0f, values);
    if (masked) {
      constexpr Affine as_it_is{{1.0f, 1.0f, 1.0f}, {0.0f, 0.0f, 0.0f}};
      resample<1>(a.mask, frame, mask_rows, window_of(axes.mask.columns, x0 + i), as_it_is, 1.0f,
                  &share);
    }
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      float value = a.bgr ? values[2 - c] : values[c];
      if (masked) {
        const float old = static_cast<float>(before.byte(3 * i + c));
        value = old + share * (value - old);
      }
      codes.add(3 * i + c, static_cast<unsigned>(min(__float2int_rn(value), 255)));
    }
  }
  std::uint8_t* to = a.out.data + frame * a.out.frame_bytes + y * a.out.row_bytes + 3 * x0;
  store_pixels(to, codes, pixels);
}

Axes axes_between(int height_in, int width_in, int height_out, int width_out, bool antialias) {
  return {make_axis(height_in, height_out, antialias), make_axis(width_in, width_out, antialias)};
}

} // namespace

void frame_to_tensor(const FrameToTensorArguments& a, void* stream) {
  if (a.frames == 0)
    return;
  const Axes axes =
      axes_between(a.frame.height, a.frame.width, a.out.height, a.out.width, a.antialias);
  const Tile tile = choose_tile(axes);
  const auto frames = static_cast<unsigned>(a.frames);
  if (tile.width == 0) {
    const dim3 grid(ceil_div(a.out.width, kThreads / 32), static_cast<unsigned>(a.out.height),
                    frames);
    return launch(frame_to_tensor_pixels, grid, dim3(kThreads), 0, stream, a, axes);
  }
  const dim3 grid(ceil_div(a.out.width, tile.width), ceil_div(a.out.height, tile.height), frames);
  launch(frame_to_tensor_tiles, grid, dim3(kThreads), tile.bytes(), stream, a, axes, tile);
}

void tensor_to_frame(const TensorToFrameArguments& a, void* stream) {
  if (a.frames == 0)
    return;
  FrameAxes axes{};
  axes.y = axes_between(a.y.height, a.y.width, a.out.height, a.out.width, a.antialias);
  if (a.mask.data != nullptr)
    axes.mask = axes_between(a.mask.height, a.mask.width, a.out.height, a.out.width, 0);
  const dim3 grid(ceil_div(a.out.width, 32 * kPixels), ceil_div(a.out.height, kThreads / 32),
                  static_cast<unsigned>(a.frames));
  launch(tensor_to_frame_pixels, grid, dim3(kThreads), 0, stream, a, axes);
}

} // namespace bunraku_kernels
