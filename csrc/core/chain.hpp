// Effects one after another, one channel wide.
#pragma once

#include <vector>

#include "stage.hpp"

namespace bunraku {

class ChainStage final : public Stage {
public:
  explicit ChainStage(std::vector<std::unique_ptr<const Stage>> nodes);
  std::unique_ptr<Voice> open_voice(const VoiceConfig& config) const override;
  int latency_frames() const noexcept override;
  int receptive_field_frames() const noexcept override;
  double flop_per_frame() const noexcept override;
  bool is_fast() const noexcept override;

private:
  std::vector<std::unique_ptr<const Stage>> m_nodes;
};

} // namespace bunraku
