// The layers and the loop over frames, over what the unit included before: the Vec of its simd
// header, product.inl, choice.inl and its own Dot classes.

namespace bunraku_kernels {
namespace {

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
                         int groups) {
  for (int b = 0; b < batch; ++b) {
    for (int i = 0; i < plan.residual_padded; i += kLanes)
      store(work.hidden + i, gate_product(load(z + 2 * i), load(z + 2 * i + kLanes)));
    encode<Dot>(work.gated, b, work.hidden, groups, 1.0f);
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
  gate<Dot>(plan, work, z, call.batch, layer.skip.groups);
  if (index + 1 < plan.layer_count)
    multiply<Dot>(layer.residual, work.gated, call.batch, work.x, plan.residual_padded);
  multiply<Dot>(layer.skip, work.gated, call.batch, work.skip, plan.skip_padded);
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
BUNRAKU_INLINE void rectify(const SampleWork& work, float* rows, int floats, int batch,
                            int groups) {
  for (int b = 0; b < batch; ++b) {
    float* row = rows + static_cast<std::int64_t>(b) * floats;
    for (int i = 0; i < floats; i += kLanes)
      store(row + i, max(load(row + i), zero()));
    encode<Dot>(work.head, b, row, groups, 0.0f);
  }
}

template <class Dot> void run_head(const SamplePlan& plan, const SampleWork& work, int batch) {
  rectify<Dot>(work, work.skip, plan.skip_padded, batch, plan.out.groups);
  fill_rows(work.hidden, plan.out_bias, plan.hidden_padded, batch);
  multiply<Dot>(plan.out, work.head, batch, work.hidden, plan.hidden_padded);
  rectify<Dot>(work, work.hidden, plan.hidden_padded, batch, plan.end.groups);
  fill_rows(work.logits, plan.end_bias, plan.outputs_padded, batch);
  multiply<Dot>(plan.end, work.head, batch, work.logits, plan.outputs_padded);
}

void finish_frame(const SamplePlan& plan, const SampleWork& work, const SampleCall& call,
                  int frame) {
  const bool codes = plan.output == WaveNetOutput::Categorical;
  for (int b = 0; b < call.batch; ++b) {
    float* logits = work.logits + static_cast<std::int64_t>(b) * plan.outputs_padded;
    const std::int64_t t = b * call.frames + call.first + frame;
    const float* u = call.uniforms + 4 * (static_cast<std::int64_t>(frame) * call.batch + b);
    float y;
    if (codes) {
      std::int32_t& code = static_cast<std::int32_t*>(call.samples)[t];
      if (call.log_likelihood)
        call.log_likelihood[t] =
            static_cast<float>(logits[code] - log_sum_exp(logits, plan.outputs));
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
