// GAIN: one parameter, "gain_db", which glides in linear gain.
#pragma once

#include "stage.hpp"

namespace bunraku {

class GainStage final : public Stage {
public:
  GainStage(int param_index, double sample_rate_hz);
  std::unique_ptr<Voice> open_voice(const VoiceConfig& config) const override;

private:
  int m_param_index;
  int m_glide_frames;
};

} // namespace bunraku
