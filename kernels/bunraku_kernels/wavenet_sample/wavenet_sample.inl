// The kernels of the sampler, over the Vec of the simd header and the Int8Dot of the unit included
// before. Outputs lie in the lanes; a register tile holds some vectors of outputs times some
// columns (streams, or frames of one stream), and all inputs are summed into it in the same order
// whatever the tile, so that a stream's samples do not depend on its neighbours.

namespace bunraku_kernels {
namespace {

using namespace bunraku;

#if defined(__GNUC__) || defined(__clang__)
#define BUNRAKU_INLINE inline __attribute__((always_inline))
#define BUNRAKU_INLINED_LAMBDA __attribute__((always_inline))
#else
#define BUNRAKU_INLINE inline
#define BUNRAKU_INLINED_LAMBDA
#endif

// ---- 16-bit activations for 8-bit weights

constexpr float kMostQuanta = 127.0f;

struct Quantum {
  float size;
  float inverse;
};

// `bound` of the values; 0: look for the largest.
inline Quantum quantum_of(const float* x, int count, float bound) {
  if (bound == 0.0f) {
    Vec most = zero();
    for (int i = 0; i < count; i += kLanes)
      most = max(most, abs(load(x + i)));
    bound = largest_of_lanes(most);
  }
  return {bound * (1.0f / kMostQuanta), bound > 0.0f ? kMostQuanta / bound : 0.0f};
}

// ---- products: how a group of weights meets a group of activations ------------------------------

template <int Value> struct Width {
  static constexpr int value = Value;
};

// Of a vector of weights.
template <class Dot> constexpr int dot_bytes() {
  return kLanes * Dot::format.group_inputs * bytes_of(Dot::format.code);
}

struct Float32Dot {
  using Weights = Vec;
  using Activations = Vec;
  using Sum = Vec;
  static constexpr WeightFormat format{WeightCode::Float32, 1, 1, 1};
  static constexpr int vectors(int columns) { return tile_vectors(columns, 1); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) {
    return load(reinterpret_cast<const float*>(p));
  }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    return broadcast(reinterpret_cast<const float*>(words)[group]);
  }
  static BUNRAKU_INLINE Sum begin(const float* y, const std::uint32_t*, int) { return load(y); }
  static BUNRAKU_INLINE void add_product(Sum& sum, Weights w, Activations x) {
    sum = mul_add(w, x, sum);
  }
  static BUNRAKU_INLINE Vec finish(Sum sum, const float*, const float*, Vec) { return sum; }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups, float) {
    auto* out = reinterpret_cast<float*>(words);
    for (int i = 0; i < groups; i += kLanes)
      store(out + i, load(x + i));
    return 1.0f;
  }
};

// Weights of 16 bits made floats on the way: activations stay float32.
struct WideBfloat16Dot {
  struct Weights {
    Vec even, odd;
  };
  struct Activations {
    Vec even, odd;
  };
  using Sum = Vec;
  static constexpr WeightFormat format{WeightCode::Bfloat16, 2, 2, 2};
  static constexpr int vectors(int columns) { return tile_vectors(columns, 1); }

  static BUNRAKU_INLINE Weights weights(const std::byte* p) { return {even_halves(p), odd_halves(p)}; }
  static BUNRAKU_INLINE Activations activations(const std::uint32_t* words, int group) {
    const auto* x = reinterpret_cast<const float*>(words) + 2 * group;
    return {broadcast(x[0]), broadcast(x[1])};
  }
  static BUNRAKU_INLINE Sum begin(const float* y, const std::uint32_t*, int) { return load(y); }
  static BUNRAKU_INLINE void add_product(Sum& sum, const Weights& w, const Activations& x) {
    sum = mul_add(w.odd, x.odd, mul_add(w.even, x.even, sum));
  }
  static BUNRAKU_INLINE Vec finish(Sum sum, const float*, const float*, Vec) { return sum; }

  static BUNRAKU_INLINE float encode(std::uint32_t* words, const float* x, int groups, float) {
    return Float32Dot::encode(words, x, 2 * groups, 0.0f);
  }
};

// body(Width<0>) to body(Width<count - 1>), before the compiler decides what lies in registers.
template <class Body, int... I>
BUNRAKU_INLINE void unroll(std::integer_sequence<int, I...>, Body body) {
  (body(Width<I>{}), ...);
}
#define BUNRAKU_UNROLL(count, index, ...)                                                          \
  unroll(std::make_integer_sequence<int, count>{},                                                 \
         [&](auto index##_constant) BUNRAKU_INLINED_LAMBDA {                                       \
           constexpr int index = decltype(index##_constant)::value;                                \
           __VA_ARGS__                                                                             \
         })

// One register tile: y[c][v] += W x[c] over the vectors from `weights` on.
template <class Dot, int Vectors, int Columns>
BUNRAKU_INLINE void multiply_tile(const std::byte* weights, std::int64_t group_bytes, int groups,
                                  const float* scale, const ActivationColumns& x, int column,
                                  float* y, std::int64_t y_stride) {
  constexpr int bytes = dot_bytes<Dot>();
  const std::int64_t stride = x.stride;
  const std::uint32_t* words = x.words + column * stride;
  const float* scales = x.scale + column;
  typename Dot::Sum sum[Columns * Vectors];
  BUNRAKU_UNROLL(Columns * Vectors, i, {
    constexpr int c = i / Vectors, v = i % Vectors;
    sum[i] = Dot::begin(y + c * y_stride + v * kLanes, words + c * stride, groups);
  });
#pragma GCC unroll 1
  for (int g = 0; g < groups; ++g) {
    typename Dot::Activations in[Columns];
    BUNRAKU_UNROLL(Columns, c, { in[c] = Dot::activations(words + c * stride, g); });
    BUNRAKU_UNROLL(Vectors, v, {
      const typename Dot::Weights w = Dot::weights(weights + v * bytes);
      BUNRAKU_UNROLL(Columns, c, { Dot::add_product(sum[c * Vectors + v], w, in[c]); });
    });
    weights += group_bytes;
  }
  BUNRAKU_UNROLL(Columns * Vectors, i, {
    constexpr int c = i / Vectors, v = i % Vectors;
    float* to = y + c * y_stride + v * kLanes;
    store(to, Dot::finish(sum[i], to, scale + v * kLanes, broadcast(scales[c])));
  });
}

template <class Dot, int Columns>
BUNRAKU_INLINE void multiply_columns(const MatrixPlan& matrix, const std::byte* tile, int first,
                                     int height, const ActivationColumns& x, int column, float* y,
                                     std::int64_t y_stride) {
  constexpr int bytes = dot_bytes<Dot>(), most = Dot::vectors(Columns);
  const auto run = [&](auto width, int v) {
    multiply_tile<Dot, decltype(width)::value, Columns>(
        tile + v * bytes, static_cast<std::int64_t>(height) * bytes, matrix.groups,
        matrix.scale + (first + v) * kLanes, x, column, y + column * y_stride + (first + v) * kLanes,
        y_stride);
  };
  int v = 0;
  for (; v + most <= height; v += most)
    run(Width<most>{}, v);
  if constexpr (most > 4)
    for (; v + 4 <= height; v += 4)
      run(Width<4>{}, v);
  if constexpr (most > 2)
    for (; v + 2 <= height; v += 2)
      run(Width<2>{}, v);
  for (; v < height; ++v)
    run(Width<1>{}, v);
}

// y[c] += W x[c].
template <class Dot>
void multiply(const MatrixPlan& matrix, const ActivationColumns& x, int columns, float* y,
              std::int64_t y_stride) {
  const std::byte* tile = matrix.data;
  for (int first = 0; first < matrix.vectors; first += kTileVectors) {
    const int height = matrix.vectors - first < kTileVectors ? matrix.vectors - first : kTileVectors;
    int c = 0;
    for (; c + 4 <= columns; c += 4)
      multiply_columns<Dot, 4>(matrix, tile, first, height, x, c, y, y_stride);
    for (; c + 2 <= columns; c += 2)
      multiply_columns<Dot, 2>(matrix, tile, first, height, x, c, y, y_stride);
    for (; c < columns; ++c)
      multiply_columns<Dot, 1>(matrix, tile, first, height, x, c, y, y_stride);
    tile += static_cast<std::int64_t>(height) * matrix.groups * dot_bytes<Dot>();
  }
}

// ---- layers -------------------------------------------------------------------------------------

template <class Dot>
BUNRAKU_INLINE void encode(const ActivationColumns& to, int column, const float* x, int groups,
                           float bound) {
  to.scale[column] = Dot::encode(to.words + column * to.stride, x, groups, bound);
}

// `residual` floats of a row that may end in the middle of a register, behind which anything lies.
BUNRAKU_INLINE const float* padded_row(const SamplePlan& plan, const SampleWork& work,
                                       const float* row) {
  if (plan.residual == plan.residual_padded)
    return row;
  std::memcpy(work.row, row, sizeof(float) * static_cast<std::size_t>(plan.residual));
  return work.row;
}

// The condition of one layer and frame, filter and gate alternating as the products give them.
BUNRAKU_INLINE void spread_condition(const SamplePlan& plan, const SampleWork& work,
                                     const float* condition, float* z) {
  for (int part = 0; part < 2; ++part) {
    const float* c = padded_row(plan, work, condition + part * plan.residual);
    for (int i = 0; i < plan.residual_padded; i += kLanes)
      store(z + 2 * i + part * kLanes, load(c + i));
  }
}

#if defined(__GNUC__) || defined(__clang__)
#define BUNRAKU_FETCH(address) __builtin_prefetch(address)
#else
#define BUNRAKU_FETCH(address) static_cast<void>(address)
#endif

BUNRAKU_INLINE const float* condition_of(const SamplePlan& plan, const SampleCall& call, int index,
                                         int stream, int frame) {
  const std::int64_t t = stream * call.frames + call.first + frame;
  return call.condition + (t * plan.layer_count + index) * 2 * plan.residual;
}

// What a layer kept `dilation` frames before frame `ahead` from now.
BUNRAKU_INLINE float* history_of(const SamplePlan& plan, const SampleWork& work,
                                 const SampleCall& call, int index, int stream, int ahead) {
  const SampleLayerPlan& layer = plan.layers[index];
  int slot = work.slots[stream * plan.layer_count + index] + ahead;
  slot -= slot >= layer.dilation ? layer.dilation : 0;
  return call.history + stream * plan.history_floats + layer.history_offset +
         static_cast<std::int64_t>(slot) * plan.residual;
}

// The condition comes from main memory, a layer's at a time: asks for that of a later frame.
BUNRAKU_INLINE void fetch_condition(const SamplePlan& plan, const SampleCall& call, int index,
                                    int frame) {
  if (call.first + frame >= call.frames)
    return;
  for (int b = 0; b < call.batch; ++b) {
    const float* c = condition_of(plan, call, index, b, frame);
    for (int i = 0; i < 2 * plan.residual; i += 16)
      BUNRAKU_FETCH(c + i);
  }
}

// z = condition + W_past x[t - dilation] for frames [frame, frame + count) of the call.
template <class Dot>
void multiply_past(const SamplePlan& plan, const SampleWork& work, const SampleCall& call,
                   int index, int frame, int count) {
  const SampleLayerPlan& layer = plan.layers[index];
  const std::int64_t z_stride = 2 * plan.residual_padded;
  float* z = work.layers[index].z;
  for (int i = 0; i < count; ++i)
    for (int b = 0; b < call.batch; ++b) {
      const int column = i * call.batch + b;
      spread_condition(plan, work, condition_of(plan, call, index, b, frame + i),
                       z + column * z_stride);
      const float* row = history_of(plan, work, call, index, b, i);
      encode<Dot>(work.past, column, padded_row(plan, work, row), layer.past.groups, 0.0f);
    }
  multiply<Dot>(layer.past, work.past, count * call.batch, z, z_stride);
}

// Writes x into the layer's ring, and as activations; moves the ring on. Then x is what the layer's
// residual product is added to.
template <class Dot>
BUNRAKU_INLINE void keep_input(const SamplePlan& plan, const SampleWork& work,
                               const SampleCall& call, int index) {
  const SampleLayerPlan& layer = plan.layers[index];
  for (int b = 0; b < call.batch; ++b) {
    float* x = work.x + static_cast<std::int64_t>(b) * plan.residual_padded;
    float* row = history_of(plan, work, call, index, b, 0);
    int& slot = work.slots[b * plan.layer_count + index];
    slot = slot + 1 == layer.dilation ? 0 : slot + 1;
    encode<Dot>(work.input, b, x, layer.current.groups, 0.0f);
    if (plan.residual == plan.residual_padded)
      for (int i = 0; i < plan.residual; i += kLanes)
        store(row + i, load(x + i));
    else
      std::memcpy(row, x, sizeof(float) * static_cast<std::size_t>(plan.residual));
    for (int i = 0; i < plan.residual_padded; i += kLanes)
      store(x + i, add(load(x + i), load(layer.residual_bias + i)));
  }
}

// h = tanh(filter) * sigmoid(gate), as activations.
template <class Dot>
BUNRAKU_INLINE void gate(const SamplePlan& plan, const SampleWork& work, const float* z, int batch,
                         const ActivationColumns& gated, int groups) {
  for (int b = 0; b < batch; ++b) {
    for (int i = 0; i < plan.residual_padded; i += kLanes)
      store(work.hidden + i, gate_product(load(z + 2 * i), load(z + 2 * i + kLanes)));
    encode<Dot>(gated, b, work.hidden, groups, 1.0f);
    z += 2 * plan.residual_padded;
  }
}

template <class Dot>
void run_layer(const SamplePlan& plan, const SampleWork& work, const SampleCall& call, int index,
               int frame) {
  const SampleLayerPlan& layer = plan.layers[index];
  const LayerScratch& scratch = work.layers[index];
  const int within = frame % scratch.past_frames;
  if (within == 0) {
    const int left = call.count - frame;
    multiply_past<Dot>(plan, work, call, index, frame,
                       left < scratch.past_frames ? left : scratch.past_frames);
  }
  fetch_condition(plan, call, index, frame + kMaxPastFrames);
  keep_input<Dot>(plan, work, call, index);
  const std::int64_t z_stride = 2 * plan.residual_padded;
  float* z = scratch.z + within * call.batch * z_stride;
  multiply<Dot>(layer.current, work.input, call.batch, z, z_stride);
  const ActivationColumns& gated = work.gated[index & 1];
  gate<Dot>(plan, work, z, call.batch, gated, layer.skip.groups);
  if (index + 1 < plan.layer_count)
    multiply<Dot>(layer.residual, gated, call.batch, work.x, plan.residual_padded);
  multiply<Dot>(layer.skip, gated, call.batch, work.skip, plan.skip_padded);
}

// ---- the two ends -------------------------------------------------------------------------------

// A state that a caller filled with anything still names a class.
BUNRAKU_INLINE int class_of(float code, int classes) {
  if (!(code > 0.0f))
    return 0;
  return code < static_cast<float>(classes) ? static_cast<int>(code) : classes - 1;
}

void embed(const SamplePlan& plan, const SampleWork& work, const SampleCall& call) {
  const int n = plan.residual_padded;
  for (int b = 0; b < call.batch; ++b) {
    float* x = work.x + static_cast<std::int64_t>(b) * n;
    const float previous = call.last[2 * b], current = call.last[2 * b + 1];
    if (plan.output == WaveNetOutput::Categorical) {
      const float* p = plan.input_previous + class_of(previous, plan.outputs) * n;
      const float* c = plan.input_current + class_of(current, plan.outputs) * n;
      for (int i = 0; i < n; i += kLanes)
        store(x + i, add(load(p + i), load(c + i)));
    } else {
      const Vec y2 = broadcast(previous), y1 = broadcast(current);
      for (int i = 0; i < n; i += kLanes)
        store(x + i, mul_add(load(plan.input_previous + i), y2,
                             mul_add(load(plan.input_current + i), y1, load(plan.input_bias + i))));
    }
  }
}

BUNRAKU_INLINE void fill_rows(float* to, const float* row, int floats, int batch) {
  for (int b = 0; b < batch; ++b)
    for (int i = 0; i < floats; i += kLanes)
      store(to + static_cast<std::int64_t>(b) * floats + i, load(row + i));
}

template <class Dot>
BUNRAKU_INLINE void rectify(const SampleWork& work, float* rows, int floats, int batch, int groups) {
  for (int b = 0; b < batch; ++b) {
    float* row = rows + static_cast<std::int64_t>(b) * floats;
    for (int i = 0; i < floats; i += kLanes)
      store(row + i, max(load(row + i), zero()));
    encode<Dot>(work.head, b, row, groups, 0.0f);
  }
}

template <class Dot>
void run_head(const SamplePlan& plan, const SampleWork& work, int batch) {
  rectify<Dot>(work, work.skip, plan.skip_padded, batch, plan.out.groups);
  fill_rows(work.hidden, plan.out_bias, plan.hidden_padded, batch);
  multiply<Dot>(plan.out, work.head, batch, work.hidden, plan.hidden_padded);
  rectify<Dot>(work, work.hidden, plan.hidden_padded, batch, plan.end.groups);
  fill_rows(work.logits, plan.end_bias, plan.outputs_padded, batch);
  multiply<Dot>(plan.end, work.head, batch, work.logits, plan.outputs_padded);
}

// e^x for x <= 0, within 2 units in the last place; without branches, so that loops vectorise.
BUNRAKU_INLINE float exp_below_one(float x) {
  const float bounded = x > -87.0f ? x : -87.0f;
  const auto k = static_cast<std::int32_t>(bounded * 1.44269504088896341f - 0.5f);
  const float n = static_cast<float>(k);
  const float r = (bounded - n * 0.693359375f) - n * -2.12194440e-4f; // ln 2 in two parts
  float p = 1.98412698e-4f; // 1/7!, and so on down
  p = p * r + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r * r + r;
  const std::int32_t bits = (k + 127) * (1 << 23);
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return scale * p + scale;
}

BUNRAKU_INLINE float largest(const float* values, int count) {
  int i = 0;
  Vec most = broadcast(values[0]);
  for (; i + kLanes <= count; i += kLanes)
    most = max(most, load(values + i));
  float best = largest_of_lanes(most);
  for (; i < count; ++i)
    best = values[i] > best ? values[i] : best;
  return best;
}

BUNRAKU_INLINE int first_largest(const float* values, int count) {
  const float best = largest(values, count);
  for (int i = 0; i < count; ++i)
    if (values[i] == best)
      return i;
  return 0; // only where all are NaN
}

// The class whose share of [0, 1) holds u, for weights e^(logit / temperature); `logits` become
// those weights. Sums of 16 first: which class it is does not hang on a chain of `count` additions.
int choose_class(float* logits, int count, float temperature, float u) {
  if (temperature == 0.0f)
    return first_largest(logits, count);
  constexpr int block = 16, most_blocks = 64;
  const float best = largest(logits, count);
  const float inverse = temperature > 1e-30f ? 1.0f / temperature : 1e30f;
  for (int i = 0; i < count; ++i)
    logits[i] = exp_below_one((logits[i] - best) * inverse);
  const int width = block * (1 + (count - 1) / (block * most_blocks));
  float sums[most_blocks] = {};
  float total = 0.0f;
  for (int first = 0; first < count; first += width) {
    const int end = first + width < count ? first + width : count;
    float sum = 0.0f;
    for (int i = first; i < end; ++i)
      sum += logits[i];
    sums[first / width] = sum;
    total += sum;
  }
  const float wanted = u * total;
  float below = 0.0f;
  int first = 0;
  while (first + width < count && below + sums[first / width] <= wanted) {
    below += sums[first / width];
    first += width;
  }
  for (int i = first; i < count; ++i) {
    below += logits[i];
    if (below > wanted)
      return i;
  }
  return count - 1;
}

constexpr float kLeastLogScale = -7.0f;

BUNRAKU_INLINE float spread_of(float log_scale) {
  return expf(log_scale > kLeastLogScale ? log_scale : kLeastLogScale);
}

BUNRAKU_INLINE float clamp_to_one(float y) {
  return y > 1.0f ? 1.0f : y < -1.0f ? -1.0f : y;
}

float choose_value(const SamplePlan& plan, float* logits, float temperature, const float* u) {
  if (plan.output == WaveNetOutput::Gaussian) {
    if (temperature == 0.0f)
      return clamp_to_one(logits[0]);
    const float normal = sqrtf(-2.0f * logf(u[0])) * cosf(6.28318530717958648f * u[1]);
    return clamp_to_one(logits[0] + temperature * spread_of(logits[1]) * normal);
  }
  const int components = plan.outputs / 3;
  const int component = choose_class(logits, components, temperature, u[0]);
  const float mean = logits[components + component];
  if (temperature == 0.0f)
    return clamp_to_one(mean);
  const float logistic = logf(u[1]) - log1pf(-u[1]);
  return clamp_to_one(mean + temperature * spread_of(logits[2 * components + component]) * logistic);
}

// ---- log-likelihood of given samples ------------------------------------------------------------

double log_sum_exp(const float* values, int count) {
  const float best = largest(values, count);
  double sum = 0.0;
  for (int i = 0; i < count; ++i)
    sum += exp(static_cast<double>(values[i]) - best);
  return best + log(sum);
}

double logistic_log_density(double y, double mean, double log_scale) {
  const double z = fabs(y - mean) / exp(log_scale);
  return -z - log_scale - 2.0 * log1p(exp(-z));
}

double value_log_density(const SamplePlan& plan, float* logits, float y) {
  const auto bounded = [](float s) { return s > kLeastLogScale ? s : kLeastLogScale; };
  if (plan.output == WaveNetOutput::Gaussian) {
    const double log_scale = bounded(logits[1]);
    const double z = (static_cast<double>(y) - logits[0]) / exp(log_scale);
    return -0.5 * z * z - log_scale - 0.918938533204672742; // log sqrt(2 pi)
  }
  const int components = plan.outputs / 3;
  const double weights = log_sum_exp(logits, components);
  for (int i = 0; i < components; ++i)
    logits[i] = static_cast<float>(logits[i] - weights +
                                   logistic_log_density(y, logits[components + i],
                                                        bounded(logits[2 * components + i])));
  return log_sum_exp(logits, components);
}

void finish_frame(const SamplePlan& plan, const SampleWork& work, const SampleCall& call, int frame) {
  const bool codes = plan.output == WaveNetOutput::Categorical;
  for (int b = 0; b < call.batch; ++b) {
    float* logits = work.logits + static_cast<std::int64_t>(b) * plan.outputs_padded;
    const std::int64_t t = b * call.frames + call.first + frame;
    const float* u = call.uniforms + 4 * (static_cast<std::int64_t>(frame) * call.batch + b);
    float y;
    if (codes) {
      std::int32_t& code = static_cast<std::int32_t*>(call.samples)[t];
      if (call.log_likelihood)
        call.log_likelihood[t] = static_cast<float>(logits[code] - log_sum_exp(logits, plan.outputs));
      else
        code = choose_class(logits, plan.outputs, call.temperature, u[0]);
      y = static_cast<float>(code);
    } else {
      float& value = static_cast<float*>(call.samples)[t];
      if (call.log_likelihood)
        call.log_likelihood[t] = static_cast<float>(value_log_density(plan, logits, value));
      else
        value = choose_value(plan, logits, call.temperature, u);
      y = value;
    }
    call.last[2 * b] = call.last[2 * b + 1];
    call.last[2 * b + 1] = y;
  }
}

template <class Dot>
void run_samples(const SamplePlan& plan, const SampleWork& work, const SampleCall& call) {
  for (int frame = 0; frame < call.count; ++frame) {
    embed(plan, work, call);
    fill_rows(work.skip, plan.skip_bias, plan.skip_padded, call.batch);
    for (int index = 0; index < plan.layer_count; ++index)
      run_layer<Dot>(plan, work, call, index, frame);
    run_head<Dot>(plan, work, call.batch);
    finish_frame(plan, work, call, frame);
  }
}

float read_bytes(const std::byte* p, std::size_t size) {
  constexpr int chains = 8;
  Vec sums[chains];
  for (Vec& sum : sums)
    sum = zero();
  const auto* x = reinterpret_cast<const float*>(p);
  for (std::size_t i = 0; i < size / sizeof(float); i += chains * kLanes)
    for (std::size_t c = 0; c < chains; ++c)
      sums[c] = add(sums[c], load(x + i + c * kLanes));
  for (int c = 1; c < chains; ++c)
    sums[0] = add(sums[0], sums[c]);
  return sum_of_lanes(sums[0]);
}

template <class Bfloat16, class Int8>
constexpr WaveNetSampleKernels kernels_of_this_unit() noexcept {
  return {{run_samples<Float32Dot>, run_samples<Bfloat16>, run_samples<Int8>},
          {Float32Dot::format, Bfloat16::format, Int8::format},
          read_bytes,
          kLanes};
}

} // namespace
} // namespace bunraku_kernels
