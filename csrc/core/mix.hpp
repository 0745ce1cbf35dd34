// MIX: wet * chain(in) + (1 - wet) * in, the dry signal delayed by the chain's latency so that both
// stay in phase. One parameter, "wet".
#pragma once

#include "stage.hpp"

namespace bunraku {

class MixStage final : public Stage {
public:
  MixStage(std::unique_ptr<const Stage> chain, int param_index, double sample_rate_hz);
  std::unique_ptr<Voice> open_voice(const VoiceConfig& config) const override;
  int latency_frames() const noexcept override { return m_chain->latency_frames(); }
  int receptive_field_frames() const noexcept override { return m_chain->receptive_field_frames(); }
  double flop_per_frame() const noexcept override { return m_chain->flop_per_frame(); }
  bool is_fast() const noexcept override { return m_chain->is_fast(); }

private:
  std::unique_ptr<const Stage> m_chain;
  int m_param_index;
  int m_glide_frames;
};

} // namespace bunraku
