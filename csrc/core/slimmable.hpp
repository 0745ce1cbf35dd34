// Networks of several sizes for the same sound; a voice opens the one that fits the wanted size.
#pragma once

#include <vector>

#include "stage.hpp"

namespace bunraku {

class SlimmableStage final : public Stage {
public:
  SlimmableStage(std::vector<float> max_values, std::vector<std::unique_ptr<const Stage>> networks);
  std::unique_ptr<Voice> open_voice(const VoiceConfig& config) const override;
  int in_channels() const noexcept override { return m_networks.back()->in_channels(); }
  int out_channels() const noexcept override { return m_networks.back()->out_channels(); }
  int receptive_field_frames() const noexcept override; // the longest
  double flop_per_frame() const noexcept override { return m_networks.back()->flop_per_frame(); }
  bool is_fast() const noexcept override;

private:
  std::vector<float> m_max_values;
  std::vector<std::unique_ptr<const Stage>> m_networks;
};

} // namespace bunraku
