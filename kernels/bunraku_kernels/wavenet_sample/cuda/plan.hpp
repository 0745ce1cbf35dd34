// How a WaveNet sampler lies in memory on a GPU: the packed weights, which block of a pipeline
// keeps which of them, and where in its shared memory. Plain data, computed alike on host and
// device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/philox.hpp" // BUNRAKU_HOST_DEVICE

namespace bunraku_kernels {

constexpr int kMaxPipelineBlocks = 32;
constexpr int kMaxSampleThreads = 256; // of a block: leaves each of them 255 registers

constexpr int kVectorBytes = 16;

struct SampleShape {
  int residual;
  int skip;
  int hidden;
  int outputs;
  int layers;
  int classes; // 0 where samples are real numbers
  int lanes;   // weights in 16 bytes: 4 (fp32) or 8 (bf16)

  BUNRAKU_HOST_DEVICE int threads() const {
    const int wanted = (residual + 1) / 2 * ((residual + lanes - 1) / lanes); // of gated rows
    int threads = 64;
    while (threads < wanted && threads < kMaxSampleThreads)
      threads *= 2;
    return threads;
  }
};

// A matrix as threads read it: `parts` neighbouring threads share a row, and one thread computes
// row r of each of `planes` planes, because what it reads of the input, which is float32, costs as
// much time as the weights and should serve several rows. Vector
// ((chunk * planes + plane) * rows + row) * parts + part belongs to one thread; lane i of it is the
// weight of column sample_column(...), chosen so that the threads of a row read neighbouring
// quadruples of the input, without bank conflicts. Padding is zero.
struct SampleMatrix {
  int rows; // of a plane
  int planes;
  int parts; // a power of two
  int chunks;

  BUNRAKU_HOST_DEVICE int plane_vectors(int some_rows) const { return some_rows * parts; }
  BUNRAKU_HOST_DEVICE int bytes(int some_rows) const {
    return chunks * planes * some_rows * parts * kVectorBytes;
  }
  BUNRAKU_HOST_DEVICE int bytes() const { return bytes(rows); }
  BUNRAKU_HOST_DEVICE int padded_columns(int lanes) const { return chunks * parts * lanes; }
};

BUNRAKU_HOST_DEVICE inline int sample_column(const SampleMatrix& matrix, int lanes, int chunk,
                                             int part, int lane) {
  const int quads = lanes / 4;
  return ((chunk * quads + lane / 4) * matrix.parts + part) * 4 + lane % 4;
}

// Channel of row r of plane p is p * rows + r; in the gated matrices of channel p % 2 * rows + r,
// of the filter for p < 2, of the gate for the others.
constexpr int kGatedPlanes = 4;
constexpr int kResidualPlanes = 2;
constexpr int kSkipPlanes = 4;
constexpr int kOutputPlanes = 2;

// `rows_at_once`: how many rows of a plane a block computes, for which threads are to be found.
BUNRAKU_HOST_DEVICE inline SampleMatrix sample_matrix(const SampleShape& shape, int rows,
                                                      int columns, int planes, int rows_at_once) {
  const int vectors = (columns + shape.lanes - 1) / shape.lanes;
  int parts = 1;
  while (2 * parts <= vectors && parts < 16 && 2 * parts * rows_at_once <= shape.threads())
    parts *= 2;
  return {rows, planes, parts, (vectors + parts - 1) / parts};
}

BUNRAKU_HOST_DEVICE inline int per_plane(int channels, int planes) {
  return (channels + planes - 1) / planes;
}

BUNRAKU_HOST_DEVICE inline int whole(int size, int multiple) {
  return (size + multiple - 1) / multiple * multiple;
}

BUNRAKU_HOST_DEVICE inline int most(int a, int b) {
  return a > b ? a : b;
}

// The flat tensor of packed weights; offsets in bytes. Biases and the input's tables are float32.
struct PackedLayout {
  SampleMatrix current, residual, skip, past, out, end;
  int residual_at, skip_at, past_at, layer_bytes; // within a layer; `current` comes first
  std::int64_t out_at, end_at;
  std::int64_t residual_bias_at, skip_bias_at, out_bias_at, end_bias_at;
  std::int64_t input_previous_at, input_current_at, input_bias_at, bytes;
  // Floats from one stream's vector to the next: padded to what the matrices read.
  int residual_stride, skip_stride, hidden_stride;
};

BUNRAKU_HOST_DEVICE inline PackedLayout packed_layout(const SampleShape& shape) {
  PackedLayout p{};
  const int r = shape.residual;
  const int gated = per_plane(r, kGatedPlanes / 2), residual = per_plane(r, kResidualPlanes);
  const int skip = per_plane(shape.skip, kSkipPlanes);
  p.current = p.past = sample_matrix(shape, gated, r, kGatedPlanes, gated);
  p.residual = sample_matrix(shape, residual, r, kResidualPlanes, residual);
  p.skip = sample_matrix(shape, skip, r, kSkipPlanes, skip);
  // These two are dealt out by rows among about four blocks.
  const int out = per_plane(shape.hidden, kOutputPlanes);
  const int end = per_plane(shape.outputs, kOutputPlanes);
  p.out = sample_matrix(shape, out, shape.skip, kOutputPlanes, per_plane(out, 4));
  p.end = sample_matrix(shape, end, shape.hidden, kOutputPlanes, per_plane(end, 4));
  p.residual_at = p.current.bytes();
  p.skip_at = p.residual_at + p.residual.bytes();
  p.past_at = p.skip_at + p.skip.bytes();
  p.layer_bytes = p.past_at + p.past.bytes();
  p.out_at = static_cast<std::int64_t>(p.layer_bytes) * shape.layers;
  p.end_at = p.out_at + p.out.bytes();
  p.residual_bias_at = p.end_at + p.end.bytes();
  const auto after = [](std::int64_t at, std::int64_t floats) {
    return at + (4 * floats + kVectorBytes - 1) / kVectorBytes * kVectorBytes;
  };
  const std::int64_t inputs = most(shape.classes, 1);
  p.skip_bias_at = after(p.residual_bias_at, static_cast<std::int64_t>(shape.layers) * r);
  p.out_bias_at = after(p.skip_bias_at, shape.skip);
  p.end_bias_at = after(p.out_bias_at, shape.hidden);
  p.input_previous_at = after(p.end_bias_at, shape.outputs);
  p.input_current_at = after(p.input_previous_at, inputs * r);
  p.input_bias_at = after(p.input_current_at, inputs * r);
  p.bytes = after(p.input_bias_at, r);
  p.residual_stride =
      most(most(p.current.padded_columns(shape.lanes), p.residual.padded_columns(shape.lanes)),
           p.skip.padded_columns(shape.lanes));
  p.skip_stride = p.out.padded_columns(shape.lanes);
  p.hidden_stride = p.end.padded_columns(shape.lanes);
  return p;
}

// Block b of a pipeline owns layers layer[b] to layer[b + 1] - 1, and such rows (of each plane) of
// the two output matrices. The first `chain` blocks have layers.
struct Partition {
  int blocks;
  int chain;
  int layer[kMaxPipelineBlocks + 1];
  int out[kMaxPipelineBlocks + 1];
  int end[kMaxPipelineBlocks + 1];

  BUNRAKU_HOST_DEVICE int layers_of(int b) const { return layer[b + 1] - layer[b]; }
  BUNRAKU_HOST_DEVICE int out_rows(int b) const { return out[b + 1] - out[b]; }
  BUNRAKU_HOST_DEVICE int end_rows(int b) const { return end[b + 1] - end[b]; }
};

// How many streams a pipeline has under way: `groups` groups, each of `group_streams` streams that
// share every pass over the weights. Each group has its own slot in every buffer.
struct PipelineStreams {
  int groups;
  int group_streams;
  BUNRAKU_HOST_DEVICE int streams() const { return groups * group_streams; }
};

// Where others leave what is for a block: its shared memory (cluster) or global memory (grid).
// Offsets in 4 bytes from its start. Flags come first; [groups] each, or [groups][blocks].
struct InboxMap {
  int x_flag, skip_flag, sum_flag, hidden_flag, logits_flag, flags;
  int x, skip;     // from the block before
  int logits;      // only block 0 gets any, and it has no block before: the same place
  int sum, hidden; // only blocks with rows of the output matrices get these
  int words, words_without_rows;
};

BUNRAKU_HOST_DEVICE inline InboxMap inbox_map(const SampleShape& shape, const PackedLayout& layout,
                                              int blocks, PipelineStreams streams) {
  InboxMap m{};
  const int g = streams.groups, all = streams.streams();
  m.x_flag = 0;
  m.skip_flag = g;
  m.sum_flag = 2 * g;
  m.hidden_flag = 3 * g;
  m.logits_flag = m.hidden_flag + g * blocks;
  m.flags = m.logits_flag + g * blocks;
  m.x = m.logits = whole(m.flags, 4);
  m.skip = m.x + all * layout.residual_stride;
  m.sum = whole(most(m.skip + all * shape.skip, m.logits + all * shape.outputs), 4);
  m.words_without_rows = m.sum;
  m.hidden = m.sum + all * layout.skip_stride;
  m.words = m.hidden + all * layout.hidden_stride;
  return m;
}

// Matrices of one kind that are kept in shared memory: those of the block's first `count` layers.
struct Resident {
  int at;
  int count;
};

// A block's shared memory; offsets in bytes. The map itself lies at its start.
struct BlockMap {
  int inbox;    // -1: in global memory
  int x;        // [layers][group_streams][residual_stride]
  int h;        // the same
  int past;     // the same
  int past_sum; // [streams][layers][2 * residual], for the next sample
  int residual_bias, out_bias, end_bias;
  int last;  // [streams][2] samples, block 0
  int time;  // [streams] int64, block 0
  int slot;  // [streams][layers] places in the history at the start
  int stage; // grid only: a copy of what is in global memory
  Resident current, residual, out, end, skip, past_weights;
  int fixed_bytes; // without weights
  int bytes;
  std::int64_t missing_bytes; // of weights that are read from global memory
};

constexpr int kMapBytes = 128;
static_assert(sizeof(BlockMap) <= kMapBytes);

namespace plan_detail {

BUNRAKU_HOST_DEVICE inline int take(int& at, int bytes) {
  const int here = at;
  at = whole(at + bytes, kVectorBytes);
  return here;
}

BUNRAKU_HOST_DEVICE inline Resident keep(BlockMap& map, int capacity, int each, int wanted) {
  int count = 0;
  while (count < wanted && map.bytes + (count + 1) * each <= capacity)
    ++count;
  const Resident kept{map.bytes, count};
  map.bytes += count * each;
  map.missing_bytes += static_cast<std::int64_t>(wanted - count) * each;
  return kept;
}

} // namespace plan_detail

// The weights of the critical path are kept first, then those that are used while other blocks
// work.
BUNRAKU_HOST_DEVICE inline BlockMap block_map(const SampleShape& shape, const PackedLayout& layout,
                                              const Partition& partition, int block,
                                              PipelineStreams streams, bool inbox_is_shared,
                                              int capacity) {
  using plan_detail::take;
  BlockMap m{};
  const int layers = partition.layers_of(block);
  const int out = partition.out_rows(block), end = partition.end_rows(block);
  const int row = 4 * streams.group_streams * layout.residual_stride;
  const InboxMap inbox = inbox_map(shape, layout, partition.blocks, streams);
  int at = kMapBytes;
  m.inbox = -1;
  if (inbox_is_shared)
    m.inbox = take(at, 4 * (out + end > 0 || block == 0 ? inbox.words : inbox.words_without_rows));
  m.x = take(at, layers * row);
  m.h = take(at, layers * row);
  m.past = take(at, layers * row);
  m.past_sum = take(at, 4 * streams.streams() * layers * 2 * shape.residual);
  m.residual_bias = take(at, 4 * layers * shape.residual);
  m.out_bias = take(at, 4 * kOutputPlanes * out);
  m.end_bias = take(at, 4 * kOutputPlanes * end);
  m.last = take(at, block == 0 ? 8 * streams.streams() : 0);
  m.time = take(at, block == 0 ? 8 * streams.streams() : 0);
  m.slot = take(at, 4 * streams.streams() * layers);
  const int staged = most(layout.skip_stride, layout.hidden_stride);
  m.stage = take(at, inbox_is_shared || out + end == 0 ? 0 : 4 * streams.group_streams * staged);
  m.fixed_bytes = m.bytes = at;
  m.current = plan_detail::keep(m, capacity, layout.current.bytes(), layers);
  m.residual = plan_detail::keep(m, capacity, layout.residual.bytes(), layers);
  m.out = plan_detail::keep(m, capacity, layout.out.bytes(out), out > 0);
  m.end = plan_detail::keep(m, capacity, layout.end.bytes(end), end > 0);
  m.skip = plan_detail::keep(m, capacity, layout.skip.bytes(), layers);
  m.past_weights = plan_detail::keep(m, capacity, layout.past.bytes(), layers);
  return m;
}

} // namespace bunraku_kernels
