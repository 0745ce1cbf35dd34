#include "core/sync_delay.hpp"

#include <algorithm>
#include <cmath>

namespace bunraku {
namespace {
constexpr float kHalfPi = 1.57079632679489662f;
}

SyncDelay::SyncDelay(int channels, int most_frames, int fade_frames)
    : m_channels(channels), m_most(std::max(0, most_frames)),
      m_fade_frames(std::max(1, fade_frames)), m_length(static_cast<std::size_t>(m_most) + 1) {
  m_ring.assign(m_length * static_cast<std::size_t>(channels), 0.0f);
}

void SyncDelay::aim(int frames) noexcept {
  m_aim.store(std::clamp(frames, 0, m_most), std::memory_order_relaxed);
}

void SyncDelay::clear() noexcept {
  std::fill(m_ring.begin(), m_ring.end(), 0.0f);
  m_fade_left = 0;
  m_to.store(m_aim.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

float SyncDelay::tap(int channel, int delay) const noexcept {
  const auto back = static_cast<std::size_t>(delay);
  const std::size_t at = m_now >= back ? m_now - back : m_now + m_length - back;
  return m_ring[static_cast<std::size_t>(channel) * m_length + at];
}

void SyncDelay::process(float* const* planes, int frames) noexcept {
  if (m_most == 0) {
    return;
  }
  int to = m_to.load(std::memory_order_relaxed);
  for (int i = 0; i < frames; ++i) {
    if (m_fade_left == 0) {
      const int aim = m_aim.load(std::memory_order_relaxed);
      m_from = to;
      m_fade_left = aim == to ? 0 : m_fade_frames;
      to = aim;
    }
    // Equal power: what is heard at two moments of a voice is not alike.
    const float phase =
        kHalfPi * static_cast<float>(m_fade_left) / static_cast<float>(m_fade_frames);
    const float new_gain = m_fade_left == 0 ? 1.0f : std::cos(phase);
    const float old_gain = m_fade_left == 0 ? 0.0f : std::sin(phase);
    for (int c = 0; c < m_channels; ++c) {
      m_ring[static_cast<std::size_t>(c) * m_length + m_now] = planes[c][i];
      planes[c][i] = new_gain * tap(c, to);
      if (m_fade_left > 0) {
        planes[c][i] += old_gain * tap(c, m_from);
      }
    }
    m_now = m_now + 1 == m_length ? 0 : m_now + 1;
    m_fade_left -= m_fade_left > 0 ? 1 : 0;
  }
  m_to.store(to, std::memory_order_relaxed);
}

} // namespace bunraku
