// A value that moves to its target along a straight line, frame by frame, so that turning a knob
// does not click and the result does not depend on how the signal is cut into blocks.
#pragma once

namespace bunraku {

class Glide {
public:
  explicit Glide(int length_frames) noexcept : m_length(length_frames > 0 ? length_frames : 1) {}

  void jump(float value) noexcept {
    m_value = m_target = value;
    m_left = 0;
  }

  void aim(float target) noexcept {
    if (target == m_target)
      return;
    m_target = target;
    m_step = (target - m_value) / static_cast<float>(m_length);
    m_left = m_length;
  }

  bool moving() const noexcept { return m_left > 0; }
  float value() const noexcept { return m_value; }

  float next() noexcept {
    if (m_left > 0)
      m_value = --m_left == 0 ? m_target : m_value + m_step;
    return m_value;
  }

private:
  int m_length;
  int m_left = 0;
  float m_value = 0.0f;
  float m_target = 0.0f;
  float m_step = 0.0f;
};

// 10 ms: short enough to feel immediate, long enough that no step is heard.
inline int glide_frames(double sample_rate_hz) noexcept {
  return static_cast<int>(sample_rate_hz * 0.010 + 0.5);
}

} // namespace bunraku
