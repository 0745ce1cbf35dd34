// A WaveNet that speaks sample by sample does little arithmetic in a long chain, so one persistent
// launch plays all samples. A pipeline of blocks holds the network: each block keeps the weights of
// a run of layers, and of some rows of the output stage, in its shared memory for the whole call,
// and hands its result to the next block through distributed shared memory (a cluster) or, without
// clusters, through global memory (a cooperative grid). Streams are spread over pipelines; within
// one, groups of streams follow each other, and the streams of a group share each pass over
// weights.
//
// On the critical path of a sample are only the products with a layer's current input and with its
// gated units. Past taps are multiplied a sample ahead, and the skip products are made after the
// layer's result was handed on.
#include "wavenet_sample/cuda/launch.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "cuda/element.cuh"
#include "wavenet_sample/cuda/block.cuh"

// Parameters that are read where the launch put them, never copied.
#if defined(BUNRAKU_CUDA_EMULATED)
#define BUNRAKU_GRID_CONSTANT
#else
#define BUNRAKU_GRID_CONSTANT __grid_constant__
#endif

namespace bunraku_kernels {
namespace {

template <class Weight, int kStreams, class Transport>
__device__ __forceinline__ void play(const SampleLaunchPlan& plan, const SampleArguments& arguments,
                                     int first_stream) {
  SampleBlock<Weight, kStreams, Transport> block(plan, arguments, first_stream);
  block.load();
  Transport::start();
  block.run();
  block.store_state();
  Transport::finish();
}

template <class Weight, int kStreams, class Transport>
__global__ void __launch_bounds__(kMaxSampleThreads, 1) // one block fills a processor
    wavenet_sample_pipeline(const BUNRAKU_GRID_CONSTANT SampleLaunchPlan plan,
                            const BUNRAKU_GRID_CONSTANT SampleArguments arguments,
                            int first_stream) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
  if constexpr (Transport::kSharedInbox) // never launched: there are no clusters
    return;
  else
#endif
    play<Weight, kStreams, Transport>(plan, arguments, first_stream);
}

// Calls body(kernel) with the instantiation for these settings.
template <class Body>
auto with_kernel(int lanes, int group_streams, SampleTransport transport, Body&& body) {
  const auto with_transport = [&](auto weight, auto streams) {
    using Weight = typename decltype(weight)::Type;
    constexpr int count = decltype(streams)::value;
    return transport == SampleTransport::Cluster
               ? body(wavenet_sample_pipeline<Weight, count, ClusterTransport>)
               : body(wavenet_sample_pipeline<Weight, count, GridTransport>);
  };
  const auto with_streams = [&](auto weight) {
    switch (group_streams) {
    case 1:
      return with_transport(weight, std::integral_constant<int, 1>{});
    case 2:
      return with_transport(weight, std::integral_constant<int, 2>{});
    default:
      return with_transport(weight, std::integral_constant<int, 4>{});
    }
  };
  return lanes == WeightVector<float>::kLanes ? with_streams(TypeTag<float>{})
                                              : with_streams(TypeTag<__nv_bfloat16>{});
}

// ---- packing ------------------------------------------------------------------------------------

// `halves`: 2 for gated matrices, whose rows are those of the filter, then those of the gate.
template <class Weight>
void pack_matrix(const SampleMatrix& m, const float* from, int halves, int channels, int columns,
                 void* to) {
  constexpr int lanes = WeightVector<Weight>::kLanes;
  auto* packed = static_cast<Weight*>(to);
  const int planes_of_half = m.planes / halves;
  for (int chunk = 0; chunk < m.chunks; ++chunk)
    for (int row = 0; row < m.planes * m.rows; ++row) {
      const int plane = row / m.rows, half = plane / planes_of_half;
      const int channel = plane % planes_of_half * m.rows + row % m.rows;
      const float* source = from + static_cast<std::int64_t>(half * channels + channel) * columns;
      for (int i = 0; i < m.parts * lanes; ++i) {
        const int column = sample_column(m, lanes, chunk, i / lanes, i % lanes);
        const bool inside = channel < channels && column < columns;
        *packed++ = from_float<Weight>(inside ? source[column] : 0.0f);
      }
    }
}

template <class Weight>
void pack_all(const SampleShape& shape, const WaveNetTensors& w, unsigned char* packed) {
  const PackedLayout p = packed_layout(shape);
  const int r = shape.residual, s = shape.skip;
  for (int i = 0; i < shape.layers; ++i) {
    const auto layer = static_cast<std::int64_t>(i);
    unsigned char* to = packed + layer * p.layer_bytes;
    pack_matrix<Weight>(p.current, w.current + layer * 2 * r * r, 2, r, r, to);
    pack_matrix<Weight>(p.residual, w.residual + layer * r * r, 1, r, r, to + p.residual_at);
    pack_matrix<Weight>(p.skip, w.skip + layer * s * r, 1, s, r, to + p.skip_at);
    pack_matrix<Weight>(p.past, w.past + layer * 2 * r * r, 2, r, r, to + p.past_at);
  }
  pack_matrix<Weight>(p.out, w.out, 1, shape.hidden, s, packed + p.out_at);
  pack_matrix<Weight>(p.end, w.end, 1, shape.outputs, shape.hidden, packed + p.end_at);
  const auto put = [&](std::int64_t at, const float* from, std::int64_t count) {
    std::copy_n(from, from == nullptr ? 0 : count, reinterpret_cast<float*>(packed + at));
  };
  const std::int64_t inputs = most(shape.classes, 1);
  put(p.residual_bias_at, w.residual_bias, static_cast<std::int64_t>(shape.layers) * r);
  put(p.skip_bias_at, w.skip_bias, s);
  put(p.out_bias_at, w.out_bias, shape.hidden);
  put(p.end_bias_at, w.end_bias, shape.outputs);
  put(p.input_previous_at, w.input_previous, inputs * r);
  put(p.input_current_at, w.input_current, inputs * r);
  put(p.input_bias_at, w.input_bias, r);
}

// ---- planning -----------------------------------------------------------------------------------

// Layers in order, as evenly as they go, the longer runs first; then rows of the output matrices, a
// few at a time to whichever block has most room left.
Partition partition_over(const SampleShape& shape, const PackedLayout& layout, int blocks,
                         PipelineStreams streams, bool shared_inbox, int capacity) {
  Partition p{};
  p.blocks = blocks;
  p.chain = std::min(blocks, shape.layers);
  for (int b = 0; b < blocks; ++b)
    p.layer[b + 1] =
        p.layer[b] +
        (b < p.chain ? shape.layers / p.chain + (b < shape.layers % p.chain ? 1 : 0) : 0);
  const InboxMap inbox = inbox_map(shape, layout, blocks, streams);
  std::int64_t room[kMaxPipelineBlocks];
  int out[kMaxPipelineBlocks] = {}, end[kMaxPipelineBlocks] = {};
  for (int b = 0; b < blocks; ++b)
    room[b] = capacity -
              block_map(shape, layout, p, b, streams, shared_inbox, capacity).fixed_bytes -
              static_cast<std::int64_t>(p.layers_of(b)) * layout.layer_bytes;
  const auto deal = [&](const SampleMatrix& matrix, int* dealt) {
    for (int given = 0, some; given < matrix.rows; given += some) {
      some = std::min(4, matrix.rows - given);
      int best = 0;
      for (int b = 1; b < blocks; ++b)
        if (room[b] >= room[best])
          best = b;
      if (shared_inbox && best > 0 && out[best] + end[best] == 0)
        room[best] -= 4 * (inbox.words - inbox.words_without_rows);
      room[best] -= matrix.bytes(some) + 4 * kOutputPlanes * some;
      dealt[best] += some;
    }
  };
  deal(layout.out, out);
  deal(layout.end, end);
  for (int b = 0; b < blocks; ++b) {
    p.out[b + 1] = p.out[b] + out[b];
    p.end[b + 1] = p.end[b] + end[b];
  }
  return p;
}

// What a plan of so many blocks and streams comes to. `critical_missing`: weights other than those
// of the past taps that found no room; `fits`: the buffers did.
struct Candidate {
  SampleLaunchPlan plan;
  bool fits;
  bool critical_missing;
};

Candidate candidate(const SampleShape& shape, SampleTransport transport, int blocks,
                    PipelineStreams streams, int capacity) {
  Candidate c{};
  const bool shared_inbox = transport == SampleTransport::Cluster;
  const PackedLayout layout = packed_layout(shape);
  c.plan.shape = shape;
  c.plan.layout = layout;
  c.plan.partition = partition_over(shape, layout, blocks, streams, shared_inbox, capacity);
  c.plan.streams = streams;
  c.plan.inbox = inbox_map(shape, layout, blocks, streams);
  c.plan.transport = transport;
  c.plan.capacity = capacity;
  c.fits = true;
  for (int b = 0; b < blocks; ++b) {
    const BlockMap map =
        block_map(shape, layout, c.plan.partition, b, streams, shared_inbox, capacity);
    const int layers = c.plan.partition.layers_of(b);
    c.fits = c.fits && map.fixed_bytes <= capacity;
    c.critical_missing = c.critical_missing || map.current.count < layers ||
                         map.residual.count < layers || map.skip.count < layers;
    c.plan.shared_bytes = std::max(c.plan.shared_bytes, map.bytes);
    c.plan.missing_bytes += map.missing_bytes;
  }
  return c;
}

// How many pipelines of this plan the device runs at once.
int resident_pipelines(const SampleLaunchPlan& plan) {
  const int blocks = plan.partition.blocks, threads = plan.shape.threads();
  const auto shared_bytes = static_cast<std::size_t>(plan.shared_bytes);
  return with_kernel(
      plan.shape.lanes, plan.streams.group_streams, plan.transport, [&](auto kernel) {
        return plan.transport == SampleTransport::Cluster
                   ? resident_clusters(kernel, threads, shared_bytes, static_cast<unsigned>(blocks))
                   : resident_blocks(kernel, threads, shared_bytes) / blocks;
      });
}

// Few streams are best kept apart, each in another block of the pipeline; more than there are
// blocks share passes over the weights.
PipelineStreams grouped(int streams, int chain, int wished) {
  int together = 1;
  while (together < 4 && (streams + together - 1) / together > chain)
    together *= 2;
  together = wished > 0 ? wished : together;
  return {(streams + together - 1) / together, together};
}

// The fewest blocks that keep all weights on chip for one stream, else the most there can be.
bool find_blocks(const SampleShape& shape, SampleTransport transport, const SampleWishes& wishes,
                 int capacity, int& blocks) {
  const bool cluster = transport == SampleTransport::Cluster;
  int found = 0;
  for (int b = 1; b <= (cluster ? 16 : kMaxPipelineBlocks); b += cluster ? b : 1) {
    if (wishes.blocks > 0 && b != wishes.blocks)
      continue;
    const Candidate c =
        candidate(shape, transport, b, {1, std::max(wishes.group_streams, 1)}, capacity);
    if (!c.fits || resident_pipelines(c.plan) < 1)
      continue;
    found = b;
    if (c.plan.missing_bytes == 0)
      break;
  }
  blocks = found;
  return found > 0;
}

SampleLaunchPlan spread(const SampleShape& shape, SampleTransport transport, int blocks, int batch,
                        const SampleWishes& wishes, int capacity) {
  const PipelineStreams one = grouped(1, 1, wishes.group_streams);
  const Candidate least = candidate(shape, transport, blocks, one, capacity);
  int pipelines = std::min(resident_pipelines(least.plan), std::max(batch, 1));
  if (wishes.pipelines > 0)
    pipelines = std::min(pipelines, wishes.pipelines);
  int streams = (std::max(batch, 1) + pipelines - 1) / pipelines;
  for (;; streams = (streams + 1) / 2) {
    const PipelineStreams group =
        grouped(streams, least.plan.partition.chain, wishes.group_streams);
    Candidate c = candidate(shape, transport, blocks, group, capacity);
    const bool good = c.fits && (!c.critical_missing || least.critical_missing);
    if (!(good && resident_pipelines(c.plan) >= pipelines) && streams > 1)
      continue;
    c.plan.pipelines = pipelines;
    c.plan.scratch_bytes = transport == SampleTransport::Grid
                               ? std::int64_t{4} * c.plan.inbox.words * blocks * pipelines
                               : 0;
    return c.plan;
  }
}

int shared_capacity() {
  int device = 0, bytes = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "cudaDeviceGetAttribute(MaxSharedMemoryPerBlockOptin)");
  return bytes;
}

} // namespace

void pack_wavenet_sample(const SampleShape& shape, const WaveNetTensors& tensors, void* packed) {
  auto* bytes = static_cast<unsigned char*>(packed);
  std::fill_n(bytes, packed_layout(shape).bytes, static_cast<unsigned char>(0));
  if (shape.lanes == WeightVector<float>::kLanes)
    pack_all<float>(shape, tensors, bytes);
  else
    pack_all<__nv_bfloat16>(shape, tensors, bytes);
}

SampleLaunchPlan plan_wavenet_sample(const SampleShape& shape, int batch,
                                     const SampleWishes& wishes) {
  const int device_capacity = shared_capacity();
  const int capacity =
      wishes.capacity > 0 ? std::min(wishes.capacity, device_capacity) : device_capacity;
  for (const SampleTransport transport : {SampleTransport::Cluster, SampleTransport::Grid}) {
    int blocks = 0;
    if (wishes.transport != SampleTransport::Auto && wishes.transport != transport)
      continue;
    if (find_blocks(shape, transport, wishes, capacity, blocks))
      return spread(shape, transport, blocks, batch, wishes, capacity);
  }
  throw std::invalid_argument(
      "no pipeline of up to " + std::to_string(kMaxPipelineBlocks) + " blocks fits this GPU (" +
      std::to_string(capacity) +
      " bytes of shared memory in a block): use fewer channels or layers, or impl='reference'");
}

void wavenet_sample(const SampleLaunchPlan& plan, const SampleArguments& arguments, void* stream) {
  if (arguments.batch == 0 || arguments.frames == 0)
    return;
  const int at_once = plan.pipelines * plan.streams.streams();
  for (int first = 0; first < arguments.batch; first += at_once) {
    const int left = std::min(at_once, arguments.batch - first);
    const int pipelines = (left + plan.streams.streams() - 1) / plan.streams.streams();
    const dim3 grid(static_cast<unsigned>(pipelines * plan.partition.blocks));
    const dim3 block(static_cast<unsigned>(plan.shape.threads()));
    const auto shared_bytes = static_cast<std::size_t>(plan.shared_bytes);
    if (plan.scratch_bytes > 0)
      check(cudaMemsetAsync(arguments.scratch, 0, static_cast<std::size_t>(plan.scratch_bytes),
                            static_cast<cudaStream_t>(stream)),
            "cudaMemsetAsync");
    with_kernel(plan.shape.lanes, plan.streams.group_streams, plan.transport, [&](auto kernel) {
      if (plan.transport == SampleTransport::Cluster)
        launch_cluster(kernel, grid, block, shared_bytes,
                       static_cast<unsigned>(plan.partition.blocks), stream, plan, arguments,
                       first);
      else
        launch_cooperative(kernel, grid, block, shared_bytes, stream, plan, arguments, first);
    });
  }
}

} // namespace bunraku_kernels
