// One model opened for one stream: the voices of every channel, and the values of the parameters as
// the present block hears them. A stream has one, and two while it crossfades.
#pragma once

#include <memory>
#include <vector>

#include "model.hpp"
#include "parameters.hpp"

namespace bunraku {

struct StreamConfig {
  int channels = 1;
  double sample_rate_hz = 0.0; // 0: the model's
  int max_block_frames = 0;
  int crossfade_frames = 0; // 0: 10 ms
  float size = 1.0f;
};

class Performance {
public:
  // Opens and prewarms. `bank` is loaded with the model's initial values. Control thread.
  Performance(std::shared_ptr<const Model> model, const StreamConfig& config, ParameterBank& bank);

  // Planar, one plane for each channel; in and out must not overlap. Audio thread.
  void process(const float* const* in, float* const* out, int frames) noexcept;

  // Audio thread.
  void reset() noexcept;

  int latency_frames() const noexcept { return m_stage->latency_frames(); }
  int receptive_field_frames() const noexcept { return m_stage->receptive_field_frames(); }

private:
  void take_params() noexcept;

  std::shared_ptr<const Model> m_model;
  std::shared_ptr<const Stage> m_stage; // the model's chain, or a resampler around it
  const ParameterBank& m_bank;
  std::vector<float> m_params; // the voices point into it
  std::vector<std::unique_ptr<Voice>> m_voices;
};

} // namespace bunraku
