#include "core/paced_device.hpp"

#include <chrono>
#include <string>

#include "core/stage.hpp"

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#include <time.h>
#endif

namespace bunraku {
namespace {

constexpr std::uint64_t kMostPeriodsBehind = 8; // further behind, the clock starts anew

void sleep_until_ns(std::uint64_t due_ns) noexcept {
#if defined(__linux__)
  timespec due{};
  due.tv_sec = static_cast<time_t>(due_ns / 1'000'000'000u);
  due.tv_nsec = static_cast<long>(due_ns % 1'000'000'000u);
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr) != 0) {
  }
#else
  std::this_thread::sleep_until(
      std::chrono::steady_clock::time_point(std::chrono::nanoseconds(due_ns)));
#endif
}

// What a sound server's audio thread has, where this user may have it.
bool take_realtime_priority() noexcept {
#if defined(__linux__)
  sched_param priority{};
  priority.sched_priority = 10;
  return pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) == 0;
#else
  return false;
#endif
}

} // namespace

PacedDevice::PacedDevice(LiveEngine& engine, Config config) : m_engine(engine), m_config(config) {
  const int most = static_cast<int>(BK_MAX_BLOCK_FRAMES);
  if (config.block_frames < 1 || config.block_frames > most) {
    throw Error(BK_ERROR_INVALID_ARGUMENT, "block_frames is " +
                                               std::to_string(config.block_frames) + ": use 1 to " +
                                               std::to_string(most));
  }
  const auto frames = static_cast<std::size_t>(config.block_frames);
  m_in.resize(frames * static_cast<std::size_t>(engine.config().input_channels));
  m_out.resize(frames * static_cast<std::size_t>(engine.config().output_channels));
}

void PacedDevice::start() {
  if (m_thread.joinable()) {
    throw Error(BK_ERROR_INVALID_ARGUMENT, "the paced device runs already: stop it first");
  }
  m_stop.store(false, std::memory_order_relaxed);
  m_running.store(true, std::memory_order_release);
  try {
    m_thread = std::thread([this] { run(); });
  } catch (...) { // no thread to be had: nobody may wait for one
    m_running.store(false, std::memory_order_release);
    throw;
  }
}

void PacedDevice::stop() {
  m_stop.store(true, std::memory_order_release);
  if (m_thread.joinable()) {
    m_thread.join();
  }
}

void PacedDevice::run() noexcept {
  if (m_config.paced) {
    m_realtime.store(take_realtime_priority(), std::memory_order_relaxed);
    run_paced();
  } else {
    run_fast();
  }
  m_running.store(false, std::memory_order_release);
}

int PacedDevice::call(unsigned long flags) noexcept {
  const int result = bk_live_callback(m_in.empty() ? nullptr : m_in.data(), m_out.data(),
                                      static_cast<unsigned long>(m_config.block_frames), nullptr,
                                      flags, &m_engine);
  m_blocks.fetch_add(1, std::memory_order_relaxed);
  return result;
}

void PacedDevice::run_paced() noexcept {
  const double period_ns =
      1e9 * static_cast<double>(m_config.block_frames) / m_engine.config().sample_rate_hz;
  const auto whole_period_ns = static_cast<std::uint64_t>(period_ns);
  std::uint64_t start_ns = monotonic_ns() + whole_period_ns;
  unsigned long flags = 0;
  for (std::uint64_t k = 0; !m_stop.load(std::memory_order_acquire); ++k) {
    const std::uint64_t due_ns =
        start_ns + static_cast<std::uint64_t>(static_cast<double>(k) * period_ns);
    sleep_until_ns(due_ns);
    const std::uint64_t woken_ns = monotonic_ns();
    const int result = call(flags);
    const std::uint64_t ready_ns = monotonic_ns();
    m_lateness.add(woken_ns - due_ns);
    m_added.add(ready_ns - due_ns);
    if (ready_ns - due_ns > kMostPeriodsBehind * whole_period_ns) {
      start_ns += ready_ns - due_ns; // the gap is lost, as it would be with a sound card
    }
    const bool underflow = ready_ns - due_ns > whole_period_ns;
    flags = underflow ? static_cast<unsigned long>(kOutputUnderflow) : 0;
    if (underflow) {
      m_underflows.fetch_add(1, std::memory_order_relaxed);
    }
    if (result == kComplete) {
      return;
    }
  }
}

void PacedDevice::run_fast() noexcept {
  while (!m_stop.load(std::memory_order_acquire)) {
    if (!m_engine.can_capture(m_config.block_frames)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    if (call(0) == kComplete) {
      return;
    }
  }
}

PacedStats PacedDevice::stats() const noexcept {
  PacedStats stats;
  stats.blocks = m_blocks.load(std::memory_order_relaxed);
  stats.underflows = m_underflows.load(std::memory_order_relaxed);
  stats.lateness = m_lateness.summary();
  stats.added = m_added.summary();
  stats.realtime_priority = m_realtime.load(std::memory_order_relaxed);
  return stats;
}

} // namespace bunraku
