// A chain that runs at a rate of its own inside a stream of another: resampled on the way in and
// out, with the same number of frames out as in for every block, and one exact latency.
#pragma once

#include <memory>

#include "polyphase.hpp"
#include "stage.hpp"

namespace bunraku {

class RateStage final : public Stage {
public:
  // Throws Error(BK_ERROR_UNSUPPORTED) where the ratio of the rates is out of reach.
  RateStage(std::shared_ptr<const Stage> chain, double outer_hz, double inner_hz);

  std::unique_ptr<Voice> open_voice(const VoiceConfig& config) const override;
  int latency_frames() const noexcept override { return m_latency_frames; }
  int receptive_field_frames() const noexcept override { return m_receptive_field_frames; }
  double flop_per_frame() const noexcept override;
  bool is_fast() const noexcept override { return m_chain->is_fast(); }

private:
  std::shared_ptr<const Stage> m_chain;
  RateRatio m_in_ratio; // inner / outer
  PolyphaseFilter m_in_filter, m_out_filter;
  int m_latency_frames;
  int m_receptive_field_frames;
};

} // namespace bunraku
