// An implicit matrix product for each output phase: rows are low-resolution pixels, columns output
// channels, and the sum runs over taps and input channels. The next step's tiles travel from device
// memory to registers while the current ones are multiplied; modulation and pre-activation happen
// on the way to shared memory. The result goes through shared memory once more, so that it is
// written along whichever axis is dense.
#include "upsample_conv_launch.hpp"

#include <algorithm>

#include "cuda/activation.cuh"
#include "cuda/element.cuh"
#include "cuda/platform.cuh"
#include "cuda/warp.cuh"
#include "phase_conv_tile.cuh"

namespace bunraku_kernels {
namespace {

using bunraku::cuda::block_sum;
using bunraku::cuda::dynamic_shared_memory;
using bunraku::cuda::launch;

using Large = Tile<128, 128, 2, 4>;
using Small = Tile<64, 64, 2, 2>;
using Narrow = Tile<64, 16, 4, 1>; // few output channels: to RGB, to one waveform

constexpr int kEnoughBlocks = 132; // below one for each processor of an H100, smaller tiles

__host__ __device__ inline int divided_up(std::int64_t value, std::int64_t by) {
  return static_cast<int>((value + by - 1) / by);
}

__host__ __device__ inline int pixel_columns(const PhaseConvArguments& a) {
  return divided_up(a.out_width, a.up_w);
}

__host__ __device__ inline int pixel_count(const PhaseConvArguments& a) {
  return divided_up(a.out_height, a.up_h) * pixel_columns(a);
}

// What may be read 16 bytes at a time.
struct Wide {
  bool x;
  bool weights;
};

// ---- which part of the output a block computes
// ---------------------------------------------------

template <class Shape> struct Place {
  int phase, phase_h, phase_w, first_pixel, first_channel, part, parts;
  std::int64_t sample;

  // Phases are the fastest: those that write to the same lines run together.
  __device__ explicit Place(const PhaseConvArguments& a) {
    const int phases = a.up_h * a.up_w;
    parts = phases * divided_up(pixel_count(a), Shape::pixels);
    part = static_cast<int>(blockIdx.x % static_cast<unsigned>(parts));
    sample = blockIdx.x / static_cast<unsigned>(parts);
    phase = part % phases;
    phase_h = phase / a.up_w;
    phase_w = phase % a.up_w;
    first_pixel = part / phases * Shape::pixels;
    first_channel = static_cast<int>(blockIdx.y) * Shape::channels;
  }
};

// ---- device memory to registers to shared memory
// -------------------------------------------------

// The steps of the sum: a tap and a range of input channels.
template <typename T> struct Step {
  int tap_h = 0, tap_w = 0, channel = 0;

  __device__ bool next(const PhaseConvArguments& a) {
    channel += Depth<T>::channels;
    if (channel < a.in_channels)
      return true;
    channel = 0;
    if (++tap_w == a.taps_w) {
      tap_w = 0;
      ++tap_h;
    }
    return tap_h < a.taps_h;
  }
};

template <typename T> __device__ Vector16<T> zeros() {
  Vector16<T> v;
#pragma unroll
  for (int i = 0; i < Vector16<T>::kLanes; ++i)
    v.lane[i] = from_float<T>(0.0f);
  return v;
}

template <typename T>
__device__ Vector16<T> gather(const T* from, std::int64_t stride, int count, bool wide) {
  if (wide && count >= Vector16<T>::kLanes)
    return *reinterpret_cast<const Vector16<T>*>(from);
  Vector16<T> v = zeros<T>();
#pragma unroll
  for (int i = 0; i < Vector16<T>::kLanes; ++i)
    if (i < count)
      v.lane[i] = from[i * stride];
  return v;
}

// A block's tile of x: pieces of 16 bytes, neighbours in the axis that is dense in memory.
template <typename T, class Shape> class InputTile {
public:
  __device__ InputTile(const PhaseConvArguments& a, const Place<Shape>& place) {
    const int columns = pixel_columns(a), pixels = pixel_count(a);
    for (int i = 0; i < kPieces; ++i) {
      const int piece = static_cast<int>(threadIdx.x) + i * Shape::threads;
      m_row[i] = a.x_stride.c == 1 ? piece / 4 : piece % Shape::pixels;
      m_channel[i] = (a.x_stride.c == 1 ? piece % 4 : piece / Shape::pixels) * kLanes;
      const int pixel = place.first_pixel + m_row[i];
      m_top[i] = pixel / columns + (place.phase_h + a.crop_h) / a.up_h - (a.taps_h - 1);
      m_left[i] = pixel % columns + (place.phase_w + a.crop_w) / a.up_w - (a.taps_w - 1);
      if (pixel >= pixels)
        m_top[i] = a.height; // beyond the end for every tap
    }
  }

  __device__ void load(const PhaseConvArguments& a, std::int64_t sample, const Step<T>& step,
                       bool wide) {
    const T* x = static_cast<const T*>(a.x) + sample * a.x_stride.n;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int h = m_top[i] + step.tap_h, w = m_left[i] + step.tap_w;
      const int channel = step.channel + m_channel[i];
      const bool there = h >= 0 && h < a.height && w >= 0 && w < a.width;
      m_count[i] = there ? min(a.in_channels - channel, kLanes) : 0;
      m_piece[i] = m_count[i] <= 0
                       ? zeros<T>()
                       : gather(x + h * a.x_stride.h + w * a.x_stride.w + channel * a.x_stride.c,
                                a.x_stride.c, m_count[i], wide);
    }
  }

  // `step` is the one that was loaded.
  __device__ void store(const PhaseConvArguments& a, std::int64_t sample, const Step<T>& step,
                        T* tile) {
    const bool changed = a.pre_activation != 0 || a.style != nullptr;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      if (changed)
        prepare(a, sample * a.in_channels + step.channel + m_channel[i], m_piece[i], m_count[i]);
      *reinterpret_cast<Vector16<T>*>(tile + m_row[i] * Depth<T>::stride + m_channel[i]) =
          m_piece[i];
    }
  }

private:
  static constexpr int kLanes = Vector16<T>::kLanes;
  static constexpr int kPieces = Shape::pixels * 4 / Shape::threads;

  __device__ static void prepare(const PhaseConvArguments& a, std::int64_t style_at,
                                 Vector16<T>& piece, int count) {
    const auto code = static_cast<ActivationCode>(a.pre_activation);
#pragma unroll
    for (int i = 0; i < kLanes; ++i)
      if (i < count) {
        float value = activation_value(code, to_float(piece.lane[i]), a.pre_alpha);
        if (a.style != nullptr)
          value *= a.style[style_at + i];
        piece.lane[i] = from_float<T>(value);
      }
  }

  Vector16<T> m_piece[kPieces];
  int m_row[kPieces], m_channel[kPieces], m_top[kPieces], m_left[kPieces], m_count[kPieces];
};

template <typename T, class Shape> class WeightTile {
public:
  __device__ void load(const PhaseConvArguments& a, const Place<Shape>& place, const Step<T>& step,
                       bool wide) {
    const std::int64_t tap = (place.phase * a.taps_h + step.tap_h) * a.taps_w + step.tap_w;
    const T* weights = static_cast<const T*>(a.weights) + tap * a.out_channels * a.in_channels;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int piece = static_cast<int>(threadIdx.x) + i * Shape::threads;
      const int o = place.first_channel + piece / 4, channel = step.channel + piece % 4 * kLanes;
      const int count = o < a.out_channels ? min(a.in_channels - channel, kLanes) : 0;
      m_piece[i] =
          count <= 0 ? zeros<T>()
                     : gather(weights + std::int64_t(o) * a.in_channels + channel, 1, count, wide);
    }
  }

  __device__ void store(T* tile) const {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int piece = static_cast<int>(threadIdx.x) + i * Shape::threads;
      if (piece < Shape::channels * 4)
        *reinterpret_cast<Vector16<T>*>(tile + piece / 4 * Depth<T>::stride + piece % 4 * kLanes) =
            m_piece[i];
    }
  }

private:
  static constexpr int kLanes = Vector16<T>::kLanes;
  static constexpr int kPieces = (Shape::channels * 4 + Shape::threads - 1) / Shape::threads;

  Vector16<T> m_piece[kPieces];
};

// ---- from the sums to memory
// ---------------------------------------------------------------------

__device__ float activated(const Activated& after, float u) {
  const auto code = static_cast<ActivationCode>(after.activation);
  const float value = after.gain * activation_value(code, u, after.alpha);
  return clamped(value, after.clamp);
}

// The block's results in shared memory, with what is needed to write them.
template <class Shape> struct ResultTile {
  static constexpr int stride = Shape::channels + 1; // odd: no bank conflicts down a column
  float value[Shape::pixels * stride];
  std::int64_t offset[Shape::pixels]; // in y, or below 0 beyond the picture
  float scale[Shape::channels], shift[Shape::channels];

  __device__ float sum(int pixel, int channel) const {
    return value[pixel * stride + channel] * scale[channel] + shift[channel];
  }

  template <typename T>
  __device__ void describe(const PhaseConvArguments& a, const Place<Shape>& place) {
    const int columns = pixel_columns(a), pixels = pixel_count(a);
    for (int i = threadIdx.x; i < Shape::pixels; i += Shape::threads) {
      const int pixel = place.first_pixel + i;
      const std::int64_t row = std::int64_t(pixel / columns) * a.up_h + place.phase_h;
      const std::int64_t column = std::int64_t(pixel % columns) * a.up_w + place.phase_w;
      const bool real = pixel < pixels && row < a.out_height && column < a.out_width;
      offset[i] =
          real ? place.sample * a.y_stride.n + row * a.y_stride.h + column * a.y_stride.w : -1;
    }
    for (int i = threadIdx.x; i < Shape::channels; i += Shape::threads) {
      const int o = place.first_channel + i;
      const bool real = o < a.out_channels;
      scale[i] = real && a.demod != nullptr ? a.demod[place.sample * a.out_channels + o] : 1.0f;
      shift[i] = real && a.bias != nullptr ? to_float(static_cast<const T*>(a.bias)[o]) : 0.0f;
    }
  }

  // Count, sum and centred sum of squares of each channel over the tile.
  __device__ void measure(const PhaseConvArguments& a, const Place<Shape>& place) const {
    for (int i = threadIdx.x; i < Shape::channels; i += Shape::threads) {
      const int o = place.first_channel + i;
      if (o >= a.out_channels)
        continue;
      float count = 0.0f, total = 0.0f, spread = 0.0f;
      for (int p = 0; p < Shape::pixels; ++p)
        if (offset[p] >= 0) {
          count += 1.0f;
          total += sum(p, i);
        }
      const float mean = total / fmaxf(count, 1.0f);
      for (int p = 0; p < Shape::pixels; ++p)
        if (offset[p] >= 0) {
          const float away = sum(p, i) - mean;
          spread += away * away;
        }
      float* part = a.parts + ((place.sample * a.out_channels + o) * place.parts + place.part) * 3;
      part[0] = count;
      part[1] = total;
      part[2] = spread;
    }
  }

  template <typename T>
  __device__ void write(const PhaseConvArguments& a, const Place<Shape>& place) const {
    const bool last = a.y_stride.c == 1;
    for (int i = threadIdx.x; i < Shape::pixels * Shape::channels; i += Shape::threads) {
      const int pixel = last ? i / Shape::channels : i % Shape::pixels;
      const int channel = last ? i % Shape::channels : i / Shape::pixels;
      const int o = place.first_channel + channel;
      if (offset[pixel] >= 0 && o < a.out_channels)
        static_cast<T*>(a.y)[offset[pixel] + o * a.y_stride.c] =
            from_float<T>(activated(a.after, sum(pixel, channel)));
    }
  }
};

template <typename T, class Shape> struct InputPair {
  T x[Shape::pixels * Depth<T>::stride];
  T w[Shape::channels * Depth<T>::stride];
};

template <typename T, class Shape> constexpr std::size_t shared_bytes() {
  return std::max(2 * sizeof(InputPair<T, Shape>), sizeof(ResultTile<Shape>));
}

// Half types wait for memory more than for the tensor cores: 512 threads a processor hide it better
// than the registers that they give up.
template <typename T, class Shape> constexpr int resident() {
  return sizeof(T) == 2 ? 512 / Shape::threads : 1;
}

template <typename T, class Shape>
__global__ void __launch_bounds__(Shape::threads, resident<T, Shape>())
    phase_conv_kernel(PhaseConvArguments a, Wide wide) {
  auto* pair = dynamic_shared_memory<InputPair<T, Shape>>();
  const Place<Shape> place(a);
  InputTile<T, Shape> x(a, place);
  WeightTile<T, Shape> w;
  Product<T, Shape> product;
  Step<T> step;
  const auto load = [&] {
    x.load(a, place.sample, step, wide.x);
    w.load(a, place, step, wide.weights);
  };
  const auto store = [&](int into) {
    x.store(a, place.sample, step, pair[into].x);
    w.store(pair[into].w);
  };
  load();
  store(0);
  __syncthreads();
  int current = 0;
  for (bool more = true; more; current ^= 1) {
    more = step.next(a);
    if (more)
      load();
    product.add(pair[current].x, pair[current].w);
    if (more)
      store(current ^ 1);
    __syncthreads();
  }
  auto* result = dynamic_shared_memory<ResultTile<Shape>>();
  product.store(result->value, ResultTile<Shape>::stride);
  result->template describe<T>(a, place);
  __syncthreads();
  if (a.parts != nullptr)
    result->measure(a, place);
  result->template write<T>(a, place);
}

// ---- normalisation
// -------------------------------------------------------------------------------

constexpr int kThreads = 256;

// One block a picture's channel. Counts, sums and centred sums of squares are combined as Chan et
// al. (1979) do: no large mean spoils the variance.
__global__ void __launch_bounds__(kThreads)
    statistics_kernel(const float* parts, float* stats, int count, float pixels, float eps) {
  float* scratch = dynamic_shared_memory<float>();
  const float* own = parts + std::int64_t(blockIdx.x) * count * 3;
  float total = 0.0f;
  for (int i = threadIdx.x; i < count; i += kThreads)
    total += own[i * 3 + 1];
  const float mean = block_sum(total, scratch) / pixels;
  float spread = 0.0f;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    const float away = own[i * 3 + 1] / fmaxf(own[i * 3], 1.0f) - mean;
    spread += own[i * 3 + 2] + own[i * 3] * away * away;
  }
  spread = block_sum(spread, scratch);
  if (threadIdx.x == 0) {
    stats[std::int64_t(blockIdx.x) * 2] = mean;
    stats[std::int64_t(blockIdx.x) * 2 + 1] = 1.0f / sqrtf(spread / pixels + eps);
  }
}

template <typename T, int kLanes> struct alignas(kLanes * sizeof(T)) Piece {
  T lane[kLanes];
};

// A group is what shares its statistics: one channel of one picture, or one picture whose channels
// alternate. Blocks: group * chunks + chunk.
template <typename T, int kLanes>
__global__ void __launch_bounds__(kThreads)
    normalize_kernel(NormalizeArguments a, std::int64_t group_pieces, int chunks) {
  using Piece = Piece<T, kLanes>;
  const std::int64_t group = blockIdx.x / static_cast<unsigned>(chunks);
  const std::int64_t first = (blockIdx.x % static_cast<unsigned>(chunks)) * kThreads + threadIdx.x;
  const std::int64_t base = group * group_pieces;
  const std::int64_t step = std::int64_t(chunks) * kThreads;
  for (std::int64_t i = first; i < group_pieces; i += step) {
    Piece piece = static_cast<const Piece*>(a.u)[base + i];
    const std::int64_t row =
        a.channels_last ? group * a.channels + (i * kLanes) % a.channels : group;
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const float* stats = a.stats + (row + (a.channels_last ? lane : 0)) * 2;
      const float v = (to_float(piece.lane[lane]) - stats[0]) * stats[1];
      piece.lane[lane] = from_float<T>(activated(a.after, v));
    }
    static_cast<Piece*>(a.y)[base + i] = piece;
  }
}

// ---- host
// ----------------------------------------------------------------------------------------

bool aligned(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

template <typename T> Wide wide_reads(const PhaseConvArguments& a) {
  constexpr int lanes = Vector16<T>::kLanes;
  const bool strides = a.x_stride.c == 1 && a.x_stride.n % lanes == 0 &&
                       a.x_stride.h % lanes == 0 && a.x_stride.w % lanes == 0;
  return {strides && aligned(a.x), a.in_channels % lanes == 0 && aligned(a.weights)};
}

template <class Shape> std::int64_t parts_of(const PhaseConvArguments& a) {
  return std::int64_t(a.up_h) * a.up_w * divided_up(pixel_count(a), Shape::pixels);
}

template <class Body> auto with_shape(const PhaseConvArguments& a, Body&& body) {
  if (a.out_channels <= Narrow::channels)
    return body(TypeTag<Narrow>{});
  const std::int64_t blocks =
      parts_of<Large>(a) * a.batch * divided_up(a.out_channels, Large::channels);
  if (blocks < kEnoughBlocks || a.out_channels <= Small::channels)
    return body(TypeTag<Small>{});
  return body(TypeTag<Large>{});
}

template <typename T, class Shape> void run(const PhaseConvArguments& a, void* stream) {
  const dim3 grid(static_cast<unsigned>(parts_of<Shape>(a) * a.batch),
                  static_cast<unsigned>(divided_up(a.out_channels, Shape::channels)));
  launch(phase_conv_kernel<T, Shape>, grid, dim3(Shape::threads), shared_bytes<T, Shape>(), stream,
         a, wide_reads<T>(a));
}

template <typename T, int kLanes> void run(const NormalizeArguments& a, void* stream) {
  const std::int64_t groups = a.channels_last ? a.batch : std::int64_t(a.batch) * a.channels;
  const std::int64_t pieces = a.pixels * a.channels * a.batch / groups / kLanes;
  const int chunks = static_cast<int>(std::min<std::int64_t>(divided_up(pieces, kThreads), 1024));
  launch(normalize_kernel<T, kLanes>, dim3(static_cast<unsigned>(groups * chunks)), dim3(kThreads),
         0, stream, a, pieces, chunks);
}

} // namespace

std::int64_t statistics_parts(const PhaseConvArguments& arguments) {
  return with_shape(arguments,
                    [&](auto tag) { return parts_of<typename decltype(tag)::Type>(arguments); });
}

void phase_conv(const PhaseConvArguments& a, int type, void* stream) {
  const int pictures = a.batch * a.out_channels;
  if (std::int64_t(pictures) * a.out_height * a.out_width == 0)
    return;
  with_element_type(type, [&](auto element) {
    with_shape(a, [&](auto shape) {
      run<typename decltype(element)::Type, typename decltype(shape)::Type>(a, stream);
    });
  });
  if (a.parts != nullptr)
    launch(statistics_kernel, dim3(static_cast<unsigned>(pictures)), dim3(kThreads),
           32 * sizeof(float), stream, a.parts, a.stats, static_cast<int>(statistics_parts(a)),
           static_cast<float>(std::int64_t(a.out_height) * a.out_width), a.eps);
}

void normalize(const NormalizeArguments& a, int type, void* stream) {
  if (a.batch * a.channels * a.pixels == 0)
    return;
  with_element_type(type, [&](auto element) {
    using T = typename decltype(element)::Type;
    constexpr int lanes = Vector16<T>::kLanes;
    const std::int64_t dense = a.channels_last ? a.channels : a.pixels;
    if (dense % lanes == 0 && aligned(a.u) && aligned(a.y))
      run<T, lanes>(a, stream);
    else
      run<T, 1>(a, stream);
  });
}

} // namespace bunraku_kernels
