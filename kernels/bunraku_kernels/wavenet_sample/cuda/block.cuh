// One block of a pipeline of WaveNet layers: its memory, the order of its work, and the flags by
// which blocks wait for each other. See wavenet_sample.cu for the whole.
#pragma once

#include <type_traits>

#include "cuda/platform.cuh"
#include "cuda/warp.cuh"
#include "wavenet_sample/cuda/launch.hpp"
#include "wavenet_sample/cuda/transport.cuh"

namespace bunraku_kernels {

template <class Weight, int kStreams, class Transport> class SampleBlock {
public:
  __device__ SampleBlock(const SampleLaunchPlan& plan, const SampleArguments& arguments,
                         int first_stream)
      : m_plan(plan), m_a(arguments), m_shape(plan.shape), m_layout(plan.layout),
        m_blocks(plan.partition.blocks), m_rank(static_cast<int>(blockIdx.x) % m_blocks),
        m_inbox_map(plan.inbox), m_shared(dynamic_shared_memory<unsigned char>()),
        m_map(place(block_map(m_shape, m_layout, plan.partition, m_rank, plan.streams,
                              Transport::kSharedInbox, plan.capacity))),
        m_packed(static_cast<const unsigned char*>(arguments.packed)) {
    const int pipeline = static_cast<int>(blockIdx.x) / m_blocks;
    m_first_stream = first_stream + pipeline * plan.streams.streams();
    m_count = min(plan.streams.streams(), arguments.batch - m_first_stream);
    m_groups = (m_count + kStreams - 1) / kStreams;
    m_first_layer = plan.partition.layer[m_rank];
    m_layers = plan.partition.layers_of(m_rank);
    m_inboxes = static_cast<float*>(arguments.scratch);
    if (!Transport::kSharedInbox)
      m_inboxes += static_cast<std::int64_t>(pipeline) * m_blocks * m_inbox_map.words;
    m_inbox = Transport::kSharedInbox ? shared<float>(m_map.inbox) : inbox_of(m_rank);
  }

  // Everything that stays for the whole launch, into shared memory.
  __device__ void load() {
    for (int i = kMapBytes / 4 + thread_rank(); i < m_map.fixed_bytes / 4; i += block_threads())
      shared<float>(0)[i] = 0.0f; // flags, and the padding of vectors
    __syncthreads();
    load_weights();
    copy(shared<float>(m_map.residual_bias),
         floats(m_layout.residual_bias_at) +
             static_cast<std::int64_t>(m_first_layer) * m_shape.residual,
         m_layers * m_shape.residual);
    const Partition& p = m_plan.partition;
    load_bias(m_map.out_bias, m_layout.out_bias_at, m_layout.out, p.out, m_shape.hidden);
    load_bias(m_map.end_bias, m_layout.end_bias_at, m_layout.end, p.end, m_shape.outputs);
    load_state();
  }

  // Block k executes, for items (sample t of group g; t slowest) i = 0, 1, ...: the layers of item
  // i, then the output stage of item i - delay(k). With delay(k) = floor((chain - 1 - k) groups /
  // (chain + 2)) no block waits for what cannot come: give "layers of i in k" the time
  // i * (chain + 2) + k * groups and "output stage of j", in all blocks, the time
  // j * (chain + 2) + (chain - 1) * groups + 1/2. Then each block's own order follows the clock,
  // and so does every wait: layers in k for those in k - 1, the output stage for the layers of the
  // last block, the layers of (t, g) in block 0 for the output stage of (t - 1, g), `groups` items
  // ago. Hence the earliest unfinished piece of work is never waiting for another. The delays also
  // make the output stage of an item come when its layers are done, so no block idles for long.
  __device__ void run() {
    const int chain = m_plan.partition.chain;
    const bool is_last = m_rank == chain - 1;
    const int delay = m_layers > 0 ? (chain - 1 - m_rank) * m_groups / (chain + 2) : 0;
    Item head{0, 0}, tail{0, 0};
    // The steps before 0 make the past products of each group's first sample.
    for (std::int64_t step = -m_groups; tail.t < m_a.frames; ++step) {
      const bool begins = step < 0, enters = !begins && m_layers > 0 && head.t < m_a.frames;
      const bool leaves = step >= delay;
      const Item next =
          begins ? Item{0, static_cast<int>(step) + m_groups} : Item{head.t + 1, head.g};
      if (begins)
        recall(next);
      if (enters)
        pass_layers(head);
      // Past products are for the next sample: made while others work, so not before the output
      // stage in the block that it waits for. A loop, because each is long when inlined.
#pragma unroll 1
      for (int turn = 0; turn < 2; ++turn)
        if ((turn == 0) == is_last) {
          if (leaves)
            output_stage(tail);
        } else if ((begins || enters) && next.t < m_a.frames) {
          multiply_past(next);
        }
      if (enters)
        advance(head);
      if (leaves)
        advance(tail);
    }
  }

  __device__ void store_state() {
    if (m_rank != 0)
      return;
    for (int i = thread_rank(); i < m_count; i += block_threads()) {
      const int b = m_first_stream + i;
      m_a.last[2 * b] = shared<float>(m_map.last)[2 * i];
      m_a.last[2 * b + 1] = shared<float>(m_map.last)[2 * i + 1];
      m_a.time[b] = shared<std::int64_t>(m_map.time)[i] + m_a.frames;
    }
  }

private:
  struct Item {
    int t, g;
  };

  __device__ void advance(Item& item) const {
    if (++item.g == m_groups) {
      item.g = 0;
      ++item.t;
    }
  }

  // One stream in a cluster is for the shortest delay: its offsets stay in registers. The other
  // kernels need those for sums and addresses, and read offsets from shared memory.
  static constexpr bool kMapInRegisters = Transport::kSharedInbox && kStreams == 1;
  using Map = std::conditional_t<kMapInRegisters, BlockMap, const BlockMap&>;

  __device__ Map place(const BlockMap& map) const {
    if constexpr (kMapInRegisters) {
      return map;
    } else {
      auto* placed = reinterpret_cast<BlockMap*>(m_shared);
      if (thread_rank() == 0)
        *placed = map;
      __syncthreads();
      return *placed;
    }
  }

  // ---- places -----------------------------------------------------------------------------------

  template <class T> __device__ T* shared(int offset) const {
    return reinterpret_cast<T*>(m_shared + offset);
  }
  __device__ const float* floats(std::int64_t offset) const {
    return reinterpret_cast<const float*>(m_packed + offset);
  }
  __device__ const uint4* vectors(std::int64_t offset) const {
    return reinterpret_cast<const uint4*>(m_packed + offset);
  }
  __device__ float* inbox_of(int block) const {
    return Transport::inbox_of(block, m_inbox, m_inboxes, m_inbox_map.words);
  }
  static __device__ int* flag(float* inbox, int index) {
    return reinterpret_cast<int*>(inbox) + index;
  }
  // [kStreams][residual_stride] of a local layer.
  __device__ float* row(int area, int layer) const {
    return shared<float>(area) + layer * kStreams * m_layout.residual_stride;
  }
  __device__ float* past_sum(int g, int s, int layer) const {
    return shared<float>(m_map.past_sum) +
           ((g * kStreams + s) * m_layers + layer) * 2 * m_shape.residual;
  }
  // The place in the batch of stream s of group g. The last group may be short: then its last
  // streams repeat another, and nothing is stored for them.
  __device__ int stream_of(int g, int s) const {
    return m_first_stream + min(g * kStreams + s, m_count - 1);
  }
  __device__ bool is_real(int g, int s) const { return g * kStreams + s < m_count; }

  // Row `slot` of the ring of a local layer.
  __device__ float* history(int b, int layer, int slot) const {
    const std::int64_t first = __ldg(m_a.history_starts + m_first_layer + layer);
    return m_a.history +
           (static_cast<std::int64_t>(b) * m_a.history_frames + first + slot) * m_shape.residual;
  }
  __device__ int dilation(int layer) const { return __ldg(m_a.dilations + m_first_layer + layer); }
  __device__ int slot(int g, int s, int layer, int t, int dilation) const {
    const int start =
        shared<int>(m_map.slot)[min(g * kStreams + s, m_count - 1) * m_layers + layer];
    return static_cast<int>((static_cast<unsigned>(start) + static_cast<unsigned>(t)) %
                            static_cast<unsigned>(dilation));
  }

  // A local layer's matrix, in shared memory if it is kept there, else in global memory.
  __device__ const uint4* layer_weights(const Resident& kept, const SampleMatrix& matrix,
                                        int offset, int layer) const {
    if (layer < kept.count)
      return shared<const uint4>(kept.at + layer * matrix.bytes());
    return vectors(static_cast<std::int64_t>(m_first_layer + layer) * m_layout.layer_bytes +
                   offset);
  }

  // The same for the critical path: two calls, so that the compiler knows which memory is read.
  template <class Body>
  __device__ __forceinline__ void with_layer(const Resident& kept, const SampleMatrix& matrix,
                                             int offset, int layer, Body&& body) const {
    if (layer < kept.count)
      body(shared<const uint4>(kept.at + layer * matrix.bytes()));
    else
      body(vectors(static_cast<std::int64_t>(m_first_layer + layer) * m_layout.layer_bytes +
                   offset));
  }

  // For each value of each local layer's vectors of a group.
  template <class Body> __device__ __forceinline__ void for_each_value(Body&& body) const {
    const int each = kStreams * m_shape.residual;
    for (int layer = 0; layer < m_layers; ++layer)
      for (int i = thread_rank(); i < each; i += block_threads())
        body(layer, i / m_shape.residual, i % m_shape.residual);
  }

  // ---- loading (block_loading.cuh) --------------------------------------------------------------

  template <class T> static __device__ void copy(T* to, const T* from, int count);
  __device__ void load_layers(const Resident& kept, const SampleMatrix& matrix, int offset);
  __device__ void load_rows(const Resident& kept, const SampleMatrix& matrix, std::int64_t offset,
                            int first, int rows);
  __device__ void load_weights();
  __device__ void load_bias(int to, std::int64_t from, const SampleMatrix& matrix,
                            const int* bounds, int channels);
  __device__ void load_state();

  // ---- flags ------------------------------------------------------------------------------------
  // A flag holds how many samples of its group have arrived; it only grows, and is never cleared
  // within a launch. There is no flag for "read": a slot is written again for the same group's next
  // sample, whose first layer waits for this sample's choice, which waited for every block's work
  // on it. All reads of a slot come before the flag that hands that work on.

  __device__ void wait(int index, int value) {
    if (thread_rank() == 0)
      spin_until_at_least<Transport::kScope>(flag(m_inbox, index), value);
    __syncthreads();
  }

  // For the blocks that have rows, by the given bounds.
  __device__ void wait_for_rows(int first_index, const int* bounds, int value) {
    for (int b = thread_rank(); b < m_blocks; b += block_threads())
      if (bounds[b + 1] > bounds[b])
        spin_until_at_least<Transport::kScope>(flag(m_inbox, first_index + b), value);
    __syncthreads();
  }

  // After a barrier, which puts the whole block's writes before the flag.
  __device__ void release(int block, int index, int value) {
    store_release<Transport::kScope>(flag(inbox_of(block), index), value);
  }

  // To and for all blocks that have rows, by the given bounds.
  __device__ void send_to_rows(const int* bounds, int at, float value) {
    for (int b = 0; b < m_blocks; ++b)
      if (bounds[b + 1] > bounds[b])
        inbox_of(b)[at] = value;
  }

  __device__ void release_to_rows(const int* bounds, int index, int value) {
    for (int b = thread_rank(); b < m_blocks; b += block_threads())
      if (bounds[b + 1] > bounds[b])
        release(b, index, value);
  }

  // ---- layers (block_layers.cuh) ----------------------------------------------------------------

  __device__ void recall(const Item& item);
  __device__ void pass_layers(const Item& item);
  __device__ const float* receive(const Item& item);
  __device__ void embed(const Item& item, float* x) const;
  __device__ int code(float y) const;
  __device__ void multiply_current(const Item& item, int layer, const float* x);
  __device__ void add_residual(const Item& item, int layer, const float* x);
  __device__ void remember(const Item& item, const float* first);
  __device__ void add_skip(const Item& item);
  __device__ void hand_skip_on(const Item& item, int channel, const float (&sum)[kStreams]);
  __device__ void release_skip(const Item& item);
  __device__ void multiply_past(const Item& item);

  // ---- output stage (block_outputs.cuh) ---------------------------------------------------------

  __device__ void output_stage(const Item& item);
  __device__ const float* near(const float* arrived, int stride);
  __device__ void multiply_out(const Item& item);
  __device__ void multiply_end(const Item& item);
  template <class Store>
  __device__ __forceinline__ void
  multiply_rows(const Resident& kept, const SampleMatrix& m, std::int64_t offset, int first,
                int rows, const float* x, int stride, const float* bias, Store&& store);
  __device__ void choose(const Item& item);
  __device__ void store_sample(int slot, std::int64_t at, float y);

  const SampleLaunchPlan& m_plan;
  const SampleArguments& m_a;
  const SampleShape& m_shape;
  const PackedLayout& m_layout;
  const int m_blocks, m_rank;
  const InboxMap& m_inbox_map;
  unsigned char* const m_shared;
  Map m_map;
  const unsigned char* const m_packed;
  float* m_inboxes = nullptr;
  float* m_inbox = nullptr;
  int m_first_stream, m_count, m_groups, m_first_layer, m_layers;
};

} // namespace bunraku_kernels

#include "wavenet_sample/cuda/block_layers.cuh"
#include "wavenet_sample/cuda/block_loading.cuh"
#include "wavenet_sample/cuda/block_outputs.cuh"
