// One performance's stream: what bk_stream is. The audio thread calls process() and reset(); a
// control thread swaps models under it; any thread turns parameters. Nothing here locks:
// performances travel between the threads by atomic pointer, and only the control thread allocates
// and frees.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "performance.hpp"

namespace bunraku {

class Stream {
public:
  // Throws Error. Control thread.
  Stream(std::shared_ptr<const Model> model, const StreamConfig& config);
  // Control thread; no other call may be running.
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Audio thread.
  bk_status process(const float* const* in, float* const* out, std::uint32_t frames) noexcept;
  bk_status process_interleaved(const float* in, float* out, std::uint32_t frames) noexcept;
  void reset() noexcept;

  // Control thread. swap() throws Error(BK_ERROR_BUSY) while another is in progress.
  void swap(std::shared_ptr<const Model> model);
  bool swap_pending();

  // Any thread. The values belong to the newest accepted model.
  bk_status set_param(std::uint32_t index, float value) noexcept;
  bk_status get_param(std::uint32_t index, float& value) const noexcept;
  // The newest accepted model's; until its crossfade begins the old one's latency is still heard.
  std::uint32_t latency_frames() const noexcept {
    return m_latency_frames.load(std::memory_order_relaxed);
  }

  const StreamConfig& config() const noexcept { return m_config; }

private:
  const ParameterBank& newest_bank() const noexcept {
    return m_banks[m_newest_bank.load(std::memory_order_acquire)];
  }
  void free_retired() noexcept;

  // Audio thread.
  void run(float* const* out, int frames) noexcept; // from m_input
  void adopt_incoming() noexcept;
  void blend(float* const* out, int frames) noexcept;
  void retire_active() noexcept;

  StreamConfig m_config;
  std::array<ParameterBank, 2> m_banks;
  std::atomic<std::uint32_t> m_newest_bank{0};
  std::atomic<std::uint32_t> m_latency_frames{0};

  // Between the threads.
  std::atomic<Performance*> m_incoming{nullptr}; // control gives, audio takes
  std::atomic<Performance*> m_retired{nullptr};  // audio gives, control frees
  std::atomic<bool> m_swap_in_progress{false};

  // The audio thread's own.
  Performance* m_active = nullptr;
  Performance* m_next = nullptr;
  int m_preroll_left = 0; // frames for which m_next listens before it is heard
  int m_fade_position = 0;
  std::vector<float> m_fade_in; // sin over a quarter turn; read backwards it is the fade-out
  std::vector<float> m_input_samples, m_next_samples, m_planar_samples;
  std::vector<float*> m_input, m_next_output, m_planar_output;
};

} // namespace bunraku
