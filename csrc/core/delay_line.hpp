// A delay of a fixed number of frames. Audio thread, once it is made.
#pragma once

#include <algorithm>
#include <vector>

namespace bunraku {

class DelayLine {
public:
  explicit DelayLine(int delay_frames) : m_ring(static_cast<std::size_t>(delay_frames), 0.0f) {}

  // in and out may be the same plane.
  void process(const float* in, float* out, int frames) noexcept {
    if (m_ring.empty()) {
      std::copy(in, in + frames, out);
      return;
    }
    for (int frame = 0; frame < frames; ++frame) {
      const float delayed = m_ring[m_position];
      m_ring[m_position] = in[frame];
      out[frame] = delayed;
      if (++m_position == m_ring.size())
        m_position = 0;
    }
  }

  // Control thread.
  void keep() { m_kept = m_ring; }

  // Back to what was kept (at first silence). A kept delay holds one value for ever, so where in
  // the ring it begins does not matter.
  void restore() noexcept { std::copy(m_kept.begin(), m_kept.end(), m_ring.begin()); }

private:
  std::vector<float> m_ring, m_kept = m_ring;
  std::size_t m_position = 0;
};

} // namespace bunraku
