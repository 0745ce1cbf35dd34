#include "gain.hpp"

#include <cmath>

#include "glide.hpp"

namespace bunraku {
namespace {

class GainVoice final : public Voice {
public:
  GainVoice(const float* gain_db, int length_frames) : m_gain_db(gain_db), m_gain(length_frames) {
    settle();
  }

  void process(const float* const* in, float* const* out, int frames) noexcept override {
    m_gain.aim(target());
    const float* source = in[0];
    float* sink = out[0];
    int frame = 0;
    for (; frame < frames && m_gain.moving(); ++frame)
      sink[frame] = m_gain.next() * source[frame];
    const float gain = m_gain.value();
    for (; frame < frames; ++frame)
      sink[frame] = gain * source[frame];
  }

  void reset() noexcept override { settle(); }
  void keep_as_prewarmed() override {}

private:
  // The knob moves seldom and a power is dear: it is taken again only when the knob has moved.
  float target() noexcept {
    if (*m_gain_db != m_last_db) {
      m_last_db = *m_gain_db;
      m_target = std::pow(10.0f, m_last_db / 20.0f);
    }
    return m_target;
  }

  void settle() noexcept { m_gain.jump(target()); }

  const float* m_gain_db;
  float m_last_db = 0.0f;
  float m_target = 1.0f;
  Glide m_gain;
};

} // namespace

GainStage::GainStage(int param_index, double sample_rate_hz)
    : m_param_index(param_index), m_glide_frames(glide_frames(sample_rate_hz)) {}

std::unique_ptr<Voice> GainStage::open_voice(const VoiceConfig& config) const {
  return std::make_unique<GainVoice>(config.params + m_param_index, m_glide_frames);
}

} // namespace bunraku
