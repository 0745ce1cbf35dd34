// Which frame the audio hardware was at, and when: written by the audio thread, read by any other.
#pragma once

#include <atomic>
#include <cstdint>

namespace bunraku {

struct ClockPoint {
  std::uint64_t frame = 0;   // the first frame of a block
  std::uint64_t time_ns = 0; // CLOCK_MONOTONIC when the block's callback began; 0: none yet
};

// A sequence lock: the one writer never waits, a reader that meets it half-way looks again.
class SharedClockPoint {
public:
  // Audio thread.
  void write(ClockPoint point) noexcept {
    const std::uint64_t turn = m_turn.load(std::memory_order_relaxed);
    m_turn.store(turn + 1, std::memory_order_relaxed); // odd: being written
    std::atomic_thread_fence(std::memory_order_release);
    m_frame.store(point.frame, std::memory_order_relaxed);
    m_time_ns.store(point.time_ns, std::memory_order_relaxed);
    m_turn.store(turn + 2, std::memory_order_release);
  }

  // Any thread.
  ClockPoint read() const noexcept {
    for (;;) {
      const std::uint64_t before = m_turn.load(std::memory_order_acquire);
      const ClockPoint point{m_frame.load(std::memory_order_relaxed),
                             m_time_ns.load(std::memory_order_relaxed)};
      std::atomic_thread_fence(std::memory_order_acquire);
      if ((before & 1u) == 0 && m_turn.load(std::memory_order_relaxed) == before) {
        return point;
      }
    }
  }

private:
  std::atomic<std::uint64_t> m_turn{0}, m_frame{0}, m_time_ns{0};
};

} // namespace bunraku
