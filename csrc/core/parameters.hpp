// Parameters of a model (what there is to turn) and of a stream (where it stands).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace bunraku {

constexpr std::uint32_t kMaxParams = 256; // of one model

struct ParamInfo {
  std::string name; // "0.gain_db": the chain's first effect; nested chains add their own index
  const char* unit = "";
  float minimum = 0.0f;
  float maximum = 0.0f;
  float initial = 0.0f;
};

// What any thread writes and the audio thread reads. A stream owns two: one is heard, the other
// belongs to the model that a swap brings in.
class ParameterBank {
public:
  // Control thread, while no performance reads this bank.
  void load(const std::vector<ParamInfo>& params) noexcept {
    m_count.store(0, std::memory_order_relaxed);
    for (std::size_t i = 0; i < params.size(); ++i) {
      m_values[i].store(params[i].initial, std::memory_order_relaxed);
      m_minima[i].store(params[i].minimum, std::memory_order_relaxed);
      m_maxima[i].store(params[i].maximum, std::memory_order_relaxed);
    }
    m_count.store(static_cast<std::uint32_t>(params.size()), std::memory_order_release);
  }

  std::uint32_t count() const noexcept { return m_count.load(std::memory_order_acquire); }
  float minimum(std::uint32_t i) const noexcept {
    return m_minima[i].load(std::memory_order_relaxed);
  }
  float maximum(std::uint32_t i) const noexcept {
    return m_maxima[i].load(std::memory_order_relaxed);
  }
  float value(std::uint32_t i) const noexcept {
    return m_values[i].load(std::memory_order_relaxed);
  }
  void set(std::uint32_t i, float value) noexcept {
    m_values[i].store(value, std::memory_order_relaxed);
  }

private:
  std::atomic<std::uint32_t> m_count{0};
  std::array<std::atomic<float>, kMaxParams> m_values{};
  std::array<std::atomic<float>, kMaxParams> m_minima{};
  std::array<std::atomic<float>, kMaxParams> m_maxima{};
};

} // namespace bunraku
