// The kernels of the fast LSTM, over the Vec of the simd header included before. The rows of a gate
// lie in the lanes. What does not wait for the previous frame is done for a whole tile first; the
// recurrence then is a race against latency, so its sums are several short chains.

namespace bunraku {
namespace {

// outside[t] = bias + input weights * heard[t], eight frames at a time.
template <int Frames>
inline void hear(const LstmLayerPlan& layer, int row_floats, const float* heard, int heard_stride,
                 float* outside) {
  for (int r = 0; r < row_floats; r += kLanes) {
    Vec sums[Frames];
    for (int t = 0; t < Frames; ++t)
      sums[t] = load(layer.biases + r);
    const float* weights = layer.input_weights + r;
    for (int i = 0; i < layer.heard_size; ++i, weights += row_floats) {
      const Vec w = load(weights);
      for (int t = 0; t < Frames; ++t)
        sums[t] = mul_add(w, broadcast(heard[t * heard_stride + i]), sums[t]);
    }
    for (int t = 0; t < Frames; ++t)
      store(outside + t * row_floats + r, sums[t]);
  }
}

struct GatePair {
  Vec first, second;
};

// Two gates' sums for one vector of rows: 2 * kLstmChains independent chains.
template <int Rows>
inline GatePair recur(const float* weights, int width, int recurrent_rows, const float* hidden,
                      Vec first, Vec second) {
  Vec a[kLstmChains], b[kLstmChains];
  a[0] = first;
  b[0] = second;
  for (int c = 1; c < kLstmChains; ++c)
    a[c] = b[c] = zero();
  const int rows = Rows ? Rows : recurrent_rows;
#pragma GCC unroll 4
  for (int i = 0; i < rows; i += kLstmChains) {
    for (int c = 0; c < kLstmChains; ++c) {
      const Vec h = broadcast(hidden[i + c]);
      a[c] = mul_add(load(weights), h, a[c]);
      b[c] = mul_add(load(weights + width), h, b[c]);
      weights += 2 * width;
    }
  }
  return {add(add(a[0], a[1]), add(a[2], a[3])), add(add(b[0], b[1]), add(b[2], b[3]))};
}

// One frame of one layer, for the rows [r, r + kLanes) of every gate.
template <int Rows>
inline void step(const LstmPlan& plan, const LstmLayerPlan& layer, const float* outside,
                 const float* before, float* after, float* memory, int width, int r) {
  const Vec half = broadcast(0.5f);
  const int rows = Rows ? Rows : plan.recurrent_rows;
  const float* late = layer.recurrent_weights + 2 * rows * width + r;
  const GatePair early = recur<Rows>(layer.recurrent_weights + r, width, rows, before,
                                     load(outside + r), load(outside + width + r));
  const GatePair rest = recur<Rows>(late, width, rows, before, load(outside + 2 * width + r),
                                    load(outside + 3 * width + r));
  const Vec input = mul_add(half, tanh_approx(early.first), half);
  const Vec candidate = tanh_approx(early.second);
  const Vec forget = mul_add(half, tanh_approx(rest.first), half);
  const Vec output = mul_add(half, tanh_approx(rest.second), half);
  const Vec kept = mul_add(forget, load(memory + r), mul(input, candidate));
  store(memory + r, kept);
  store(after + r, mul(output, tanh_approx(kept)));
}

// Width and Rows == 0: read from the plan.
template <int Width, int Rows>
void run_recurrence(const LstmPlan& plan, const LstmLayerPlan& layer, const float* outside,
                    float* hidden, float* memory, int frames) {
  const int width = Width ? Width : plan.width;
  for (int t = 0; t < frames; ++t) {
    for (int r = 0; r < width; r += kLanes)
      step<Rows>(plan, layer, outside, hidden, hidden + width, memory, width, r);
    hidden += width;
    outside += 4 * width;
  }
}

inline float dot(const float* a, const float* b, int count) {
  Vec sum = zero();
  for (int i = 0; i < count; i += kLanes)
    sum = mul_add(load(a + i), load(b + i), sum);
  return sum_of_lanes(sum);
}

void run_lstm_tile(const LstmPlan& plan, LstmState& state, const float* const* in,
                   float* const* out, int offset, int frames) {
  for (int t = 0; t < frames; ++t)
    for (int c = 0; c < plan.in_channels; ++c)
      state.input[t * plan.in_channels + c] = in[c][offset + t];
  const int width = plan.width, row_floats = 4 * width;
  const float* heard = state.input;
  int heard_stride = plan.in_channels;
  float* hidden = state.hidden;
  for (int l = 0; l < plan.layer_count; ++l) {
    const LstmLayerPlan& layer = plan.layers[l];
    int t = 0;
    for (; t + 8 <= frames; t += 8)
      hear<8>(layer, row_floats, heard + t * heard_stride, heard_stride,
              state.outside + t * row_floats);
    for (; t < frames; ++t)
      hear<1>(layer, row_floats, heard + t * heard_stride, heard_stride,
              state.outside + t * row_floats);
    float* memory = state.memory + l * width;
    if (width == 16 && plan.recurrent_rows == 16)
      run_recurrence<16, 16>(plan, layer, state.outside, hidden, memory, frames);
    else if (width == kLanes && plan.recurrent_rows == 8)
      run_recurrence<kLanes, 8>(plan, layer, state.outside, hidden, memory, frames);
    else
      run_recurrence<0, 0>(plan, layer, state.outside, hidden, memory, frames);
    heard = hidden + width;
    heard_stride = width;
    hidden += (1 + kLstmTileFrames) * width;
  }
  for (int c = 0; out && c < plan.out_channels; ++c)
    for (int t = 0; t < frames; ++t)
      out[c][offset + t] =
          plan.head_biases[c] + dot(heard + t * width, plan.head_weights + c * width, width);
  hidden = state.hidden;
  for (int l = 0; l < plan.layer_count; ++l, hidden += (1 + kLstmTileFrames) * width)
    for (int i = 0; i < width; i += kLanes)
      store(hidden + i, load(hidden + frames * width + i));
}

} // namespace
} // namespace bunraku
