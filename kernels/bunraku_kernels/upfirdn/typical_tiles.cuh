// What GAN generators use: up 2, down 2 or neither, 4 x 4 taps (a smaller filter is not padded: its
// zeros would spread not-a-number to the neighbours), linear, relu or lrelu. Sizes
// are constants, a thread keeps the sums of several results in registers, and reads a sample from
// shared memory once for all of them.
#pragma once

#include "cuda/activation.cuh"
#include "cuda/element.cuh"
#include "positions.cuh"
#include "upfirdn_launch.hpp"

namespace bunraku_kernels::upfirdn_detail {

constexpr int kTaps = 4; // along an axis

// The tap of correlation (ky, kx) in a filter that may be reversed or separable.
__device__ inline float filter_tap(const UpfirdnArguments& a, int ky, int kx) {
  const int y = a.flip ? ky : a.taps_y - 1 - ky;
  const int x = a.flip ? kx : a.taps_x - 1 - kx;
  return a.scale * (a.separable ? a.f[y] * a.f[x] : a.f[y * a.taps_x + x]);
}

// ---- bias and activation of a sum ---------------------------------------------------------------

enum class Epilogue { None, Broken }; // Broken: linear, relu, lrelu with orders 0 and 1

// The slope left of zero; those three activations are one function of it, and no branch.
struct BrokenLine {
  float left, gain, limit;
  bool is_relu, is_slope;

  __device__ explicit BrokenLine(const UpfirdnArguments& a)
      : left(a.alpha), gain(a.gain), limit(a.clamp),
        is_relu(static_cast<ActivationCode>(a.activation) == ActivationCode::Relu),
        is_slope(a.order == 1) {
    if (static_cast<ActivationCode>(a.activation) == ActivationCode::Linear)
      left = 1.0f;
    if (is_relu)
      left = 0.0f;
  }
  __device__ float operator()(float u, float dy) const {
    const float slope = u > 0.0f ? gain : gain * left;
    const float value = is_relu && u < 0.0f ? 0.0f : slope * u; // 0 x inf is not relu's
    if (is_slope)
      return passes_clamp(value, limit) ? slope * dy : 0.0f;
    return clamped(value, limit);
  }
};

// One 16-byte vector of results, `count` of whose lanes exist.
template <typename T, Epilogue kEpilogue>
__device__ void store_vector(const UpfirdnArguments& a, const BrokenLine& line,
                             const float (&sum)[Vector16<T>::kLanes],
                             const float (&bias)[Vector16<T>::kLanes], std::int64_t at, int count,
                             bool whole) {
  using Vector = Vector16<T>;
  T* out = static_cast<T*>(a.out) + at;
  const T* dy = static_cast<const T*>(a.dy) + at;
  Vector slope{}, result;
  if (kEpilogue == Epilogue::Broken && a.order == 1) {
    if (whole) {
      slope = *reinterpret_cast<const Vector*>(dy);
    } else {
#pragma unroll
      for (int i = 0; i < Vector::kLanes; ++i)
        if (i < count)
          slope.lane[i] = dy[i];
    }
  }
#pragma unroll
  for (int i = 0; i < Vector::kLanes; ++i) {
    float y = sum[i];
    if (kEpilogue == Epilogue::Broken)
      y = line(y + bias[i], to_float(slope.lane[i]));
    result.lane[i] = from_float<T>(y);
  }
  if (whole) {
    *reinterpret_cast<Vector*>(out) = result;
  } else {
#pragma unroll
    for (int i = 0; i < Vector::kLanes; ++i)
      if (i < count)
        out[i] = result.lane[i];
  }
}

// ---- the kernels --------------------------------------------------------------------------------

// For each i below kCount of this thread: store(i, load(i)), with several loads on their way at
// once.
template <int kCount, int kThreads, typename Load, typename Store>
__device__ void in_batches(const Load& load, const Store& store) {
  constexpr int batch = 4;
  for (int first = threadIdx.x; first < kCount; first += kThreads * batch) {
    decltype(load(0)) held[batch];
#pragma unroll
    for (int k = 0; k < batch; ++k)
      if (first + k * kThreads < kCount)
        held[k] = load(first + k * kThreads);
#pragma unroll
    for (int k = 0; k < batch; ++k)
      if (first + k * kThreads < kCount)
        store(first + k * kThreads, held[k]);
  }
}

// Samples that `results` neighbours need, where the first result is at a multiple of kUp and the
// padding before is one too: then every index below is known to the compiler.
template <int kUp, int kDown> constexpr int samples_for(int results) {
  return ((results - 1) * kDown + kTaps - 1) / kUp + 1;
}

// The tap with which sample i, counted from the first result's first, enters result r; out of
// 0..kTaps-1 if it does not.
template <int kUp, int kDown> __device__ constexpr int tap_of(int i, int r) {
  return i * kUp - r * kDown;
}

template <typename T, int kUp, int kDown> struct PlaneTile {
  static constexpr int kLanes = Vector16<T>::kLanes; // results of a thread along x
  static constexpr int kRows = kDown == 2 ? 2 : 4;   // and along y
  static constexpr int kThreadsX = 16, kThreadsY = 8;
  static constexpr int kThreads = kThreadsX * kThreadsY;
  static constexpr int kWidth = kThreadsX * kLanes, kHeight = kThreadsY * kRows;
  static constexpr int kInWidth = samples_for<kUp, kDown>(kWidth);
  static constexpr int kInHeight = samples_for<kUp, kDown>(kHeight);
  static constexpr int kWindowX = samples_for<kUp, kDown>(kLanes);
  static constexpr int kWindowY = samples_for<kUp, kDown>(kRows);
  // Two floats are skipped after every 32, so that threads a power of two apart meet other banks.
  __device__ static constexpr int place(int column) { return column + column / 32 * 2; }
  static constexpr int kPitch = (kInWidth + 1) / 2 * 2 + (kInWidth + 1) / 32 * 2;
  static constexpr int kSharedBytes = kInHeight * kPitch * static_cast<int>(sizeof(float));
};

template <typename T, int kUp, int kDown>
__device__ void load_plane_tile(const UpfirdnArguments& a, const T* plane, int ix0, int iy0,
                                bool in_vectors, float* tile) {
  using Tile = PlaneTile<T, kUp, kDown>;
  using Vector = Vector16<T>;
  constexpr int lanes = Vector::kLanes;
  const auto in_row = [&](int iy) { return plane + static_cast<std::int64_t>(iy) * a.width; };
  if (!in_vectors) {
    in_batches<Tile::kInHeight * Tile::kInWidth, Tile::kThreads>(
        [&](int i) {
          const int iy = iy0 + i / Tile::kInWidth, ix = ix0 + i % Tile::kInWidth;
          const bool held = iy >= 0 && iy < a.height && ix >= 0 && ix < a.width;
          return held ? to_float(in_row(iy)[ix]) : 0.0f;
        },
        [&](int i, float sample) {
          tile[i / Tile::kInWidth * Tile::kPitch + Tile::place(i % Tile::kInWidth)] = sample;
        });
    return;
  }
  constexpr int vectors = (Tile::kInWidth + lanes - 2) / lanes + 1; // wherever the tile begins
  const int start = floor_div(ix0, lanes) * lanes;
  in_batches<Tile::kInHeight * vectors, Tile::kThreads>(
      [&](int i) {
        const int iy = iy0 + i / vectors, ix = start + i % vectors * lanes;
        const bool held = iy >= 0 && iy < a.height && ix >= 0 && ix < a.width;
        return held ? *reinterpret_cast<const Vector*>(in_row(iy) + ix) : Vector{};
      },
      [&](int i, const Vector& samples) {
#pragma unroll
        for (int lane = 0; lane < lanes; ++lane) {
          const int column = start - ix0 + i % vectors * lanes + lane;
          if (column >= 0 && column < Tile::kInWidth)
            tile[i / vectors * Tile::kPitch + Tile::place(column)] = to_float(samples.lane[lane]);
        }
      });
}

// Contiguous images: a thread computes kRows rows of 16 bytes.
template <typename T, int kUp, int kDown, Epilogue kEpilogue>
__global__ void __launch_bounds__(PlaneTile<T, kUp, kDown>::kThreads)
    upfirdn_planes(UpfirdnArguments a, std::int64_t tiles, bool load_vectors, bool store_vectors) {
  using Tile = PlaneTile<T, kUp, kDown>;
  constexpr int lanes = Tile::kLanes;
  float* tile = bunraku::cuda::dynamic_shared_memory<float>();
  float weight[kTaps][kTaps];
#pragma unroll
  for (int i = 0; i < kTaps * kTaps; ++i)
    weight[i / kTaps][i % kTaps] = filter_tap(a, i / kTaps, i % kTaps);
  const BrokenLine line(a);
  const int tiles_x = ceil_div(a.out_width, Tile::kWidth);
  const int tiles_y = ceil_div(a.out_height, Tile::kHeight);
  const int tx = threadIdx.x % Tile::kThreadsX, ty = threadIdx.x / Tile::kThreadsX;
  for (std::int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const std::int64_t plane = t / (tiles_x * tiles_y);
    const int within = static_cast<int>(t % (tiles_x * tiles_y));
    const int ox0 = within % tiles_x * Tile::kWidth, oy0 = within / tiles_x * Tile::kHeight;
    const T* x = static_cast<const T*>(a.x) + plane * a.height * a.width;
    load_plane_tile<T, kUp, kDown>(a, x, (ox0 * kDown - a.before_x) / kUp,
                                   (oy0 * kDown - a.before_y) / kUp, load_vectors, tile);
    __syncthreads();

    float sum[Tile::kRows][lanes] = {};
    const int first_column = tx * lanes * kDown / kUp, first_row = ty * Tile::kRows * kDown / kUp;
#pragma unroll
    for (int i = 0; i < Tile::kWindowY; ++i) {
      const float* row = tile + (first_row + i) * Tile::kPitch;
      float window[(Tile::kWindowX + 1) / 2 * 2];
#pragma unroll
      for (int j = 0; j < Tile::kWindowX; j += 2) {
        const float2 two = *reinterpret_cast<const float2*>(row + Tile::place(first_column + j));
        window[j] = two.x;
        window[j + 1] = two.y;
      }
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) {
        const int ky = tap_of<kUp, kDown>(i, r);
        if (ky < 0 || ky >= kTaps)
          continue;
#pragma unroll
        for (int j = 0; j < Tile::kWindowX; ++j) {
#pragma unroll
          for (int v = 0; v < lanes; ++v) {
            const int kx = tap_of<kUp, kDown>(j, v);
            if (kx >= 0 && kx < kTaps)
              sum[r][v] = fmaf(weight[ky][kx], window[j], sum[r][v]);
          }
        }
      }
    }

    float bias[lanes];
    const float one =
        a.b == nullptr ? 0.0f : to_float(static_cast<const T*>(a.b)[plane % a.channels]);
#pragma unroll
    for (int v = 0; v < lanes; ++v)
      bias[v] = one;
    const int ox = ox0 + tx * lanes;
#pragma unroll
    for (int r = 0; r < Tile::kRows; ++r) {
      const int oy = oy0 + ty * Tile::kRows + r;
      if (oy < a.out_height && ox < a.out_width)
        store_vector<T, kEpilogue>(a, line, sum[r], bias,
                                   (plane * a.out_height + oy) * a.out_width + ox, a.out_width - ox,
                                   store_vectors);
    }
    __syncthreads(); // the next tile overwrites this one
  }
}

template <typename T, int kUp, int kDown> struct PixelTile {
  static constexpr int kLanes = Vector16<T>::kLanes;
  static constexpr int kVectors = 4; // of channels: 64 bytes a pixel
  static constexpr int kRows = kUp * kDown == 1 ? 4 : 2;
  static constexpr int kColumns = kUp; // results of a thread, so that all phases are its own
  static constexpr int kThreadsX = 16, kThreadsY = 4;
  static constexpr int kThreads = kVectors * kThreadsX * kThreadsY;
  static constexpr int kWidth = kThreadsX * kColumns, kHeight = kThreadsY * kRows;
  static constexpr int kInWidth = samples_for<kUp, kDown>(kWidth);
  static constexpr int kInHeight = samples_for<kUp, kDown>(kHeight);
  static constexpr int kWindowX = samples_for<kUp, kDown>(kColumns);
  static constexpr int kWindowY = samples_for<kUp, kDown>(kRows);
  static constexpr int kSharedBytes = kInHeight * kInWidth * kVectors * 16;
};

// Channels-last images with whole vectors of channels: a thread computes 16 bytes of channels of
// kRows x kColumns pixels.
template <typename T, int kUp, int kDown, Epilogue kEpilogue>
__global__ void __launch_bounds__(PixelTile<T, kUp, kDown>::kThreads)
    upfirdn_pixels(UpfirdnArguments a, std::int64_t tiles) {
  using Tile = PixelTile<T, kUp, kDown>;
  using Vector = Vector16<T>;
  constexpr int lanes = Tile::kLanes;
  Vector* tile = bunraku::cuda::dynamic_shared_memory<Vector>();
  float weight[kTaps][kTaps];
#pragma unroll
  for (int i = 0; i < kTaps * kTaps; ++i)
    weight[i / kTaps][i % kTaps] = filter_tap(a, i / kTaps, i % kTaps);
  const BrokenLine line(a);
  const int tiles_c = ceil_div(a.channels, Tile::kVectors * lanes);
  const int tiles_x = ceil_div(a.out_width, Tile::kWidth);
  const int tiles_y = ceil_div(a.out_height, Tile::kHeight);
  const int vector = threadIdx.x % Tile::kVectors;
  const int tx = threadIdx.x / Tile::kVectors % Tile::kThreadsX;
  const int ty = threadIdx.x / (Tile::kVectors * Tile::kThreadsX);
  for (std::int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const int channel = (static_cast<int>(t % tiles_c) * Tile::kVectors + vector) * lanes;
    const int ox0 = static_cast<int>(t / tiles_c % tiles_x) * Tile::kWidth;
    const int oy0 = static_cast<int>(t / tiles_c / tiles_x % tiles_y) * Tile::kHeight;
    const std::int64_t image = t / tiles_c / tiles_x / tiles_y;
    const bool exists = channel < a.channels;
    const int ix0 = (ox0 * kDown - a.before_x) / kUp, iy0 = (oy0 * kDown - a.before_y) / kUp;
    // kThreads is a multiple of kVectors: i % kVectors is `vector` for all i of this thread.
    in_batches<Tile::kInHeight * Tile::kInWidth * Tile::kVectors, Tile::kThreads>(
        [&](int i) {
          const int pixel = i / Tile::kVectors;
          const int iy = iy0 + pixel / Tile::kInWidth, ix = ix0 + pixel % Tile::kInWidth;
          const bool held = exists && iy >= 0 && iy < a.height && ix >= 0 && ix < a.width;
          const std::int64_t at = ((image * a.height + iy) * a.width + ix) * a.channels + channel;
          return held ? *reinterpret_cast<const Vector*>(static_cast<const T*>(a.x) + at)
                      : Vector{};
        },
        [&](int i, const Vector& samples) { tile[i] = samples; });
    __syncthreads();

    float sum[Tile::kRows][Tile::kColumns][lanes] = {};
    const int first_column = tx * Tile::kColumns * kDown / kUp;
    const int first_row = ty * Tile::kRows * kDown / kUp;
#pragma unroll
    for (int i = 0; i < Tile::kWindowY; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kWindowX; ++j) {
        const int pixel = (first_row + i) * Tile::kInWidth + first_column + j;
        const Vector samples = tile[pixel * Tile::kVectors + vector];
#pragma unroll
        for (int r = 0; r < Tile::kRows; ++r) {
          const int ky = tap_of<kUp, kDown>(i, r);
          if (ky < 0 || ky >= kTaps)
            continue;
#pragma unroll
          for (int c = 0; c < Tile::kColumns; ++c) {
            const int kx = tap_of<kUp, kDown>(j, c);
            if (kx < 0 || kx >= kTaps)
              continue;
#pragma unroll
            for (int v = 0; v < lanes; ++v)
              sum[r][c][v] = fmaf(weight[ky][kx], to_float(samples.lane[v]), sum[r][c][v]);
          }
        }
      }
    }

    if (exists) {
      float bias[lanes] = {};
      if (a.b != nullptr) {
#pragma unroll
        for (int v = 0; v < lanes; ++v)
          bias[v] = to_float(static_cast<const T*>(a.b)[channel + v]);
      }
#pragma unroll
      for (int r = 0; r < Tile::kRows; ++r) {
#pragma unroll
        for (int c = 0; c < Tile::kColumns; ++c) {
          const int oy = oy0 + ty * Tile::kRows + r, ox = ox0 + tx * Tile::kColumns + c;
          if (oy < a.out_height && ox < a.out_width)
            store_vector<T, kEpilogue>(
                a, line, sum[r][c], bias,
                ((image * a.out_height + oy) * a.out_width + ox) * a.channels + channel, lanes,
                true);
        }
      }
    }
    __syncthreads(); // the next tile overwrites this one
  }
}

} // namespace bunraku_kernels::upfirdn_detail
