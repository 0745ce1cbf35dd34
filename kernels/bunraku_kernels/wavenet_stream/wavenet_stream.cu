// A warp plays a stream: it needs no barrier but its own, so that streams never wait for each
// other. A block's warps share the weights, which are copied to shared memory once and serve all
// streams that the block plays. A lane computes a quad of output channels for several frames, which
// loads 12 floats of shared memory for 32 multiplications.
//
// Only history comes from device memory: the block itself passes from layer to layer in shared
// memory. What each convolution has heard does not depend on the block, so it is fetched
// ahead (cp.async) across layers, one segment while the one before it is used. A segment is the
// whole history of a convolution, where that is short, else what one tap wants.
#include "wavenet_stream/wavenet_stream_launch.hpp"

#include <algorithm>
#include <stdexcept>

#include "cuda/platform.cuh"
#include "wavenet_stream/stream_layers.cuh"

namespace bunraku_kernels {
namespace {

using namespace wavenet_stream_detail;
using bunraku::cuda::dynamic_shared_memory;

constexpr int kMaxStreams = 8; // of a block

__device__ void copy_quads(float* to, const float* from, int floats) {
  for (int i = 4 * static_cast<int>(threadIdx.x); i < floats; i += 4 * static_cast<int>(blockDim.x))
    store(to + i, load(from + i));
}

template <int kTile>
__global__ void __launch_bounds__(kMaxStreams* kLanes) play_streams(WaveNetStreamArguments a) {
  float* shared = dynamic_shared_memory<float>();
  const int weight_floats = static_cast<int>(a.sizes.weight_floats);
  auto* program = reinterpret_cast<std::int32_t*>(shared + weight_floats);
  const int ints = program_ints(a.sizes.array_count, a.sizes.conv_count);
  copy_quads(shared, a.weights, weight_floats);
  for (int i = static_cast<int>(threadIdx.x); i < ints; i += static_cast<int>(blockDim.x))
    program[i] = a.program[i];
  __syncthreads();

  const StreamShared parts(kTile, a.sizes.widest_quads, a.sizes.conv_count);
  const int warp_index = static_cast<int>(threadIdx.x) / kLanes;
  const int warps = static_cast<int>(blockDim.x) / kLanes;
  const int own = weight_floats + whole_quads(ints) + warp_index * parts.floats;
  Warp warp{};
  warp.shared = shared;
  warp.weights = shared;
  warp.arrays = reinterpret_cast<const WaveNetArrayEntry*>(program);
  warp.convs = reinterpret_cast<const WaveNetConvEntry*>(warp.arrays + a.sizes.array_count);
  warp.conv_count = a.sizes.conv_count;
  warp.signal = own + parts.signal;
  warp.hidden = own + parts.hidden;
  warp.segments = own + parts.segments;
  warp.segment_floats = kSegmentRows * row_floats(a.sizes.widest_quads);
  warp.input = own + parts.input;
  warp.starts = reinterpret_cast<int*>(shared + own + parts.starts);
  warp.lane = static_cast<int>(threadIdx.x) % kLanes;

  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * warps;
  for (std::int64_t s = static_cast<std::int64_t>(blockIdx.x) * warps + warp_index; s < a.streams;
       s += step) {
    // Unsigned, so that no position reads outside the rings or overflows.
    const auto position = static_cast<std::uint64_t>(a.position[s]);
    warp.ring = a.ring + s * a.sizes.ring_floats;
    for (std::int64_t begin = 0; begin < a.frames; begin += kTile) {
      const int frames = static_cast<int>(min(a.frames - begin, static_cast<std::int64_t>(kTile)));
      for (int i = warp.lane; i < frames; i += kLanes)
        shared[warp.input + i] = a.x[s * a.frames + begin + i];
      warp.begin_tile(position + begin, frames);
      run_tile<kTile>(warp, a.sizes.array_count, a.y + s * a.frames + begin);
    }
    if (warp.lane == 0)
      a.position[s] = static_cast<std::int64_t>(position + a.frames);
  }
}

std::size_t shared_bytes(int tile, const WaveNetStreamSizes& sizes, int streams) {
  const StreamShared parts(tile, sizes.widest_quads, sizes.conv_count);
  return sizeof(float) * (static_cast<std::size_t>(sizes.weight_floats) +
                          whole_quads(program_ints(sizes.array_count, sizes.conv_count)) +
                          static_cast<std::size_t>(streams) * parts.floats);
}

int device_attribute(cudaDeviceAttr which, const char* what) {
  int device = 0, value = 0;
  bunraku::cuda::check(cudaGetDevice(&device), "cudaGetDevice");
  bunraku::cuda::check(cudaDeviceGetAttribute(&value, which, device), what);
  return value;
}

template <int kTile> void play(const WaveNetStreamArguments& a, void* stream) {
  const int most = wavenet_stream_streams_per_block(a.sizes);
  if (most < 1)
    throw std::runtime_error("the network does not fit the shared memory of a thread block");
  const int processors = device_attribute(cudaDevAttrMultiProcessorCount,
                                          "cudaDeviceGetAttribute(MultiProcessorCount)");
  // Few streams are spread over the whole GPU; many share weights.
  const auto warps = static_cast<int>(
      std::clamp<std::int64_t>((a.streams + processors - 1) / processors, 1, most));
  const std::size_t bytes = shared_bytes(kTile, a.sizes, warps);
  const int resident = bunraku::cuda::resident_blocks(play_streams<kTile>, warps * kLanes, bytes);
  const std::int64_t blocks = std::min<std::int64_t>((a.streams + warps - 1) / warps, resident);
  bunraku::cuda::launch(play_streams<kTile>,
                        dim3(static_cast<unsigned>(std::max<std::int64_t>(blocks, 1))),
                        dim3(static_cast<unsigned>(warps * kLanes)), bytes, stream, a);
}

} // namespace

int wavenet_stream_streams_per_block(const WaveNetStreamSizes& sizes) {
  if (sizes.widest_quads < 1 || sizes.widest_quads > 4)
    return 0;
  const auto available = static_cast<std::size_t>(
      device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin,
                       "cudaDeviceGetAttribute(MaxSharedMemoryPerBlockOptin)"));
  for (int streams = kMaxStreams; streams > 0; --streams)
    if (shared_bytes(kLongTile, sizes, streams) <= available)
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
