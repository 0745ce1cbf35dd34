// Choosing a sample from the network's outputs, by one warp; see reference.py for the definition.
#pragma once

#include "cuda/philox.hpp"
#include "cuda/platform.cuh"
#include "cuda/warp.cuh"
#include "wavenet_sample/network.hpp" // WaveNetOutput

namespace bunraku_kernels {

using namespace bunraku::cuda;

__device__ inline int first_largest(const float* values, int count) {
  float best = -INFINITY;
  int index = 0x7fffffff;
  for (int i = lane_index(); i < count; i += warp_lanes)
    if (values[i] > best) {
      best = values[i];
      index = i;
    }
  const float largest = warp_max(best);
  index = warp_min(best == largest ? index : 0x7fffffff);
  return index < count ? index : 0; // no value is larger than -inf
}

// Each lane sums a run of neighbouring weights e^((v - max) / temperature); the run that holds the
// wanted share is then searched by its lane.
__device__ inline int choose_class(const float* values, int count, float temperature, float u) {
  if (temperature == 0.0f)
    return first_largest(values, count);
  float best = -INFINITY;
  for (int i = lane_index(); i < count; i += warp_lanes)
    best = fmaxf(best, values[i]);
  best = warp_max(best);
  const int run = (count + warp_lanes - 1) / warp_lanes;
  const int first = min(lane_index() * run, count), end = min(first + run, count);
  float sum = 0.0f;
  for (int i = first; i < end; ++i)
    sum += expf((values[i] - best) / temperature);
  const float below_end = warp_inclusive_sum(sum);
  const float wanted = u * warp_broadcast(below_end, warp_lanes - 1);
  const unsigned above = __ballot_sync(full_warp, below_end > wanted);
  const float before = __shfl_up_sync(full_warp, below_end, 1);
  int index = most(end, 1) - 1;
  float below = lane_index() == 0 ? 0.0f : before;
  for (int i = first; i < end; ++i) {
    below += expf((values[i] - best) / temperature);
    if (below > wanted) {
      index = i;
      break;
    }
  }
  return above == 0 ? count - 1 : warp_broadcast(index, __ffs(static_cast<int>(above)) - 1);
}

__device__ inline float spread_of(float log_scale) {
  constexpr float least_log_scale = -7.0f;
  return expf(fmaxf(log_scale, least_log_scale));
}

// Of sample number `time` of random stream `stream`; the same in every lane.
__device__ inline float choose_sample(WaveNetOutput kind, const float* outputs, int count,
                                      float temperature, std::uint64_t seed, std::int64_t time,
                                      std::int64_t stream) {
  const bunraku::UInt32x4 word = bunraku::philox4x32_10(
      {static_cast<std::uint32_t>(time), static_cast<std::uint32_t>(time >> 32),
       static_cast<std::uint32_t>(stream), 0u},
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  const float u0 = bunraku::unit_open(word.x), u1 = bunraku::unit_open(word.y);
  if (kind == WaveNetOutput::Categorical)
    return static_cast<float>(choose_class(outputs, count, temperature, u0));
  float mean = outputs[0], log_scale = outputs[1], noise;
  if (kind == WaveNetOutput::Gaussian) {
    noise = sqrtf(-2.0f * logf(u0)) * cospif(2.0f * u1);
  } else {
    const int components = count / 3;
    const int component = choose_class(outputs, components, temperature, u0);
    mean = outputs[components + component];
    log_scale = outputs[2 * components + component];
    noise = logf(u1) - log1pf(-u1);
  }
  const float y = temperature == 0.0f ? mean : mean + temperature * spread_of(log_scale) * noise;
  return fminf(fmaxf(y, -1.0f), 1.0f);
}

} // namespace bunraku_kernels
