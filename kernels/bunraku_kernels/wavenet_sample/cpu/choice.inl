// From the network's outputs to a sample, or to the log-likelihood of a given one, over the Vec of
// the simd header included before.

namespace bunraku_kernels {
namespace {

// e^x for x <= 0, within 2 units in the last place; without branches, so that loops vectorise.
BUNRAKU_INLINE float exp_below_one(float x) {
  const float low = x > -87.0f ? x : -87.0f;
  const float bounded = low < 0.0f ? low : 0.0f;
  const auto k = static_cast<std::int32_t>(bounded * 1.44269504088896341f - 0.5f);
  const float n = static_cast<float>(k);
  const float r = (bounded - n * 0.693359375f) - n * -2.12194440e-4f; // ln 2 in two parts
  float p = 1.98412698e-4f;                                           // 1/7!, and so on down
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
  return clamp_to_one(mean +
                      temperature * spread_of(logits[2 * components + component]) * logistic);
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
    logits[i] = static_cast<float>(
        logits[i] - weights +
        logistic_log_density(y, logits[components + i], bounded(logits[2 * components + i])));
  return log_sum_exp(logits, components);
}

} // namespace
} // namespace bunraku_kernels
