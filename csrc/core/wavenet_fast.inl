// The kernels of the fast WaveNet, over the Vec of the simd header included before. Frames lie in
// the lanes; a register tile holds some output channels times some vectors of frames, and every tap
// and input channel is summed into it before anything is stored. Everything is local to the unit.

namespace bunraku {
namespace {

#if defined(__GNUC__) || defined(__clang__)
#define BUNRAKU_INLINE inline __attribute__((always_inline))
#else
#define BUNRAKU_INLINE inline
#endif

// Frames [0, 16 * width) of a tile in steps of kSubVectors vectors.
template <int Width> struct TileShape {
  static constexpr int frames = Width;
  static constexpr int vectors = Width / kLanes < kSubVectors ? Width / kLanes : kSubVectors;
  static constexpr int step = vectors * kLanes;
};

template <int Outputs, int Vectors> struct Accumulators {
  Vec v[Outputs][Vectors];
};

struct Rows {
  const float* data;
  std::int64_t stride;
};

BUNRAKU_INLINE float* ring_rows(const RingPlan& ring, const WaveNetState& state, int index) {
  return state.memory + ring.offset + state.positions[index];
}

// acc[o][v] += sum over rows r of weights[r * weight_stride + o] * x[r][v].
template <int Outputs, int Vectors>
BUNRAKU_INLINE void accumulate(Accumulators<Outputs, Vectors>& acc, const float* weights,
                               std::int64_t weight_stride, Rows x, int rows) {
  const float* p = x.data;
#pragma GCC unroll 4
  for (int r = 0; r < rows; ++r) {
    Vec in[Vectors];
    for (int v = 0; v < Vectors; ++v)
      in[v] = load(p + v * kLanes);
    for (int o = 0; o < Outputs; ++o) {
      const Vec w = broadcast(weights[o]);
      for (int v = 0; v < Vectors; ++v)
        acc.v[o][v] = mul_add(w, in[v], acc.v[o][v]);
    }
    p += x.stride;
    weights += weight_stride;
  }
}

template <int Outputs, int Vectors>
BUNRAKU_INLINE void start_from(Accumulators<Outputs, Vectors>& acc, const float* bias) {
  for (int o = 0; o < Outputs; ++o)
    for (int v = 0; v < Vectors; ++v)
      acc.v[o][v] = bias ? broadcast(bias[o]) : zero();
}

// Where a layer reads: one pointer for each tap, at the tile's first frame.
struct Taps {
  const float* at[kMaxTaps];
};

BUNRAKU_INLINE void find_taps(Taps& taps, const RingPlan& ring, const float* base, int position,
                              int kernel_size, int dilation) {
  for (int k = 0; k < kernel_size; ++k) {
    int p = position - dilation * (kernel_size - 1 - k);
    p += p < 0 ? ring.frames : 0;
    taps.at[k] = base + p;
  }
}

struct LayerTile {
  Taps taps;
  const float* now; // the layer's input at the tile
  std::int64_t in_stride;
  float* skip;
  std::int64_t skip_stride;
  float* next; // null: no 1x1
  std::int64_t next_stride;
};

BUNRAKU_INLINE void find_layer_tile(LayerTile& tile, const WaveNetPlan& plan,
                                    const LayerPlan& layer, const WaveNetState& state,
                                    int skip_ring) {
  const RingPlan& in = plan.rings[layer.in_ring];
  const float* base = state.memory + in.offset;
  const int position = state.positions[layer.in_ring];
  find_taps(tile.taps, in, base, position, layer.kernel_size, layer.dilation);
  tile.now = base + position;
  tile.in_stride = in.stride;
  tile.skip = ring_rows(plan.rings[skip_ring], state, skip_ring);
  tile.skip_stride = plan.rings[skip_ring].stride;
  tile.next = nullptr;
  tile.next_stride = 0;
  if (layer.out_ring >= 0) {
    tile.next = ring_rows(plan.rings[layer.out_ring], state, layer.out_ring);
    tile.next_stride = plan.rings[layer.out_ring].stride;
  }
}

// Convolution, conditioning, activation and skip sum for outputs [o, o + Outputs).
template <int Outputs, int Vectors, int Code>
BUNRAKU_INLINE void convolve(Accumulators<Outputs, Vectors>& acc, const WaveNetPlan& plan,
                             const LayerPlan& layer, const LayerTile& tile, const float* input,
                             int channels, int bottleneck, int o, int frame) {
  start_from(acc, layer.conv_bias + o);
  accumulate(acc, layer.mixin + o, bottleneck, Rows{input + frame, kTileFrames}, plan.in_channels);
  const float* weights = layer.conv + o;
  for (int k = 0; k < layer.kernel_size; ++k) {
    accumulate(acc, weights, bottleneck, Rows{tile.taps.at[k] + frame, tile.in_stride}, channels);
    weights += static_cast<std::int64_t>(channels) * bottleneck;
  }
  const ActivationCode code = Code >= 0 ? static_cast<ActivationCode>(Code) : layer.activation;
  for (int i = 0; i < Outputs; ++i) {
    const float* parameters = layer.activation_parameters + layer.activation_stride * (o + i);
    float* skip = tile.skip + tile.skip_stride * (o + i) + frame;
    for (int v = 0; v < Vectors; ++v) {
      const Vec z = activate(code, parameters, acc.v[i][v]);
      acc.v[i][v] = z;
      store(skip + v * kLanes, layer.first_skip ? z : add(z, load(skip + v * kLanes)));
    }
  }
}

template <int Outputs, int Vectors, int Code>
BUNRAKU_INLINE void convolve_to_scratch(const WaveNetPlan& plan, const LayerPlan& layer,
                                        const LayerTile& tile, const WaveNetState& state,
                                        int channels, int bottleneck, int o, int frame) {
  Accumulators<Outputs, Vectors> acc;
  convolve<Outputs, Vectors, Code>(acc, plan, layer, tile, state.input, channels, bottleneck, o,
                                   frame);
  for (int i = 0; i < Outputs; ++i)
    for (int v = 0; v < Vectors; ++v)
      store(state.scratch + (o + i) * kTileFrames + frame + v * kLanes, acc.v[i][v]);
}

// 1x1 and residual, straight into the next layer's ring.
template <int Outputs, int Vectors>
BUNRAKU_INLINE void project(const LayerPlan& layer, const LayerTile& tile,
                            const WaveNetState& state, int channels, int bottleneck, int o,
                            int frame) {
  Accumulators<Outputs, Vectors> acc;
  for (int i = 0; i < Outputs; ++i)
    for (int v = 0; v < Vectors; ++v)
      acc.v[i][v] = add(broadcast(layer.layer1x1_bias[o + i]),
                        load(tile.now + tile.in_stride * (o + i) + frame + v * kLanes));
  accumulate(acc, layer.layer1x1 + o, channels, Rows{state.scratch + frame, kTileFrames},
             bottleneck);
  for (int i = 0; i < Outputs; ++i)
    for (int v = 0; v < Vectors; ++v)
      store(tile.next + tile.next_stride * (o + i) + frame + v * kLanes, acc.v[i][v]);
}

// Calls body(std::integral_constant-like width, first output) over `outputs` in tiles of `Most`.
template <int Outputs> struct Width {
  static constexpr int value = Outputs;
};

template <int Most, typename Body> BUNRAKU_INLINE void over_outputs(int outputs, Body&& body) {
  int o = 0;
  for (; o + Most <= outputs; o += Most)
    body(Width<Most>{}, o);
  if constexpr (Most > 8)
    for (; o + 8 <= outputs; o += 8)
      body(Width<8>{}, o);
  if constexpr (Most > 4)
    for (; o + 4 <= outputs; o += 4)
      body(Width<4>{}, o);
  switch (outputs - o) {
  case 3:
    body(Width<3>{}, o);
    break;
  case 2:
    body(Width<2>{}, o);
    break;
  case 1:
    body(Width<1>{}, o);
    break;
  default:
    break;
  }
}

// Channels == 0: any shape, read from the plan.
template <int Channels, int TileWidth, int Code>
void run_layer(const WaveNetPlan& plan, const LayerPlan& layer, WaveNetState& state,
               int skip_ring) {
  using Shape = TileShape<TileWidth>;
  constexpr int most = outputs_at_once(Channels, Shape::vectors);
  const int channels = Channels ? Channels : layer.channels;
  const int bottleneck = Channels ? Channels : layer.bottleneck;
  LayerTile tile;
  find_layer_tile(tile, plan, layer, state, skip_ring);
  for (int frame = 0; frame < TileWidth; frame += Shape::step) {
    over_outputs<most>(bottleneck, [&](auto width, int o) {
      convolve_to_scratch<decltype(width)::value, Shape::vectors, Code>(
          plan, layer, tile, state, channels, bottleneck, o, frame);
    });
    if (!tile.next)
      continue;
    over_outputs<most>(channels, [&](auto width, int o) {
      project<decltype(width)::value, Shape::vectors>(layer, tile, state, channels, bottleneck, o,
                                                      frame);
    });
  }
}

// Few channels: the activations stay in registers for the 1x1.
template <int Channels, int TileWidth, int Code>
void run_small_layer(const WaveNetPlan& plan, const LayerPlan& layer, WaveNetState& state,
                     int skip_ring) {
  constexpr int vectors =
      TileWidth / kLanes < small_vectors(Channels) ? TileWidth / kLanes : small_vectors(Channels);
  LayerTile tile;
  find_layer_tile(tile, plan, layer, state, skip_ring);
  for (int frame = 0; frame < TileWidth; frame += vectors * kLanes) {
    Accumulators<Channels, vectors> z;
    convolve<Channels, vectors, Code>(z, plan, layer, tile, state.input, Channels, Channels, 0,
                                      frame);
    if (!tile.next)
      continue;
    for (int o = 0; o < Channels; ++o)
      for (int v = 0; v < vectors; ++v) {
        Vec y = add(broadcast(layer.layer1x1_bias[o]),
                    load(tile.now + tile.in_stride * o + frame + v * kLanes));
        for (int i = 0; i < Channels; ++i)
          y = mul_add(broadcast(layer.layer1x1[i * Channels + o]), z.v[i][v], y);
        store(tile.next + tile.next_stride * o + frame + v * kLanes, y);
      }
  }
}

// Keeps the repeated part of a ring true after a tile was written at its position.
void finish_write(const RingPlan& ring, WaveNetState& state, int index, int tile_frames) {
  float* base = state.memory + ring.offset;
  const int position = state.positions[index];
  if (state.prewarming) {
    for (int r = 0; r < ring.rows; ++r) {
      float* row = base + static_cast<std::int64_t>(r) * ring.stride;
      const Vec value = broadcast(row[0]);
      for (int t = 0; t < ring.stride; t += kLanes)
        store(row + t, value);
    }
    return;
  }
  if (!ring.advances)
    return;
  const int end = position + tile_frames;
  if (position < kTileFrames) {
    const int count = (end < kTileFrames ? end : kTileFrames) - position;
    for (int r = 0; r < ring.rows; ++r) {
      float* row = base + static_cast<std::int64_t>(r) * ring.stride + position;
      std::memcpy(row + ring.frames, row, sizeof(float) * static_cast<std::size_t>(count));
    }
  }
  if (end > ring.frames) {
    for (int r = 0; r < ring.rows; ++r) {
      float* row = base + static_cast<std::int64_t>(r) * ring.stride;
      std::memcpy(row, row + ring.frames,
                  sizeof(float) * static_cast<std::size_t>(end - ring.frames));
    }
  }
}

// out[o] = sum over taps and rows, no activation: rechannel and head.
template <int TileWidth>
void linear(const float* weights, const float* bias, const Taps& taps, int kernel_size,
            std::int64_t in_stride, int rows, int outputs, float* out, std::int64_t out_stride) {
  using Shape = TileShape<TileWidth>;
  for (int frame = 0; frame < TileWidth; frame += Shape::step) {
    over_outputs<4>(outputs, [&](auto width, int o) {
      Accumulators<decltype(width)::value, Shape::vectors> acc;
      start_from(acc, bias ? bias + o : nullptr);
      for (int k = 0; k < kernel_size; ++k)
        accumulate(acc, weights + static_cast<std::int64_t>(k) * rows * outputs + o, outputs,
                   Rows{taps.at[k] + frame, in_stride}, rows);
      for (int i = 0; i < decltype(width)::value; ++i)
        for (int v = 0; v < Shape::vectors; ++v)
          store(out + out_stride * (o + i) + frame + v * kLanes, acc.v[i][v]);
    });
  }
}

// The same for one output: four sums side by side, or the additions' latency would be all there is.
template <int TileWidth>
void linear_one(const float* weights, const float* bias, const Taps& taps, int kernel_size,
                std::int64_t in_stride, int rows, float* out) {
  using Shape = TileShape<TileWidth>;
  constexpr int chains = 4;
  for (int frame = 0; frame < TileWidth; frame += Shape::step) {
    Accumulators<chains, Shape::vectors> acc;
    start_from(acc, nullptr);
    for (int k = 0; k < kernel_size; ++k) {
      const float* w = weights + static_cast<std::int64_t>(k) * rows;
      const float* x = taps.at[k] + frame;
      int r = 0;
      for (; r + chains <= rows; r += chains)
        for (int c = 0; c < chains; ++c)
          for (int v = 0; v < Shape::vectors; ++v)
            acc.v[c][v] = mul_add(broadcast(w[r + c]), load(x + (r + c) * in_stride + v * kLanes),
                                  acc.v[c][v]);
      for (; r < rows; ++r)
        for (int v = 0; v < Shape::vectors; ++v)
          acc.v[0][v] = mul_add(broadcast(w[r]), load(x + r * in_stride + v * kLanes), acc.v[0][v]);
    }
    for (int v = 0; v < Shape::vectors; ++v) {
      const Vec sum = add(add(acc.v[0][v], acc.v[1][v]), add(acc.v[2][v], acc.v[3][v]));
      store(out + frame + v * kLanes, bias ? add(sum, broadcast(bias[0])) : sum);
    }
  }
}

template <int TileWidth>
void run_rechannel(const WaveNetPlan& plan, const ArrayPlan& array, WaveNetState& state) {
  Taps taps;
  taps.at[0] = state.input;
  std::int64_t stride = kTileFrames;
  if (array.input_ring >= 0) {
    taps.at[0] = ring_rows(plan.rings[array.input_ring], state, array.input_ring);
    stride = plan.rings[array.input_ring].stride;
  }
  const RingPlan& out = plan.rings[array.in_ring];
  linear<TileWidth>(array.rechannel, nullptr, taps, 1, stride, array.input_rows, array.channels,
                    ring_rows(out, state, array.in_ring), out.stride);
  finish_write(out, state, array.in_ring, TileWidth);
}

template <int TileWidth>
void run_head(const WaveNetPlan& plan, const ArrayPlan& array, WaveNetState& state, float* out,
              std::int64_t out_stride) {
  const RingPlan& skip = plan.rings[array.skip_ring];
  Taps taps;
  find_taps(taps, skip, state.memory + skip.offset, state.positions[array.skip_ring],
            array.head_kernel_size, array.head_dilation);
  if (array.head_out == 1)
    linear_one<TileWidth>(array.head, array.head_bias, taps, array.head_kernel_size, skip.stride,
                          array.bottleneck, out);
  else
    linear<TileWidth>(array.head, array.head_bias, taps, array.head_kernel_size, skip.stride,
                      array.bottleneck, array.head_out, out, out_stride);
}

void advance(const WaveNetPlan& plan, WaveNetState& state, int frames) {
  for (int i = 0; i < plan.ring_count; ++i) {
    if (!plan.rings[i].advances)
      continue;
    const int next = state.positions[i] + frames;
    state.positions[i] = next >= plan.rings[i].frames ? next - plan.rings[i].frames : next;
  }
}

constexpr int width_index(int tile_width) {
  return tile_width == 64 ? 0 : tile_width == 32 ? 1 : 2;
}

template <int TileWidth>
void run_tile(const WaveNetPlan& plan, WaveNetState& state, const float* const* in,
              float* const* out, int offset, int frames) {
  for (int c = 0; c < plan.in_channels; ++c) {
    float* row = state.input + c * kTileFrames;
    std::memcpy(row, in[c] + offset, sizeof(float) * static_cast<std::size_t>(frames));
    std::memset(row + frames, 0, sizeof(float) * static_cast<std::size_t>(TileWidth - frames));
  }
  for (int a = 0; a < plan.array_count; ++a) {
    const ArrayPlan& array = plan.arrays[a];
    run_rechannel<TileWidth>(plan, array, state);
    for (int l = 0; l < array.layer_count; ++l) {
      const LayerPlan& layer = array.layers[l];
      layer.run[width_index(TileWidth)](plan, layer, state, array.skip_ring);
      if (layer.out_ring >= 0)
        finish_write(plan.rings[layer.out_ring], state, layer.out_ring, TileWidth);
    }
    finish_write(plan.rings[array.skip_ring], state, array.skip_ring, TileWidth);
    if (array.head_ring >= 0) {
      const RingPlan& next = plan.rings[array.head_ring];
      run_head<TileWidth>(plan, array, state, ring_rows(next, state, array.head_ring), next.stride);
    } else {
      run_head<TileWidth>(plan, array, state, state.scratch, kTileFrames);
    }
  }
  if (state.prewarming)
    return;
  for (int c = 0; c < plan.out_channels; ++c)
    std::memcpy(out[c] + offset, state.scratch + c * kTileFrames,
                sizeof(float) * static_cast<std::size_t>(frames));
  advance(plan, state, frames);
}

template <int Channels, int Code> void select_code(LayerPlan& layer) {
  if constexpr (Channels > 0 && Channels <= kSmallChannels) {
    layer.run[0] = run_small_layer<Channels, 64, Code>;
    layer.run[1] = run_small_layer<Channels, 32, Code>;
    layer.run[2] = run_small_layer<Channels, 16, Code>;
  } else {
    layer.run[0] = run_layer<Channels, 64, Code>;
    layer.run[1] = run_layer<Channels, 32, Code>;
    layer.run[2] = run_layer<Channels, 16, Code>;
  }
}

template <int Channels> void select_channels(LayerPlan& layer) {
  switch (layer.activation) {
  case ActivationCode::Tanh:
    return select_code<Channels, static_cast<int>(ActivationCode::Tanh)>(layer);
  case ActivationCode::LeakyReLUBelowOne:
    return select_code<Channels, static_cast<int>(ActivationCode::LeakyReLUBelowOne)>(layer);
  default:
    return select_code<Channels, -1>(layer);
  }
}

void select_layer(LayerPlan& layer) {
  switch (layer.channels == layer.bottleneck ? layer.channels : 0) {
  case 2:
    return select_channels<2>(layer);
  case 3:
    return select_channels<3>(layer);
  case 4:
    return select_channels<4>(layer);
  case 6:
    return select_channels<6>(layer);
  case 8:
    return select_channels<8>(layer);
  case 12:
    return select_channels<12>(layer);
  case 16:
    return select_channels<16>(layer);
  default:
    return select_channels<0>(layer);
  }
}

void activate_array(ActivationCode code, const float* parameters, const float* in, float* out,
                    int count) {
  float tail[kLanes] = {};
  for (int i = 0; i < count; i += kLanes) {
    if (i + kLanes <= count) {
      store(out + i, activate(code, parameters, load(in + i)));
      continue;
    }
    std::memcpy(tail, in + i, sizeof(float) * static_cast<std::size_t>(count - i));
    store(tail, activate(code, parameters, load(tail)));
    std::memcpy(out + i, tail, sizeof(float) * static_cast<std::size_t>(count - i));
  }
}

constexpr WaveNetKernels kernels_of_this_unit() noexcept {
  return WaveNetKernels{{run_tile<64>, run_tile<32>, run_tile<16>}, select_layer, activate_array};
}

} // namespace
} // namespace bunraku
