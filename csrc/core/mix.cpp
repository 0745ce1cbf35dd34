#include "mix.hpp"

#include "delay_line.hpp"
#include "glide.hpp"

namespace bunraku {
namespace {

class MixVoice final : public Voice {
public:
  MixVoice(std::unique_ptr<Voice> chain, int latency_frames, const float* wet, int length_frames,
           int max_block_frames)
      : m_chain(std::move(chain)), m_delay(latency_frames), m_wet(wet), m_glide(length_frames),
        m_dry(static_cast<std::size_t>(max_block_frames)) {
    m_glide.jump(*wet);
  }

  void process(const float* const* in, float* const* out, int frames) noexcept override {
    m_glide.aim(*m_wet);
    m_delay.process(in[0], m_dry.data(), frames); // first: out may be in
    m_chain->process(in, out, frames);
    float* sink = out[0];
    const float* dry = m_dry.data();
    int frame = 0;
    for (; frame < frames && m_glide.moving(); ++frame)
      sink[frame] = blend(m_glide.next(), sink[frame], dry[frame]);
    const float wet = m_glide.value();
    for (; frame < frames; ++frame)
      sink[frame] = blend(wet, sink[frame], dry[frame]);
  }

  void reset() noexcept override {
    m_chain->reset();
    m_delay.restore();
    m_glide.jump(*m_wet);
  }

  void keep_as_prewarmed() override {
    m_chain->keep_as_prewarmed();
    m_delay.keep();
  }

private:
  static float blend(float wet, float processed, float dry) noexcept {
    return wet * processed + (1.0f - wet) * dry;
  }

  std::unique_ptr<Voice> m_chain;
  DelayLine m_delay;
  const float* m_wet;
  Glide m_glide;
  std::vector<float> m_dry;
};

} // namespace

MixStage::MixStage(std::unique_ptr<const Stage> chain, int param_index, double sample_rate_hz)
    : m_chain(std::move(chain)), m_param_index(param_index),
      m_glide_frames(glide_frames(sample_rate_hz)) {}

std::unique_ptr<Voice> MixStage::open_voice(const VoiceConfig& config) const {
  return std::make_unique<MixVoice>(m_chain->open_voice(config), m_chain->latency_frames(),
                                    config.params + m_param_index, m_glide_frames,
                                    config.max_block_frames);
}

} // namespace bunraku
