// A warp plays a stream: it needs no barrier but its own, so that streams never wait for each
// other. A block's warps share the weights, which are copied to shared memory once and serve all
// streams that the block plays. A lane computes a quad of output channels for several frames, which
// loads 12 floats of shared memory for 32 multiplications.
//
// Only history comes from device memory: the block itself passes from layer to layer in shared
// memory. What each convolution has heard does not depend on the block, so it is fetched
// ahead (cp.async) across layers, one segment while the one before it is used. A segment is the
// whole history of a convolution, where that is short, else what one tap wants.
#include "wavenet_stream_launch.hpp"

#include <algorithm>
#include <stdexcept>

#include "cuda/activation.cuh"
#include "cuda/async_copy.cuh"
#include "cuda/platform.cuh"

namespace bunraku_kernels {
namespace {

using bunraku::cuda::cp_async16;
using bunraku::cuda::cp_async_commit;
using bunraku::cuda::cp_async_wait;
using bunraku::cuda::dynamic_shared_memory;

constexpr int kLanes = 32;
constexpr int kMaxStreams = 8; // of a block
constexpr int kLongTile = 64;  // frames that a warp takes through the network at once
constexpr int kShortTile = 16; // the same, for short blocks
constexpr int kSegmentRows = kLongTile;
constexpr int kSegments = 2;

// Rows an odd number of quads apart: eight lanes that read one quad of eight frames meet no bank
// twice.
__host__ __device__ constexpr int row_floats(int quads) {
  return 4 * (quads | 1);
}

__host__ __device__ constexpr int whole_quads(int floats) {
  return (floats + 3) / 4 * 4;
}

__host__ __device__ inline int program_ints(int arrays, int convs) {
  return arrays * static_cast<int>(sizeof(WaveNetArrayEntry) / 4) +
         convs * static_cast<int>(sizeof(WaveNetConvEntry) / 4);
}

// Floats of shared memory that one stream needs; its parts begin at these places.
struct StreamShared {
  int signal, hidden, segments, input, starts, floats;
  __host__ __device__ StreamShared(int tile, int quads, int convs) {
    const int row = row_floats(quads);
    signal = 0;
    hidden = signal + tile * row;
    segments = hidden + tile * row;
    input = segments + kSegments * kSegmentRows * row;
    starts = input + tile;
    floats = starts + whole_quads(convs);
  }
};

__device__ __forceinline__ float4 load(const float* quad) {
  return *reinterpret_cast<const float4*>(quad);
}

__device__ __forceinline__ void store(float* quad, float4 value) {
  *reinterpret_cast<float4*>(quad) = value;
}

__device__ __forceinline__ void add_product(float4& sum, float x, float4 w) {
  sum.x = fmaf(x, w.x, sum.x);
  sum.y = fmaf(x, w.y, sum.y);
  sum.z = fmaf(x, w.z, sum.z);
  sum.w = fmaf(x, w.w, sum.w);
}

__device__ __forceinline__ float4 sum_of(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

template <ActivationCode kCode> __device__ __forceinline__ float4 activated(float4 z, float alpha) {
  return make_float4(activation_value(kCode, z.x, alpha), activation_value(kCode, z.y, alpha),
                     activation_value(kCode, z.z, alpha), activation_value(kCode, z.w, alpha));
}

template <ActivationCode kCode, int kRows>
__device__ __forceinline__ void activate_all(float4 (&z)[kRows], float alpha) {
#pragma unroll
  for (int j = 0; j < kRows; ++j)
    z[j] = activated<kCode>(z[j], alpha);
}

// The choice is outside of the loop, which is unrolled to keep z in registers.
template <int kRows>
__device__ __forceinline__ void activate(float4 (&z)[kRows], int code, float alpha) {
  switch (static_cast<ActivationCode>(code)) {
  case ActivationCode::Linear:
    return;
  case ActivationCode::Relu:
    return activate_all<ActivationCode::Relu>(z, alpha);
  case ActivationCode::Lrelu:
    return activate_all<ActivationCode::Lrelu>(z, alpha);
  case ActivationCode::Tanh:
    return activate_all<ActivationCode::Tanh>(z, alpha);
  case ActivationCode::Sigmoid:
    return activate_all<ActivationCode::Sigmoid>(z, alpha);
  case ActivationCode::Silu:
    return activate_all<ActivationCode::Silu>(z, alpha);
  case ActivationCode::Softplus:
    return activate_all<ActivationCode::Softplus>(z, alpha);
  case ActivationCode::Elu:
    return activate_all<ActivationCode::Elu>(z, alpha);
  }
}

// The outputs of one lane: a quad of channels, at every kGroups-th frame.
template <int kQuads, int kTile> struct Share {
  static constexpr int kGroups = kLanes / kQuads;
  static constexpr int kRows = (kTile + kGroups - 1) / kGroups;
  int quad;
  int group;
  int frames;
  bool works; // three quads leave two lanes over

  __device__ Share(int lane, int tile_frames)
      : quad(lane % kQuads), group(lane / kQuads), frames(tile_frames),
        works(lane < kQuads * kGroups) {}
  // A lane without a frame to compute reads that of another.
  __device__ int row(int j) const { return min(group + j * kGroups, frames - 1); }
  __device__ bool owns(int j) const { return works && group + j * kGroups < frames; }
};

// A stream in the hands of its warp. Places are floats from `shared`.
struct Warp {
  float* shared;
  const float* weights;
  const WaveNetArrayEntry* arrays;
  const WaveNetConvEntry* convs;
  int conv_count;
  int signal;   // input of the layer, [frame][channel]
  int hidden;   // of the layer behind its activation; between arrays the sum of skips
  int segments; // history on its way
  int segment_floats;
  int input;
  int* starts; // where in each ring the tile begins
  int lane;
  int frames; // of the tile
  float* ring;
  int next_conv; // whose history is fetched next
  int next_tap;
  int fetched; // segment that is filled next
  int used;    // segment that is used next

  __device__ void begin_tile(std::uint64_t position, int tile_frames);
  __device__ void fetch();
  __device__ int await();
  __device__ void release();
  __device__ void remember(int index, int now) const;
};

__device__ void Warp::begin_tile(std::uint64_t position, int tile_frames) {
  frames = tile_frames;
  for (int i = lane; i < conv_count; i += kLanes)
    starts[i] = convs[i].lookback == 0 ? 0 : static_cast<int>(position % convs[i].lookback);
  __syncwarp();
  next_conv = fetched = used = 0;
  next_tap = 1;
  for (int i = 0; i < kSegments; ++i)
    fetch();
}

// Starts the copy of the next segment. Also where none is left: so many groups are always under
// way.
__device__ void Warp::fetch() {
  while (next_conv < conv_count && convs[next_conv].lookback == 0)
    ++next_conv;
  if (next_conv < conv_count) {
    const WaveNetConvEntry conv = convs[next_conv];
    const bool whole = conv.lookback <= kSegmentRows;
    const int distance = whole ? conv.lookback : next_tap * conv.dilation;
    const int rows = whole ? distance : min(distance, frames);
    const int groups = kLanes / conv.quads, quad = lane % conv.quads;
    const int start = starts[next_conv] - distance, row_step = row_floats(conv.quads);
    float* to = shared + segments + fetched * segment_floats + 4 * quad;
    const float* from = ring + conv.ring + 4 * quad;
    for (int row = lane / conv.quads; row < rows && lane < groups * conv.quads; row += groups) {
      const int place = start + row < 0 ? start + row + conv.lookback : start + row;
      cp_async16(to + row * row_step, from + static_cast<std::int64_t>(place) * 4 * conv.quads);
    }
    ++next_tap;
    if (whole || next_tap == conv.taps) {
      next_tap = 1;
      ++next_conv;
    }
  }
  cp_async_commit();
  fetched = (fetched + 1) % kSegments;
}

// The place of the oldest segment, once it is there.
__device__ int Warp::await() {
  cp_async_wait<kSegments - 1>();
  __syncwarp();
  return segments + used * segment_floats;
}

__device__ void Warp::release() {
  __syncwarp();
  used = (used + 1) % kSegments;
  fetch();
}

// The tile's input of a convolution joins its history, of which all has been fetched before.
__device__ void Warp::remember(int index, int now) const {
  const WaveNetConvEntry conv = convs[index];
  if (conv.lookback == 0)
    return;
  const int groups = kLanes / conv.quads, quad = lane % conv.quads;
  if (lane >= groups * conv.quads)
    return;
  float* to = ring + conv.ring + 4 * quad;
  const float* from = shared + now + 4 * quad;
  for (int row = max(0, frames - conv.lookback) + lane / conv.quads; row < frames; row += groups) {
    const int place = (starts[index] + row) % conv.lookback;
    store(to + static_cast<std::int64_t>(place) * 4 * conv.quads,
          load(from + row * row_floats(conv.quads)));
  }
}

// sum[j] += matrix^T shared[rows[j]]; `matrix` is [4 * in_quads][out_floats] from this lane's quad
// on.
template <int kRows>
__device__ __forceinline__ void accumulate(float4 (&sum)[kRows], const float* shared,
                                           const int (&rows)[kRows], const float* matrix,
                                           int in_quads, int out_floats) {
#pragma unroll
  for (int in = 0; in < in_quads; ++in) {
    const float* w = matrix + 4 * in * out_floats;
    const float4 w0 = load(w), w1 = load(w + out_floats);
    const float4 w2 = load(w + 2 * out_floats), w3 = load(w + 3 * out_floats);
#pragma unroll
    for (int j = 0; j < kRows; ++j) {
      const float4 x = load(shared + rows[j] + 4 * in);
      add_product(sum[j], x.x, w0);
      add_product(sum[j], x.y, w1);
      add_product(sum[j], x.z, w2);
      add_product(sum[j], x.w, w3);
    }
  }
}

template <int kRows>
__device__ __forceinline__ void set_all(float4 (&values)[kRows], float4 value) {
#pragma unroll
  for (int j = 0; j < kRows; ++j)
    values[j] = value;
}

// sum += the convolution of the tile at `now`, whose history comes from the segments. in_quads is
// conv.quads, as a constant where the caller has one.
template <int kQuads, int kTile>
__device__ __forceinline__ void convolve(Warp& warp, const Share<kQuads, kTile>& share,
                                         const WaveNetConvEntry& conv, int now, int in_quads,
                                         float4 (&sum)[Share<kQuads, kTile>::kRows]) {
  constexpr int rows_of_lane = Share<kQuads, kTile>::kRows, out_floats = 4 * kQuads;
  const int row_step = row_floats(in_quads), tap_floats = 4 * in_quads * out_floats;
  const float* matrix = warp.weights + conv.weights + 4 * share.quad;
  int rows[rows_of_lane];
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j)
    rows[j] = now + share.row(j) * row_step;
  accumulate(sum, warp.shared, rows, matrix, in_quads, out_floats);
  const bool whole = conv.lookback <= kSegmentRows;
  for (int tap = 1; tap < conv.taps;) {
    const int segment = warp.await();
    const int end = whole ? conv.taps : tap + 1;
    const int begins = whole ? conv.lookback : tap * conv.dilation; // frames before the tile
    for (; tap < end; ++tap) {
      const int distance = tap * conv.dilation;
#pragma unroll
      for (int j = 0; j < rows_of_lane; ++j) {
        const int row = share.row(j) - distance;
        rows[j] = row < 0 ? segment + (row + begins) * row_step : now + row * row_step;
      }
      accumulate(sum, warp.shared, rows, matrix + tap * tap_floats, in_quads, out_floats);
    }
    warp.release();
  }
}

// The head of an array on its sum of skips, which lies in warp.hidden.
template <int kQuads, int kTile>
__device__ __forceinline__ void run_head(Warp& warp, const Share<kQuads, kTile>& share, int index,
                                         float4 (&sum)[Share<kQuads, kTile>::kRows]) {
  const WaveNetConvEntry head = warp.convs[index];
  const float* bias = warp.weights + head.weights + head.taps * 16 * head.quads * kQuads;
  set_all(sum, load(bias + 4 * share.quad));
  convolve<kQuads, kTile>(warp, share, head, warp.hidden, head.quads, sum);
  warp.remember(index, warp.hidden);
}

// What the first layer of an array hears.
template <int kQuads, int kTile>
__device__ __forceinline__ void run_rechannel(Warp& warp, const Share<kQuads, kTile>& share,
                                              int index, float4 (&x)[Share<kQuads, kTile>::kRows]) {
  constexpr int rows_of_lane = Share<kQuads, kTile>::kRows;
  const WaveNetArrayEntry array = warp.arrays[index];
  const float* matrix = warp.weights + array.rechannel + 4 * share.quad;
  set_all(x, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
  if (index == 0) {
    const float4 w = load(matrix);
#pragma unroll
    for (int j = 0; j < rows_of_lane; ++j)
      add_product(x[j], warp.shared[warp.input + share.row(j)], w);
    return;
  }
  int rows[rows_of_lane];
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j)
    rows[j] = warp.signal + share.row(j) * row_floats(array.input_quads);
  accumulate(x, warp.shared, rows, matrix, array.input_quads, 4 * kQuads);
}

template <int kQuads, int kTile>
__device__ __forceinline__ void put(const Warp& warp, const Share<kQuads, kTile>& share, int place,
                                    const float4 (&values)[Share<kQuads, kTile>::kRows]) {
  float* to = warp.shared + place + 4 * share.quad;
#pragma unroll
  for (int j = 0; j < Share<kQuads, kTile>::kRows; ++j)
    if (share.owns(j))
      store(to + share.row(j) * row_floats(kQuads), values[j]);
}

template <int kQuads, int kTile>
__device__ __forceinline__ void run_layer(Warp& warp, const Share<kQuads, kTile>& share, int index,
                                          bool heard, float4 (&skip)[Share<kQuads, kTile>::kRows]) {
  constexpr int rows_of_lane = Share<kQuads, kTile>::kRows, width = 4 * kQuads;
  const WaveNetConvEntry conv = warp.convs[index];
  const float* bias = warp.weights + conv.weights + conv.taps * width * width + 4 * share.quad;
  const float* mixin = bias + width;
  const float* one_by_one = mixin + width;
  float4 z[rows_of_lane];
  set_all(z, load(bias));
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j)
    add_product(z[j], warp.shared[warp.input + share.row(j)], load(mixin));
  convolve<kQuads, kTile>(warp, share, conv, warp.signal, kQuads, z);
  warp.remember(index, warp.signal);
  activate(z, conv.activation, conv.alpha);
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j)
    skip[j] = sum_of(skip[j], z[j]);
  if (!heard)
    return;
  put<kQuads, kTile>(warp, share, warp.hidden, z);
  __syncwarp();
  int rows[rows_of_lane];
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j) {
    const int row = share.row(j) * row_floats(kQuads);
    rows[j] = warp.hidden + row;
    z[j] = sum_of(load(warp.shared + warp.signal + row + 4 * share.quad),
                  load(one_by_one + width * width));
  }
  accumulate(z, warp.shared, rows, one_by_one, kQuads, width);
  put<kQuads, kTile>(warp, share, warp.signal, z);
  __syncwarp();
}

template <int kQuads, int kTile> __device__ void run_array(Warp& warp, int index) {
  const WaveNetArrayEntry array = warp.arrays[index];
  const Share<kQuads, kTile> share(warp.lane, warp.frames);
  float4 skip[Share<kQuads, kTile>::kRows];
  {
    float4 x[Share<kQuads, kTile>::kRows];
    run_rechannel<kQuads, kTile>(warp, share, index, x);
    if (index == 0)
      set_all(skip, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    else
      run_head<kQuads, kTile>(warp, share, array.first_conv - 1, skip);
    __syncwarp();
    put<kQuads, kTile>(warp, share, warp.signal, x);
    __syncwarp();
  }
  const int end = array.first_conv + array.layer_count;
  const int last = warp.conv_count - 2; // whose 1x1 nobody hears
  for (int conv = array.first_conv; conv < end; ++conv)
    run_layer<kQuads, kTile>(warp, share, conv, conv != last, skip);
  put<kQuads, kTile>(warp, share, warp.hidden, skip);
  __syncwarp();
}

template <int kTile> __device__ void run_tile(Warp& warp, int array_count, float* y) {
  for (int a = 0; a < array_count; ++a) {
    switch (warp.arrays[a].quads) {
    case 1:
      run_array<1, kTile>(warp, a);
      break;
    case 2:
      run_array<2, kTile>(warp, a);
      break;
    case 3:
      run_array<3, kTile>(warp, a);
      break;
    default:
      run_array<4, kTile>(warp, a);
    }
  }
  const Share<1, kTile> share(warp.lane, warp.frames);
  float4 sum[Share<1, kTile>::kRows];
  run_head<1, kTile>(warp, share, warp.conv_count - 1, sum);
#pragma unroll
  for (int j = 0; j < Share<1, kTile>::kRows; ++j)
    if (share.owns(j))
      y[share.row(j)] = sum[j].x;
  __syncwarp();
}

__device__ void copy_quads(float* to, const float* from, int floats) {
  for (int i = 4 * static_cast<int>(threadIdx.x); i < floats; i += 4 * static_cast<int>(blockDim.x))
    store(to + i, load(from + i));
}

template <int kTile>
__global__ void __launch_bounds__(kMaxStreams* kLanes) play_streams(WaveNetStreamArguments a) {
  float* shared = dynamic_shared_memory<float>();
  const int weight_floats = static_cast<int>(a.weight_floats);
  auto* program = reinterpret_cast<std::int32_t*>(shared + weight_floats);
  const int ints = program_ints(a.array_count, a.conv_count);
  copy_quads(shared, a.weights, weight_floats);
  for (int i = static_cast<int>(threadIdx.x); i < ints; i += static_cast<int>(blockDim.x))
    program[i] = a.program[i];
  __syncthreads();

  const StreamShared parts(kTile, a.widest_quads, a.conv_count);
  const int warp_index = static_cast<int>(threadIdx.x) / kLanes;
  const int warps = static_cast<int>(blockDim.x) / kLanes;
  const int own = weight_floats + whole_quads(ints) + warp_index * parts.floats;
  Warp warp{};
  warp.shared = shared;
  warp.weights = shared;
  warp.arrays = reinterpret_cast<const WaveNetArrayEntry*>(program);
  warp.convs = reinterpret_cast<const WaveNetConvEntry*>(warp.arrays + a.array_count);
  warp.conv_count = a.conv_count;
  warp.signal = own + parts.signal;
  warp.hidden = own + parts.hidden;
  warp.segments = own + parts.segments;
  warp.segment_floats = kSegmentRows * row_floats(a.widest_quads);
  warp.input = own + parts.input;
  warp.starts = reinterpret_cast<int*>(shared + own + parts.starts);
  warp.lane = static_cast<int>(threadIdx.x) % kLanes;

  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * warps;
  for (std::int64_t s = static_cast<std::int64_t>(blockIdx.x) * warps + warp_index; s < a.streams;
       s += step) {
    // Unsigned, so that no position reads outside the rings or overflows.
    const auto position = static_cast<std::uint64_t>(a.position[s]);
    warp.ring = a.ring + s * a.ring_floats;
    for (std::int64_t begin = 0; begin < a.frames; begin += kTile) {
      const int frames = static_cast<int>(min(a.frames - begin, static_cast<std::int64_t>(kTile)));
      for (int i = warp.lane; i < frames; i += kLanes)
        shared[warp.input + i] = a.x[s * a.frames + begin + i];
      warp.begin_tile(position + begin, frames);
      run_tile<kTile>(warp, a.array_count, a.y + s * a.frames + begin);
    }
    if (warp.lane == 0)
      a.position[s] = static_cast<std::int64_t>(position + a.frames);
  }
}

std::size_t shared_bytes(int tile, std::int64_t weight_floats, int arrays, int convs, int quads,
                         int streams) {
  const StreamShared parts(tile, quads, convs);
  return sizeof(float) *
         (static_cast<std::size_t>(weight_floats) + whole_quads(program_ints(arrays, convs)) +
          static_cast<std::size_t>(streams) * parts.floats);
}

int device_attribute(cudaDeviceAttr which, const char* what) {
  int device = 0, value = 0;
  bunraku::cuda::check(cudaGetDevice(&device), "cudaGetDevice");
  bunraku::cuda::check(cudaDeviceGetAttribute(&value, which, device), what);
  return value;
}

template <int kTile> void play(const WaveNetStreamArguments& a, void* stream) {
  const int most = wavenet_stream_streams_per_block(a.weight_floats, a.array_count, a.conv_count,
                                                    a.widest_quads);
  if (most < 1)
    throw std::runtime_error("the network does not fit the shared memory of a thread block");
  const int processors = device_attribute(cudaDevAttrMultiProcessorCount,
                                          "cudaDeviceGetAttribute(MultiProcessorCount)");
  // Few streams are spread over the whole GPU; many share weights.
  const auto warps = static_cast<int>(
      std::clamp<std::int64_t>((a.streams + processors - 1) / processors, 1, most));
  const std::size_t bytes =
      shared_bytes(kTile, a.weight_floats, a.array_count, a.conv_count, a.widest_quads, warps);
  const int resident = bunraku::cuda::resident_blocks(play_streams<kTile>, warps * kLanes, bytes);
  const std::int64_t blocks = std::min<std::int64_t>((a.streams + warps - 1) / warps, resident);
  bunraku::cuda::launch(play_streams<kTile>,
                        dim3(static_cast<unsigned>(std::max<std::int64_t>(blocks, 1))),
                        dim3(static_cast<unsigned>(warps * kLanes)), bytes, stream, a);
}

} // namespace

int wavenet_stream_streams_per_block(std::int64_t weight_floats, int array_count, int conv_count,
                                     int widest_quads) {
  if (widest_quads < 1 || widest_quads > 4)
    return 0;
  const auto available = static_cast<std::size_t>(
      device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin,
                       "cudaDeviceGetAttribute(MaxSharedMemoryPerBlockOptin)"));
  for (int streams = kMaxStreams; streams > 0; --streams)
    if (shared_bytes(kLongTile, weight_floats, array_count, conv_count, widest_quads, streams) <=
        available)
      return streams;
  return 0;
}

void wavenet_stream(const WaveNetStreamArguments& arguments, void* stream) {
  if (arguments.streams == 0 || arguments.frames == 0)
    return;
  if (arguments.frames <= kShortTile)
    return play<kShortTile>(arguments, stream);
  play<kLongTile>(arguments, stream);
}

} // namespace bunraku_kernels
