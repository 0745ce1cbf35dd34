// A device made of nothing but time: calls the audio callback at the pace a sound card would.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/duration_histogram.hpp"
#include "core/live_engine.hpp"

namespace bunraku {

struct PacedStats {
  std::uint64_t blocks = 0;
  std::uint64_t underflows = 0; // output not ready when its turn came, one block after its input
  DurationSummary lateness;     // from the block's due time to the callback's begin
  DurationSummary added;        // from the block's due time to its output being ready
  bool realtime_priority = false;
};

// Block k falls due at start + k periods, the moment its last input frame would arrive; its output
// is due one period later. An output that is not ready in time is counted and reported to the next
// callback. A thread that wakes a little late catches up at once; one that is eight periods behind
// has lost them, as with a sound card.
class PacedDevice {
public:
  struct Config {
    int block_frames = 256;
    bool paced = true; // false: as fast as it goes, waiting only for a full capture ring
  };

  PacedDevice(LiveEngine& engine, Config config); // `engine` outlives the device
  ~PacedDevice() { stop(); }
  PacedDevice(const PacedDevice&) = delete;
  PacedDevice& operator=(const PacedDevice&) = delete;

  // Control thread.
  void start();
  void stop(); // returns after the last callback
  // Any thread.
  bool running() const noexcept { return m_running.load(std::memory_order_acquire); }
  PacedStats stats() const noexcept;

private:
  void run() noexcept;
  void run_paced() noexcept;
  void run_fast() noexcept;
  int call(unsigned long flags) noexcept;

  LiveEngine& m_engine;
  const Config m_config;
  std::vector<float> m_in, m_out;
  std::thread m_thread;
  std::atomic<bool> m_running{false}, m_stop{false}, m_realtime{false};
  std::atomic<std::uint64_t> m_blocks{0}, m_underflows{0};
  DurationHistogram m_lateness, m_added;
};

} // namespace bunraku
