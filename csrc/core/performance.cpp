#include "performance.hpp"

#include <algorithm>

#include "denormals.hpp"
#include "resampler.hpp"

namespace bunraku {
namespace {

bool all_finite(const float* samples, int frames) noexcept {
  // x - x is 0 for every finite x and NaN for the others: one branch for the block, not for a
  // frame.
  float witness = 0.0f;
  for (int frame = 0; frame < frames; ++frame)
    witness += samples[frame] - samples[frame];
  return witness == 0.0f;
}

std::shared_ptr<const Stage> stage_at(double sample_rate_hz, const Model& model) {
  if (sample_rate_hz == model.sample_rate_hz())
    return model.chain();
  return std::make_shared<RateStage>(model.chain(), sample_rate_hz, model.sample_rate_hz());
}

} // namespace

Performance::Performance(std::shared_ptr<const Model> model, const StreamConfig& config,
                         ParameterBank& bank)
    : m_model(std::move(model)), m_stage(stage_at(config.sample_rate_hz, *m_model)), m_bank(bank),
      m_params(m_model->params().size()) {
  const DenormalsOff denormals_off; // prewarming decays towards zero too
  bank.load(m_model->params());
  take_params();
  VoiceConfig voice;
  voice.max_block_frames = config.max_block_frames;
  voice.size = config.size;
  voice.params = m_params.data();
  for (int channel = 0; channel < config.channels; ++channel)
    m_voices.push_back(m_stage->open_voice(voice));
}

void Performance::take_params() noexcept {
  const std::vector<ParamInfo>& known = m_model->params();
  for (std::size_t i = 0; i < m_params.size(); ++i) {
    // A bank serves one model after another: a thread that was stopped between checking a value
    // and storing it may store what another model's range allowed.
    const float value = m_bank.value(static_cast<std::uint32_t>(i));
    m_params[i] = std::clamp(value, known[i].minimum, known[i].maximum);
  }
}

void Performance::process(const float* const* in, float* const* out, int frames) noexcept {
  take_params();
  for (std::size_t channel = 0; channel < m_voices.size(); ++channel) {
    m_voices[channel]->process(in + channel, out + channel, frames);
    // A wild network can overflow, and what is not finite then goes round in its state for ever.
    // The voice goes back to its prewarmed state and this block is silent: a gap, not a dead
    // stream.
    if (!all_finite(out[channel], frames)) {
      m_voices[channel]->reset();
      std::fill(out[channel], out[channel] + frames, 0.0f);
    }
  }
}

void Performance::reset() noexcept {
  take_params();
  for (const auto& voice : m_voices)
    voice->reset();
}

} // namespace bunraku
