// Every factor, filter to 32 taps along an axis, activation and order, one result at a time.
#pragma once

#include <algorithm>

#include "cuda/activation.cuh"
#include "cuda/element.cuh"
#include "positions.cuh"
#include "upfirdn_launch.hpp"

namespace bunraku_kernels::upfirdn_detail {

constexpr int kAnyThreads = 256;
constexpr int kMostSharedBytes = 48 * 1024;

// The results of a block: columns x rows pixels of `channels` neighbours in memory.
struct AnyTile {
  int columns, rows, channels;
  int in_columns, in_rows; // the most samples they need
  int weights;

  __host__ __device__ int samples() const { return in_columns * in_rows * channels; }
  // After the pass along x of a separable filter.
  __host__ __device__ int halfway() const { return columns * in_rows * channels; }
  int shared_bytes(bool separable) const {
    return static_cast<int>(sizeof(float)) * (weights + samples() + (separable ? halfway() : 0));
  }
};

struct Taps { // those of one result along an axis that meet a sample
  int tap, sample;
};

__device__ inline Taps first_tap(int result, int up, int down, int before) {
  const int start = result * down - before;
  const int sample = ceil_div(start, up);
  return {sample * up - start, sample};
}

// Where a tile lies, and where its images begin.
struct Origin {
  std::int64_t image, channel;
  int ox, oy, ix, iy;
};

__device__ inline std::int64_t offset_of(const UpfirdnArguments& a, std::int64_t image,
                                         std::int64_t channel, int y, int x, int height,
                                         int width) {
  return a.channels_last ? ((image * height + y) * width + x) * a.channels + channel
                         : ((image * a.channels + channel) * height + y) * width + x;
}

template <typename T>
__device__ void load_any(const UpfirdnArguments& a, const AnyTile& s, const Origin& o,
                         float* samples) {
  for (int i = threadIdx.x; i < s.samples(); i += kAnyThreads) {
    const int c = i % s.channels, column = i / s.channels % s.in_columns;
    const int ix = o.ix + column, iy = o.iy + i / s.channels / s.in_columns;
    const bool held =
        ix >= 0 && ix < a.width && iy >= 0 && iy < a.height && o.channel + c < a.channels;
    samples[i] = held ? to_float(static_cast<const T*>(
                            a.x)[offset_of(a, o.image, o.channel + c, iy, ix, a.height, a.width)])
                      : 0.0f;
  }
}

__device__ inline void filter_along_x(const UpfirdnArguments& a, const AnyTile& s, const Origin& o,
                                      const float* weights, const float* samples, float* halfway) {
  for (int i = threadIdx.x; i < s.halfway(); i += kAnyThreads) {
    const int c = i % s.channels, column = i / s.channels % s.columns;
    const int row = i / s.channels / s.columns;
    Taps x = first_tap(o.ox + column, a.up_x, a.down_x, a.before_x);
    float sum = 0.0f;
    for (; x.tap < a.taps_x; x.tap += a.up_x, ++x.sample)
      sum = fmaf(weights[x.tap], samples[(row * s.in_columns + x.sample - o.ix) * s.channels + c],
                 sum);
    halfway[i] = sum;
  }
}

__device__ inline float filter_along_y(const UpfirdnArguments& a, const AnyTile& s, const Origin& o,
                                       const float* weights, const float* halfway, int column,
                                       int row, int c) {
  Taps y = first_tap(o.oy + row, a.up_y, a.down_y, a.before_y);
  float sum = 0.0f;
  for (; y.tap < a.taps_y; y.tap += a.up_y, ++y.sample)
    sum = fmaf(weights[y.tap], halfway[((y.sample - o.iy) * s.columns + column) * s.channels + c],
               sum);
  return a.scale * sum;
}

__device__ inline float filter_both(const UpfirdnArguments& a, const AnyTile& s, const Origin& o,
                                    const float* weights, const float* samples, int column, int row,
                                    int c) {
  Taps y = first_tap(o.oy + row, a.up_y, a.down_y, a.before_y);
  float sum = 0.0f;
  for (; y.tap < a.taps_y; y.tap += a.up_y, ++y.sample) {
    Taps x = first_tap(o.ox + column, a.up_x, a.down_x, a.before_x);
    for (; x.tap < a.taps_x; x.tap += a.up_x, ++x.sample)
      sum =
          fmaf(weights[y.tap * a.taps_x + x.tap],
               samples[((y.sample - o.iy) * s.in_columns + x.sample - o.ix) * s.channels + c], sum);
  }
  return a.scale * sum;
}

template <typename T>
__device__ void store_any(const UpfirdnArguments& a, std::int64_t at, std::int64_t channel,
                          float u) {
  if (a.order >= 0) {
    if (a.b != nullptr)
      u += to_float(static_cast<const T*>(a.b)[channel]);
    const float dy = a.order >= 1 ? to_float(static_cast<const T*>(a.dy)[at]) : 0.0f;
    const float ddx = a.order == 2 ? to_float(static_cast<const T*>(a.ddx)[at]) : 0.0f;
    const Activation f{static_cast<ActivationCode>(a.activation), a.alpha, a.gain, a.clamp};
    u = activated(f, a.order, u, dy, ddx);
  }
  static_cast<T*>(a.out)[at] = from_float<T>(u);
}

template <typename T>
__global__ void __launch_bounds__(kAnyThreads)
    upfirdn_any(UpfirdnArguments a, AnyTile s, std::int64_t tiles) {
  float* weights = bunraku::cuda::dynamic_shared_memory<float>();
  float* samples = weights + s.weights;
  float* halfway = samples + s.samples();
  for (int i = threadIdx.x; i < s.weights; i += kAnyThreads)
    weights[i] = a.f[a.flip ? i : s.weights - 1 - i];
  const int tiles_c = ceil_div(a.channels, s.channels);
  const int tiles_x = ceil_div(a.out_width, s.columns);
  const int tiles_y = ceil_div(a.out_height, s.rows);
  for (std::int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    // Tiles of one image follow each other, those of neighbouring channels first if channels-last.
    const std::int64_t of_image = static_cast<std::int64_t>(tiles_c) * tiles_x * tiles_y;
    const int pixels = tiles_x * tiles_y;
    const int within = static_cast<int>(t % of_image);
    const int chunk = a.channels_last ? within % tiles_c : within / pixels;
    const int pixel = a.channels_last ? within / tiles_c : within % pixels;
    Origin o{t / of_image,
             static_cast<std::int64_t>(chunk) * s.channels,
             pixel % tiles_x * s.columns,
             pixel / tiles_x * s.rows,
             0,
             0};
    o.ix = first_tap(o.ox, a.up_x, a.down_x, a.before_x).sample;
    o.iy = first_tap(o.oy, a.up_y, a.down_y, a.before_y).sample;
    load_any<T>(a, s, o, samples);
    __syncthreads();
    if (a.separable) {
      filter_along_x(a, s, o, weights, samples, halfway);
      __syncthreads();
    }
    for (int i = threadIdx.x; i < s.columns * s.rows * s.channels; i += kAnyThreads) {
      const int c = i % s.channels, column = i / s.channels % s.columns;
      const int row = i / s.channels / s.columns;
      const int ox = o.ox + column, oy = o.oy + row;
      if (ox >= a.out_width || oy >= a.out_height || o.channel + c >= a.channels)
        continue;
      const float u = a.separable ? filter_along_y(a, s, o, weights, halfway, column, row, c)
                                  : filter_both(a, s, o, weights, samples, column, row, c);
      store_any<T>(a, offset_of(a, o.image, o.channel + c, oy, ox, a.out_height, a.out_width),
                   o.channel + c, u);
    }
    __syncthreads(); // the next tile overwrites this one
  }
}

// The largest tile whose samples fit.
inline AnyTile any_tile(const UpfirdnArguments& a) {
  AnyTile s{};
  s.channels = a.channels_last ? std::min(a.channels, 32) : 1;
  s.rows = std::min(a.out_height, a.channels_last ? 8 : 16);
  s.columns = std::min(a.out_width, (a.channels_last ? 64 : 1024) / s.rows);
  s.weights = a.separable ? a.taps_x : a.taps_x * a.taps_y;
  for (;;) {
    const auto samples = [](int results, int down, int taps, int up) {
      return (static_cast<std::int64_t>(results - 1) * down + taps - 1) / up + 1;
    };
    const std::int64_t in_columns = samples(s.columns, a.down_x, a.taps_x, a.up_x);
    const std::int64_t in_rows = samples(s.rows, a.down_y, a.taps_y, a.up_y);
    constexpr std::int64_t most = kMostSharedBytes / static_cast<int>(sizeof(float));
    if (in_columns <= most && in_rows <= most && in_columns * in_rows <= most) {
      s.in_columns = static_cast<int>(in_columns);
      s.in_rows = static_cast<int>(in_rows);
      if (s.shared_bytes(a.separable) <= kMostSharedBytes)
        return s;
    }
    if (s.columns == 1 && s.rows == 1)
      s.channels /= 2; // 32 x 32 samples of one channel fit: this ends
    else if (in_columns >= in_rows ? s.columns > 1 : s.rows == 1)
      s.columns = (s.columns + 1) / 2;
    else
      s.rows = (s.rows + 1) / 2;
  }
}

} // namespace bunraku_kernels::upfirdn_detail
