// One block of a pipeline of WaveNet layers. See wavenet_sample.cu for the whole.
#pragma once

#include <type_traits>

#include "cuda/async_copy.cuh"
#include "cuda/platform.cuh"
#include "cuda/warp.cuh"
#include "wavenet_sample/wavenet_sample_choice.cuh"
#include "wavenet_sample/wavenet_sample_launch.hpp"
#include "wavenet_sample/wavenet_sample_product.cuh"
#include "wavenet_sample/wavenet_sample_transport.cuh"

namespace bunraku_kernels {

// tanh(a) * sigmoid(b) by two exponentials and one division.
__device__ __forceinline__ float gated(float a, float b) {
  const float decay = __expf(-2.0f * fabsf(a));
  const float closing = __expf(b < -80.0f ? 80.0f : -b); // keeps the product below finite
  return copysignf(__fdividef(1.0f - decay, (1.0f + decay) * (1.0f + closing)), a);
}

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

  // ---- loading ----------------------------------------------------------------------------------

  template <class T> static __device__ void copy(T* to, const T* from, int count) {
    for (int i = thread_rank(); i < count; i += block_threads())
      to[i] = from[i];
  }

  __device__ void load_layers(const Resident& kept, const SampleMatrix& matrix, int offset) {
    for (int layer = 0; layer < kept.count; ++layer)
      copy(
          shared<uint4>(kept.at + layer * matrix.bytes()),
          vectors(static_cast<std::int64_t>(m_first_layer + layer) * m_layout.layer_bytes + offset),
          matrix.bytes() / kVectorBytes);
  }

  __device__ void load_rows(const Resident& kept, const SampleMatrix& matrix, std::int64_t offset,
                            int first, int rows) {
    const int runs = kept.count > 0 ? matrix.chunks * matrix.planes : 0;
    for (int chunk = 0; chunk < runs; ++chunk)
      copy(shared<uint4>(kept.at) + chunk * rows * matrix.parts,
           vectors(offset) + (chunk * matrix.rows + first) * matrix.parts, rows * matrix.parts);
  }

  __device__ void load_weights() {
    const Partition& p = m_plan.partition;
    load_layers(m_map.current, m_layout.current, 0);
    load_layers(m_map.residual, m_layout.residual, m_layout.residual_at);
    load_layers(m_map.skip, m_layout.skip, m_layout.skip_at);
    load_layers(m_map.past_weights, m_layout.past, m_layout.past_at);
    load_rows(m_map.out, m_layout.out, m_layout.out_at, p.out[m_rank], p.out_rows(m_rank));
    load_rows(m_map.end, m_layout.end, m_layout.end_at, p.end[m_rank], p.end_rows(m_rank));
  }

  // Of this block's rows of each plane.
  __device__ void load_bias(int to, std::int64_t from, const SampleMatrix& matrix,
                            const int* bounds, int channels) {
    const int first = bounds[m_rank], rows = bounds[m_rank + 1] - first;
    for (int plane = 0; plane < kOutputPlanes; ++plane) {
      const int channel = plane * matrix.rows + first;
      copy(shared<float>(to) + plane * rows, floats(from) + channel, min(rows, channels - channel));
    }
  }

  __device__ void load_state() {
    for (int i = thread_rank(); i < m_count * m_layers; i += block_threads())
      shared<int>(m_map.slot)[i] =
          static_cast<int>(m_a.time[m_first_stream + i / m_layers] %
                           static_cast<std::int64_t>(dilation(i % m_layers)));
    if (m_rank != 0)
      return;
    for (int i = thread_rank(); i < m_count; i += block_threads()) {
      const int b = m_first_stream + i;
      shared<float>(m_map.last)[2 * i] = m_a.last[2 * b];
      shared<float>(m_map.last)[2 * i + 1] = m_a.last[2 * b + 1];
      shared<std::int64_t>(m_map.time)[i] = m_a.time[b];
    }
  }

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

  // ---- layers -----------------------------------------------------------------------------------

  // What a group's first past products need out of the history.
  __device__ void recall(const Item& item) {
    for_each_value([&](int layer, int s, int r) {
      const int d = dilation(layer);
      row(m_map.past, layer)[s * m_layout.residual_stride + r] =
          history(stream_of(item.g, s), layer, slot(item.g, s, layer, item.t, d))[r];
    });
    __syncthreads();
  }

  template <class Body> __device__ __forceinline__ void for_each_value(Body&& body) const {
    const int each = kStreams * m_shape.residual;
    for (int layer = 0; layer < m_layers; ++layer)
      for (int i = thread_rank(); i < each; i += block_threads())
        body(layer, i / m_shape.residual, i % m_shape.residual);
  }

  __device__ void pass_layers(const Item& item) {
    const float* first = receive(item);
    for (int layer = 0; layer < m_layers; ++layer) {
      const float* x = layer == 0 ? first : row(m_map.x, layer);
      multiply_current(item, layer, x);
      __syncthreads();
      if (m_first_layer + layer + 1 < m_shape.layers)
        add_residual(item, layer, x);
    }
    remember(item, first);
    add_skip(item);
  }

  __device__ const float* receive(const Item& item) {
    float* x = row(m_map.x, 0);
    if (m_rank == 0) {
      embed(item, x);
      __syncthreads();
      return x;
    }
    wait(m_inbox_map.x_flag + item.g, item.t + 1);
    const int size = kStreams * m_layout.residual_stride;
    const float* arrived = m_inbox + m_inbox_map.x + item.g * size;
    if (Transport::kSharedInbox)
      return arrived;
    copy(x, arrived, size);
    __syncthreads();
    return x;
  }

  __device__ void embed(const Item& item, float* x) const {
    const int channels = m_shape.residual;
    const float* previous = floats(m_layout.input_previous_at);
    const float* current = floats(m_layout.input_current_at);
    for (int i = thread_rank(); i < kStreams * channels; i += block_threads()) {
      const int s = i / channels, r = i % channels;
      const float* last = shared<float>(m_map.last) + 2 * min(item.g * kStreams + s, m_count - 1);
      float value;
      if (m_shape.classes > 0)
        value = __ldg(previous + code(last[0]) * channels + r) +
                __ldg(current + code(last[1]) * channels + r);
      else
        value = fmaf(last[1], __ldg(current + r),
                     fmaf(last[0], __ldg(previous + r), __ldg(floats(m_layout.input_bias_at) + r)));
      x[s * m_layout.residual_stride + r] = value;
    }
  }
  __device__ int code(float y) const {
    return static_cast<int>(fminf(fmaxf(y, 0.0f), static_cast<float>(m_shape.classes - 1)));
  }

  __device__ void multiply_current(const Item& item, int layer, const float* x) {
    const SampleMatrix& m = m_layout.current;
    float* h = row(m_map.h, layer);
    with_layer(m_map.current, m, 0, layer, [&](const uint4* weights) {
      for_each_row(m.rows, m.parts, [&](int at, int r, int part, bool inside) {
        float z[kGatedPlanes][kStreams] = {};
        add_part<Weight>(z, weights + at, m.plane_vectors(m.rows), m, part, x,
                         m_layout.residual_stride);
        join_parts(z, m.parts);
        for (int half = inside ? part : 2; half < 2; half += m.parts) {
          const int channel = half * m.rows + r;
          if (channel < m_shape.residual)
#pragma unroll
            for (int s = 0; s < kStreams; ++s) {
              const float* before = past_sum(item.g, s, layer) + channel;
              h[s * m_layout.residual_stride + channel] =
                  gated((half == 0 ? z[0][s] : z[1][s]) + before[0],
                        (half == 0 ? z[2][s] : z[3][s]) + before[m_shape.residual]);
            }
        }
      });
    });
  }

  // The next layer's input, which the next block gets where it owns that layer.
  __device__ void add_residual(const Item& item, int layer, const float* x) {
    const SampleMatrix& m = m_layout.residual;
    const bool hands_over = layer + 1 == m_layers;
    const int stride = m_layout.residual_stride;
    const float* h = row(m_map.h, layer);
    const float* bias = shared<float>(m_map.residual_bias) + layer * m_shape.residual;
    float* next = hands_over ? inbox_of(m_rank + 1) + m_inbox_map.x + item.g * kStreams * stride
                             : row(m_map.x, layer + 1);
    with_layer(m_map.residual, m, m_layout.residual_at, layer, [&](const uint4* weights) {
      for_each_row(m.rows, m.parts, [&](int at, int r, int part, bool inside) {
        float sum[kResidualPlanes][kStreams] = {};
        add_part<Weight>(sum, weights + at, m.plane_vectors(m.rows), m, part, h, stride);
        join_parts(sum, m.parts);
        for_each_plane(sum, m.parts, part, inside, [&](int plane, const float (&value)[kStreams]) {
          const int channel = plane * m.rows + r;
          if (channel < m_shape.residual)
#pragma unroll
            for (int s = 0; s < kStreams; ++s)
              next[s * stride + channel] = x[s * stride + channel] + (bias[channel] + value[s]);
        });
      });
    });
    __syncthreads();
    if (hands_over && thread_rank() == 0)
      release(m_rank + 1, m_inbox_map.x_flag + item.g, item.t + 1);
  }

  // Layer inputs into the history, and what the next sample's past products need out of it.
  __device__ void remember(const Item& item, const float* first) {
    const bool goes_on = item.t + 1 < m_a.frames;
    for_each_value([&](int layer, int s, int r) {
      const int d = dilation(layer), b = stream_of(item.g, s);
      const int here = slot(item.g, s, layer, item.t, d), next = here + 1 == d ? 0 : here + 1;
      const int at = s * m_layout.residual_stride + r;
      const float x = (layer == 0 ? first : row(m_map.x, layer))[at];
      if (is_real(item.g, s))
        history(b, layer, here)[r] = x;
      if (!goes_on)
        return;
      float* past = row(m_map.past, layer) + at;
      if (d == 1)
        *past = x;
      else
        cp_async4(past, history(b, layer, next) + r);
    });
    cp_async_commit();
  }

  // The skip sum goes from block to block; behind the last one it goes to all that have rows of the
  // first output matrix.
  __device__ void add_skip(const Item& item) {
    if (m_rank > 0)
      wait(m_inbox_map.skip_flag + item.g, item.t + 1);
    const SampleMatrix& m = m_layout.skip;
    for_each_row(m.rows, m.parts, [&](int at, int r, int part, bool inside) {
      float sum[kSkipPlanes][kStreams] = {};
      for (int layer = 0; layer < m_layers; ++layer)
        add_part<Weight>(sum, layer_weights(m_map.skip, m, m_layout.skip_at, layer) + at,
                         m.plane_vectors(m.rows), m, part, row(m_map.h, layer),
                         m_layout.residual_stride);
      join_parts(sum, m.parts);
      for_each_plane(sum, m.parts, part, inside, [&](int plane, const float (&value)[kStreams]) {
        if (plane * m.rows + r < m_shape.skip)
          hand_skip_on(item, plane * m.rows + r, value);
      });
    });
    cp_async_wait<0>(); // of remember()
    __syncthreads();
    release_skip(item);
  }

  __device__ void hand_skip_on(const Item& item, int channel, const float (&sum)[kStreams]) {
    const int first = item.g * kStreams;
#pragma unroll
    for (int s = 0; s < kStreams; ++s) {
      const int at = (first + s) * m_shape.skip + channel;
      const float value = sum[s] + (m_rank == 0 ? __ldg(floats(m_layout.skip_bias_at) + channel)
                                                : m_inbox[m_inbox_map.skip + at]);
      if (m_rank < m_plan.partition.chain - 1)
        inbox_of(m_rank + 1)[m_inbox_map.skip + at] = value;
      else
        send_to_rows(m_plan.partition.out,
                     m_inbox_map.sum + (first + s) * m_layout.skip_stride + channel,
                     fmaxf(value, 0.0f));
    }
  }

  __device__ void release_skip(const Item& item) {
    if (m_rank == m_plan.partition.chain - 1)
      release_to_rows(m_plan.partition.out, m_inbox_map.sum_flag + item.g, item.t + 1);
    else if (thread_rank() == 0)
      release(m_rank + 1, m_inbox_map.skip_flag + item.g, item.t + 1);
  }

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

  // What the layers of an item will add to the products of their current inputs.
  __device__ void multiply_past(const Item& item) {
    const int g = item.g, t = item.t;
    const SampleMatrix& m = m_layout.past;
    const int channels = m_shape.residual;
    for (int layer = 0; layer < m_layers; ++layer) {
      const uint4* weights = layer_weights(m_map.past_weights, m, m_layout.past_at, layer);
      for_each_row(m.rows, m.parts, [&](int at, int r, int part, bool inside) {
        float z[kGatedPlanes][kStreams] = {};
        add_part<Weight>(z, weights + at, m.plane_vectors(m.rows), m, part, row(m_map.past, layer),
                         m_layout.residual_stride);
        join_parts(z, m.parts);
        for_each_plane(z, m.parts, part, inside, [&](int plane, const float (&value)[kStreams]) {
          const int half_channel = plane % 2 * m.rows + r;
          if (half_channel >= channels)
            return;
          const int channel = plane / 2 * channels + half_channel;
#pragma unroll
          for (int s = 0; s < kStreams; ++s) {
            const std::int64_t sample = static_cast<std::int64_t>(stream_of(g, s)) * m_a.frames + t;
            const std::int64_t at_layer = sample * m_shape.layers + m_first_layer + layer;
            past_sum(g, s, layer)[channel] =
                value[s] + __ldg(m_a.condition + at_layer * 2 * channels + channel);
          }
        });
      });
    }
    __syncthreads();
  }

  // ---- output stage -----------------------------------------------------------------------------

  __device__ void output_stage(const Item& item) {
    const Partition& p = m_plan.partition;
    if (p.out_rows(m_rank) > 0)
      multiply_out(item);
    if (p.end_rows(m_rank) > 0)
      multiply_end(item);
    if (m_rank == 0)
      choose(item);
  }

  // A group's vectors, from the inbox or, where that is far, copied near.
  __device__ const float* near(const float* arrived, int stride) {
    if (Transport::kSharedInbox)
      return arrived;
    copy(shared<float>(m_map.stage), arrived, kStreams * stride);
    __syncthreads();
    return shared<float>(m_map.stage);
  }

  __device__ void multiply_out(const Item& item) {
    const SampleMatrix& m = m_layout.out;
    const Partition& p = m_plan.partition;
    const int first = p.out[m_rank], rows = p.out_rows(m_rank), stride = m_layout.skip_stride;
    wait(m_inbox_map.sum_flag + item.g, item.t + 1);
    const float* x = near(m_inbox + m_inbox_map.sum + item.g * kStreams * stride, stride);
    multiply_rows(m_map.out, m, m_layout.out_at, first, rows, x, stride,
                  shared<float>(m_map.out_bias), [&](int s, int channel, float value) {
                    const int slot = item.g * kStreams + s;
                    if (channel < m_shape.hidden)
                      send_to_rows(p.end,
                                   m_inbox_map.hidden + slot * m_layout.hidden_stride + channel,
                                   fmaxf(value, 0.0f));
                  });
    __syncthreads();
    release_to_rows(p.end, m_inbox_map.hidden_flag + item.g * m_blocks + m_rank, item.t + 1);
  }

  __device__ void multiply_end(const Item& item) {
    const SampleMatrix& m = m_layout.end;
    const Partition& p = m_plan.partition;
    const int first = p.end[m_rank], rows = p.end_rows(m_rank), stride = m_layout.hidden_stride;
    wait_for_rows(m_inbox_map.hidden_flag + item.g * m_blocks, p.out, item.t + 1);
    const float* x = near(m_inbox + m_inbox_map.hidden + item.g * kStreams * stride, stride);
    float* logits = inbox_of(0) + m_inbox_map.logits;
    multiply_rows(m_map.end, m, m_layout.end_at, first, rows, x, stride,
                  shared<float>(m_map.end_bias), [&](int s, int channel, float value) {
                    if (channel < m_shape.outputs)
                      logits[(item.g * kStreams + s) * m_shape.outputs + channel] = value;
                  });
    __syncthreads();
    if (thread_rank() == 0)
      release(0, m_inbox_map.logits_flag + item.g * m_blocks + m_rank, item.t + 1);
  }

  template <class Store>
  __device__ __forceinline__ void
  multiply_rows(const Resident& kept, const SampleMatrix& m, std::int64_t offset, int first,
                int rows, const float* x, int stride, const float* bias, Store&& store) {
    const bool is_kept = kept.count > 0;
    const uint4* weights =
        is_kept ? shared<const uint4>(kept.at) : vectors(offset) + first * m.parts;
    const int plane_vectors = m.plane_vectors(is_kept ? rows : m.rows);
    for_each_row(rows, m.parts, [&](int at, int r, int part, bool inside) {
      float sum[kOutputPlanes][kStreams] = {};
      add_part<Weight>(sum, weights + at, plane_vectors, m, part, x, stride);
      join_parts(sum, m.parts);
      for_each_plane(sum, m.parts, part, inside, [&](int plane, const float (&value)[kStreams]) {
#pragma unroll
        for (int s = 0; s < kStreams; ++s)
          store(s, plane * m.rows + first + r, bias[plane * rows + r] + value[s]);
      });
    });
  }

  // A warp for each stream of the group.
  __device__ void choose(const Item& item) {
    wait_for_rows(m_inbox_map.logits_flag + item.g * m_blocks, m_plan.partition.end, item.t + 1);
    for (int s = warp_index(); s < kStreams; s += block_threads() / warp_lanes) {
      const int slot = item.g * kStreams + s;
      if (!is_real(item.g, s))
        continue;
      const int b = m_first_stream + slot;
      const auto kind = static_cast<WaveNetOutput>(m_a.distribution);
      const float y = choose_sample(kind, m_inbox + m_inbox_map.logits + slot * m_shape.outputs,
                                    m_shape.outputs, m_a.temperature, m_a.seed,
                                    shared<std::int64_t>(m_map.time)[slot] + item.t, m_a.stream[b]);
      if (lane_index() == 0)
        store_sample(slot, static_cast<std::int64_t>(b) * m_a.frames + item.t, y);
    }
    __syncthreads();
  }

  __device__ void store_sample(int slot, std::int64_t at, float y) {
    float* last = shared<float>(m_map.last) + 2 * slot;
    last[0] = last[1];
    last[1] = y;
    if (m_shape.classes > 0)
      static_cast<int*>(m_a.samples)[at] = static_cast<int>(y);
    else
      static_cast<float*>(m_a.samples)[at] = y;
  }

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
