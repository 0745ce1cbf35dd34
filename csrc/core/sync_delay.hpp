// The delay that keeps a voice in step with a slower picture: its length changes while it plays.
#pragma once

#include <atomic>
#include <vector>

namespace bunraku {

// Each change crossfades from the old tap to the new one, so that no sample jumps; one that comes
// while another fades waits for its turn, and of several waiting the newest counts.
class SyncDelay {
public:
  // most_frames 0: always passes through.
  SyncDelay(int channels, int most_frames, int fade_frames);

  int most_frames() const noexcept { return m_most; }

  // Any thread: aim at this delay, at most `most_frames`.
  void aim(int frames) noexcept;

  // Any thread: the delay that sounds, or that is being faded to.
  int frames() const noexcept { return m_to.load(std::memory_order_relaxed); }

  // While no audio thread runs: forget what is held; the delay aimed at sounds at once.
  void clear() noexcept;

  // Audio thread: planar, in place.
  void process(float* const* planes, int frames) noexcept;

private:
  float tap(int channel, int delay) const noexcept;

  const int m_channels;
  const int m_most;
  const int m_fade_frames;
  std::vector<float> m_ring; // [channel][time]
  std::size_t m_length;      // of a channel's ring
  std::size_t m_now = 0;     // where the present frame is written
  int m_from = 0;
  int m_fade_left = 0;
  std::atomic<int> m_to{0}, m_aim{0};
};

} // namespace bunraku
