// Both ways, written once for all instruction sets. Included after core/simd_<isa>.hpp and
// frame_simd_<isa>.hpp, which give Vec, Quad and the moves between bytes, halves and floats.

namespace bunraku_kernels {
namespace {

using namespace bunraku;

// ---- frame to tensor: columns of bytes first, then along the row ---------------

// out[i] = sum over k of weights[k] * rows[k][i], over the bytes of `rows` as they lie.
inline void mix_byte_rows(float* out, const std::uint8_t* rows, std::ptrdiff_t row_bytes,
                          const float* weights, int count, int bytes) {
  constexpr int block = 4 * kLanes;
  int i = 0;
  for (; i + block <= bytes; i += block) {
    Vec sums[4] = {zero(), zero(), zero(), zero()};
    const std::uint8_t* row = rows + i;
    for (int k = 0; k < count; ++k, row += row_bytes) {
      const Vec weight = broadcast(weights[k]);
      for (int v = 0; v < 4; ++v)
        sums[v] = mul_add(load_bytes(row + v * kLanes), weight, sums[v]);
    }
    for (int v = 0; v < 4; ++v)
      store(out + i + v * kLanes, sums[v]);
  }
  for (; i < bytes; ++i) {
    float sum = 0.0f;
    for (int k = 0; k < count; ++k)
      sum += weights[k] * static_cast<float>(rows[k * row_bytes + i]);
    out[i] = sum;
  }
}

// Output pixel x becomes a quad, its fourth lane unused: scale * sum of taps + shift. `row` is
// interleaved and followed by at least one readable float.
inline void mix_columns(float* quads, const float* row, const Taps& taps, int width, Quad scale,
                        Quad shift) {
  for (int x = 0; x < width; ++x) {
    const float* pixel = row + 3 * taps.first[x];
    const float* weights = taps.weights + static_cast<std::ptrdiff_t>(x) * taps.count;
    Quad even = quad_broadcast(0.0f), odd = even;
    int k = 0;
    for (; k + 1 < taps.count; k += 2, pixel += 6) {
      even = quad_mul_add(quad_load(pixel), quad_broadcast(weights[k]), even);
      odd = quad_mul_add(quad_load(pixel + 3), quad_broadcast(weights[k + 1]), odd);
    }
    if (k < taps.count)
      even = quad_mul_add(quad_load(pixel), quad_broadcast(weights[k]), even);
    quad_store(quads + 4 * x, quad_mul_add(quad_add(even, odd), scale, shift));
  }
}

inline void write_values(void* out, const float* values, int count, bool half) {
  if (half)
    narrow(static_cast<std::uint16_t*>(out), values, count);
  else
    std::memcpy(out, values, static_cast<std::size_t>(count) * sizeof(float));
}

inline void write_planar(const ToTensor& job, int frame, int y, const float* quads, float* lines) {
  const int width = job.out.width;
  const std::size_t stride = padded(static_cast<std::size_t>(width));
  float* lane_lines[3] = {lines, lines + stride, lines + 2 * stride};
  int x = 0;
  for (; x + 4 <= width; x += 4)
    quads_to_lines(quads + 4 * x, lane_lines[0] + x, lane_lines[1] + x, lane_lines[2] + x);
  for (; x < width; ++x)
    for (int c = 0; c < 3; ++c)
      lane_lines[c][x] = quads[4 * x + c];
  for (int c = 0; c < 3; ++c)
    write_values(row_of(job.out, frame, c, y), lane_lines[job.bgr ? 2 - c : c], width,
                 job.out.half);
}

inline void write_interleaved(const ToTensor& job, int frame, int y, const float* quads,
                              float* line) {
  // Each store of four floats leaves one too many, which the next pixel overwrites.
  for (int x = 0; x < job.out.width; ++x) {
    const Quad quad = quad_load(quads + 4 * x);
    quad_store(line + 3 * x, job.bgr ? quad_reversed(quad) : quad);
  }
  write_values(row_of(job.out, frame, 0, y), line, 3 * job.out.width, job.out.half);
}

inline void to_tensor(const ToTensor& job, float* scratch) {
  float* row = scratch;
  const int bytes = 3 * job.frame.width;
  float* quads = row + padded(static_cast<std::size_t>(bytes));
  float* lines = quads + padded(4 * static_cast<std::size_t>(job.out.width));
  float scale[4] = {}, shift[4] = {};
  for (int c = 0; c < 3; ++c) {
    scale[job.bgr ? 2 - c : c] = job.affine.scale[c];
    shift[job.bgr ? 2 - c : c] = job.affine.shift[c];
  }
  for (int frame = 0; frame < job.frames; ++frame)
    for (int y = 0; y < job.out.height; ++y) {
      mix_byte_rows(row, row_of(job.frame, frame, job.rows.first[y]), job.frame.row_bytes,
                    job.rows.weights + static_cast<std::ptrdiff_t>(y) * job.rows.count,
                    job.rows.count, bytes);
      mix_columns(quads, row, job.columns, job.out.width, quad_load(scale), quad_load(shift));
      if (job.out.planar)
        write_planar(job, frame, y, quads, lines);
      else
        write_interleaved(job, frame, y, quads, lines);
    }
}

// ---- tensor to frame: along the row first, each row once, then columns and blend -----------

// out[x] = sum of taps of `line`, which is followed by kRowPadding readable floats.
inline void widen_line(float* out, const float* line, const Taps& taps, int width) {
  int x = 0;
  for (; x + kLanes <= width; x += kLanes) {
    Vec sum = zero();
    if (kCanPick && taps.first[x + kLanes - 1] - taps.first[x] < kLanes) {
      const int begin = taps.first[x];
      const Picker picker(taps.first + x, begin);
      for (int k = 0; k < taps.count; ++k)
        sum = mul_add(picker(line + begin + k), load(taps.weights + k * width + x), sum);
    } else {
      for (int k = 0; k < taps.count; ++k) {
        float gathered[kLanes];
        for (int i = 0; i < kLanes; ++i)
          gathered[i] = line[taps.first[x + i] + k];
        sum = mul_add(load(gathered), load(taps.weights + k * width + x), sum);
      }
    }
    store(out + x, sum);
  }
  for (; x < width; ++x) {
    float sum = 0.0f;
    for (int k = 0; k < taps.count; ++k)
      sum += taps.weights[k * width + x] * line[taps.first[x] + k];
    out[x] = sum;
  }
}

// values[i] = scale * values[i] + shift, limited to 0..most; not-a-number gives 0. Whole vectors:
// some values past the end change too.
inline void limit(float* values, int count, float scale, float shift, float most) {
  const Vec s = broadcast(scale), t = broadcast(shift), top = broadcast(most);
  for (int i = 0; i < count; i += kLanes)
    store(values + i, min(max(mul_add(load(values + i), s, t), zero()), top));
}

inline void read_values(float* out, const void* values, int count, bool half) {
  if (half)
    widen(out, static_cast<const std::uint16_t*>(values), count);
  else
    std::memcpy(out, values, static_cast<std::size_t>(count) * sizeof(float));
}

// row *= weight, in whole vectors.
inline void scale_row(float* row, float weight, int width) {
  const Vec factor = broadcast(weight);
  for (int x = 0; x < width; x += kLanes)
    store(row + x, mul(load(row + x), factor));
}

// out += weight * row, in whole vectors.
inline void add_row(float* out, const float* row, float weight, int width) {
  const Vec factor = broadcast(weight);
  for (int x = 0; x < width; x += kLanes)
    store(out + x, mul_add(load(row + x), factor, load(out + x)));
}

// The mean of two rows that are read only when it is asked for: almost every frame is larger than
// the network's output, and then two rows are all there is to mix.
struct MixedRow {
  const float* a;
  const float* b;
  float weight_a;
  float weight_b;

  Vec at(int x) const {
    return mul_add(load(b + x), broadcast(weight_b), mul(load(a + x), broadcast(weight_a)));
  }
};

// The rows of one source, resized to the frame's width: a ring of as many as one row of the frame
// mixes, so each is made once, in the place of one that is needed no more.
class ResizedRows {
public:
  ResizedRows(const Planes& source, const Taps& rows, const Taps& columns, int width,
              float* scratch)
      : m_source(source), m_rows(rows), m_columns(columns), m_width(width),
        m_wide(padded(static_cast<std::size_t>(width))), m_line(scratch) {
    const std::size_t values = padded(static_cast<std::size_t>(source.width) * source.channels);
    m_interleaved = m_line + values;
    m_mixed = m_interleaved + values;
    m_ring = m_mixed + m_wide * static_cast<std::size_t>(source.channels);
  }
  float* end() const {
    return m_ring + m_wide * static_cast<std::size_t>(m_source.channels * m_rows.count);
  }

  void start(int frame) {
    m_frame = frame;
    m_next = 0;
  }

  // All channels of the frame's row y; rows are asked for in order.
  void mix(int y, const Affine& affine, float most) {
    const int first = m_rows.first[y];
    if (m_next < first) // rows that no row of the frame mixes
      m_next = first;
    for (; m_next < first + m_rows.count; ++m_next)
      make(m_next, affine, most);
    const float* weights = m_rows.weights + static_cast<std::ptrdiff_t>(y) * m_rows.count;
    for (int c = 0; c < m_source.channels; ++c)
      m_result[c] = mixed(first, c, weights);
  }
  const MixedRow& channel(int c) const { return m_result[c]; }

private:
  float* slot(int row, int channel) const {
    const int index = row % m_rows.count * m_source.channels + channel;
    return m_ring + m_wide * static_cast<std::size_t>(index);
  }

  MixedRow mixed(int first, int channel, const float* weights) const {
    const float* row = slot(first, channel);
    if (m_rows.count == 1)
      return {row, row, 1.0f, 0.0f};
    if (m_rows.count == 2)
      return {row, slot(first + 1, channel), weights[0], weights[1]};
    float* sum = m_mixed + m_wide * static_cast<std::size_t>(channel);
    std::memcpy(sum, row, m_wide * sizeof(float));
    scale_row(sum, weights[0], m_width);
    for (int k = 1; k < m_rows.count; ++k)
      add_row(sum, slot(first + k, channel), weights[k], m_width);
    return {sum, sum, 1.0f, 0.0f};
  }

  void make(int y, const Affine& affine, float most) {
    const int width = m_source.width, channels = m_source.channels;
    if (!m_source.planar)
      read_values(m_interleaved, row_of(m_source, m_frame, 0, y), width * channels, m_source.half);
    for (int c = 0; c < channels; ++c) {
      if (m_source.planar)
        read_values(m_line, row_of(m_source, m_frame, c, y), width, m_source.half);
      else
        for (int x = 0; x < width; ++x)
          m_line[x] = m_interleaved[x * channels + c];
      limit(m_line, width, affine.scale[c], affine.shift[c], most);
      widen_line(slot(y, c), m_line, m_columns, m_width);
    }
  }

  Planes m_source;
  Taps m_rows, m_columns;
  int m_width;
  std::size_t m_wide; // floats from one row of the ring to the next
  float* m_line;
  float* m_interleaved;
  float* m_mixed;
  float* m_ring;
  MixedRow m_result[3] = {};
  int m_frame = 0;
  int m_next = 0;
};

// One row of the frame, from the planes' first channel to the bytes' first: `code` has the channels
// in the order of the bytes, each padded to whole vectors; without kMasked they replace everything.
template <bool kMasked> struct Blend {
  MixedRow code[3];
  MixedRow share;

  void vector(std::uint8_t* out, const std::uint8_t* before, int x) const {
    Vec values[3] = {code[0].at(x), code[1].at(x), code[2].at(x)};
    if (kMasked) {
      Vec old[3];
      split_pixels(before, old);
      const Vec part = share.at(x);
      for (int c = 0; c < 3; ++c)
        values[c] = mul_add(part, sub(values[c], old[c]), old[c]);
    }
    join_pixels(out, values);
  }

  void row(std::uint8_t* out, const std::uint8_t* before, int width) const {
    int x = 0;
    for (; x + kLanes <= width; x += kLanes)
      vector(out + 3 * x, before + 3 * x, x);
    if (x == width)
      return;
    std::uint8_t rest[3 * kLanes] = {};
    const auto bytes = static_cast<std::size_t>(3 * (width - x));
    std::memcpy(rest, before + 3 * x, bytes);
    vector(rest, rest, x);
    std::memcpy(out + 3 * x, rest, bytes);
  }
};

template <bool kMasked>
void blend_row(const ToFrame& job, const ResizedRows& codes, const ResizedRows& shares, int frame,
               int y) {
  const Blend<kMasked> blend{
      {codes.channel(job.bgr ? 2 : 0), codes.channel(1), codes.channel(job.bgr ? 0 : 2)},
      shares.channel(0)};
  blend.row(row_of(job.out, frame, y), row_of(job.original, frame, y), job.original.width);
}

inline void to_frame(const ToFrame& job, float* scratch) {
  const int width = job.original.width;
  ResizedRows codes(job.y, job.rows, job.columns, width, scratch);
  const bool masked = job.mask.data != nullptr;
  ResizedRows shares(job.mask, job.mask_rows, job.mask_columns, width, codes.end());
  constexpr Affine identity{{1.0f, 1.0f, 1.0f}, {0.0f, 0.0f, 0.0f}};
  for (int frame = 0; frame < job.frames; ++frame) {
    codes.start(frame);
    shares.start(frame);
    for (int y = 0; y < job.original.height; ++y) {
      codes.mix(y, job.affine, 255.0f);
      if (masked)
        shares.mix(y, identity, 1.0f);
      (masked ? blend_row<true> : blend_row<false>)(job, codes, shares, frame, y);
    }
  }
}

} // namespace
} // namespace bunraku_kernels
