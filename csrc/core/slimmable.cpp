#include "slimmable.hpp"

#include <algorithm>

namespace bunraku {

SlimmableStage::SlimmableStage(std::vector<float> max_values,
                               std::vector<std::unique_ptr<const Stage>> networks)
    : m_max_values(std::move(max_values)), m_networks(std::move(networks)) {}

std::unique_ptr<Voice> SlimmableStage::open_voice(const VoiceConfig& config) const {
  std::size_t chosen = 0;
  while (chosen + 1 < m_networks.size() && !(m_max_values[chosen] > config.size))
    ++chosen;
  return m_networks[chosen]->open_voice(config);
}

int SlimmableStage::receptive_field_frames() const noexcept {
  int longest = 1;
  for (const auto& network : m_networks)
    longest = std::max(longest, network->receptive_field_frames());
  return longest;
}

bool SlimmableStage::is_fast() const noexcept {
  return std::all_of(m_networks.begin(), m_networks.end(),
                     [](const auto& network) { return network->is_fast(); });
}

} // namespace bunraku
