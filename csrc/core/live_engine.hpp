// One performance on the audio thread: what an audio device's callback runs, and what it counts.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "bunraku/bunraku.h"
#include "core/capture_ring.hpp"
#include "core/clock_point.hpp"
#include "core/duration_histogram.hpp"
#include "core/ring_bridge.hpp"
#include "core/sync_delay.hpp"

namespace bunraku {

// The three types of PortAudio's callback, by its public documentation; PortAudio is not linked.
struct DeviceTimeInfo {
  double input_adc_s;  // when the block's first input frame was captured
  double current_s;    // when the callback was called
  double output_dac_s; // when the block's first output frame will be heard
};
enum DeviceFlag : unsigned long {
  kInputUnderflow = 1,
  kInputOverflow = 2,
  kOutputUnderflow = 4,
  kOutputOverflow = 8,
};
enum CallbackResult : int { kContinue = 0, kComplete = 1 };

// What the engine runs on each piece of a block; the C ABI's bk_stream_process fits. The core does
// not know the ABI's home, so the caller hands the function in.
struct BlockProcess {
  void* context = nullptr;
  void (*process)(void* context, const float* const* in, float* const* out,
                  std::uint32_t frames) noexcept = nullptr;
};

struct LiveConfig {
  int channels = 1;        // voices: planes the process works on
  int input_channels = 1;  // interleaved, as the device delivers; 0: no input, or from `source`
  int output_channels = 1; // interleaved, as the device takes
  int max_block_frames = 256;
  double sample_rate_hz = 48000.0;
  double fade_seconds = 0.010;     // in at the start, out at the stop
  double capture_seconds = 0.0;    // 0: nothing is captured
  double most_delay_seconds = 0.0; // how late set_output_delay may make the output
  std::vector<float> source;       // interleaved by `channels`; empty: the device's input
  bool loop_source = false;
  std::uint64_t stop_after_frames = 0; // fade out so that this many frames are played; 0: never
};

struct LiveStats {
  std::uint64_t callbacks = 0;
  std::uint64_t frames = 0;
  std::uint64_t missed_deadlines = 0; // processing took longer than the block lasts
  std::uint64_t input_underflows = 0, input_overflows = 0, output_underflows = 0,
                output_overflows = 0; // callbacks that the device flagged
  std::uint64_t capture_dropped_frames = 0;
  std::uint64_t clipped_samples = 0;    // output beyond full scale
  std::uint64_t non_finite_samples = 0; // NaN or infinity in input or output, taken as 0
  DurationSummary compute;              // time inside the callback
  DurationSummary device_round_trip;    // output_dac_s - input_adc_s, where the device says so
};

struct Meter {
  float peak = 0.0f; // since the last reading
  float rms = 0.0f;  // over about 0.3 s
};

// Control thread: make, start, read, stop. Audio thread: callback() only, which never allocates,
// locks, logs or enters the kernel (its clock is read in user space).
class LiveEngine {
public:
  // `bridge` may be null; it and the context of `process` outlive the engine.
  LiveEngine(LiveConfig config, BlockProcess process, RingBridge* bridge);

  int callback(const float* in, float* out, std::uint32_t frames, const DeviceTimeInfo* time,
               unsigned long flags) noexcept;

  // Control thread, while no device calls: fade in anew (after a device was reopened), and play
  // nothing of what was delayed before. A stop that was requested meanwhile stands.
  void rearm() noexcept;
  // Any thread: play later by so many frames, at most `most_delay_seconds`; a change crossfades
  // over 20 ms. What is captured is not delayed.
  void set_output_delay(int frames) noexcept { m_delay.aim(frames); }
  int output_delay_frames() const noexcept { return m_delay.frames(); }
  // Any thread: silence, and back, by a fade of 10 ms. What is heard and what is captured are
  // silent at the same time, whatever the output delay.
  void set_muted(bool muted) noexcept { m_muted.store(muted, std::memory_order_relaxed); }
  bool muted() const noexcept { return m_muted.load(std::memory_order_relaxed); }
  // Any thread: the latest callback's first frame, and when it was called.
  ClockPoint clock_point() const noexcept { return m_clock.read(); }
  // Any thread: fade out, then play silence and answer kComplete.
  void request_stop() noexcept { m_stop_requested.store(true, std::memory_order_release); }
  // Any thread: faded out, by request or at the end of the source.
  bool finished() const noexcept { return m_finished.load(std::memory_order_acquire); }

  LiveStats stats() const noexcept; // any thread
  Meter read_input_meter() noexcept { return read(m_input_meter); }
  Meter read_output_meter() noexcept { return read(m_output_meter); }

  // One recording thread: up to `frames` frames of 2 x channels (in, then out) that were played one
  // after the other, the first of them number `*first_frame`; returns how many. Where frames did
  // not fit it ends, and the next call goes on behind them.
  std::size_t read_capture(float* interleaved, std::size_t frames,
                           std::uint64_t* first_frame) noexcept;
  // The thread that calls callback(): can a block of `frames` be captured whole?
  bool can_capture(int frames) noexcept;

  const LiveConfig& config() const noexcept { return m_config; }

private:
  using Counter = std::atomic<std::uint64_t>;
  struct AtomicMeter {
    std::atomic<float> peak{0.0f};
    std::atomic<float> mean_square{0.0f};
  };

  void process_piece(const float* in, float* out, int frames) noexcept;
  void play_piece(const float* in, int frames) noexcept;
  void drain_delay(int frames) noexcept;
  void read_input(const float* in, int frames) noexcept;
  void read_source(int frames) noexcept;
  void begin_muted_or_not() noexcept;
  void apply_mute(float& phase, int frames) noexcept;
  void apply_fades(int frames) noexcept;
  void write_output(float* out, int frames) noexcept;
  void capture(int frames) noexcept;
  int clean(std::vector<float>& planes, int frames) noexcept;
  void measure(AtomicMeter& meter, const std::vector<float>& planes, int frames) noexcept;
  void count_flags(unsigned long flags) noexcept;
  float* plane(std::vector<float>& planes, int channel) const noexcept {
    return planes.data() + static_cast<std::ptrdiff_t>(channel) * m_config.max_block_frames;
  }
  static Meter read(AtomicMeter& meter) noexcept;

  const LiveConfig m_config;
  const BlockProcess m_process;
  RingBridge* const m_bridge;
  const float m_fade_step; // of the fade's phase, per frame
  const float m_mute_step;
  const std::uint64_t m_fade_out_at; // the frame at which the last fade begins

  // Audio thread only.
  std::vector<float> m_in, m_out, m_captured;
  std::array<const float*, BK_MAX_CHANNELS> m_in_planes{};
  std::array<float*, BK_MAX_CHANNELS> m_out_planes{};
  std::size_t m_source_frame = 0;
  float m_fade_phase = 0.0f;     // 0 silent to 1 full
  float m_captured_phase = 1.0f; // of the mute, before the delay
  float m_heard_phase = 1.0f;    // and after it
  bool m_ended = false;          // faded out; what the delay still holds is to be played
  int m_drain_frames = 0;
  SyncDelay m_delay;

  SharedClockPoint m_clock;
  std::unique_ptr<CaptureRing> m_capture;
  std::atomic<bool> m_muted{false};
  std::atomic<bool> m_stop_requested{false};
  std::atomic<bool> m_finished{false};
  Counter m_callbacks{0}, m_frames{0}, m_missed{0}, m_capture_dropped{0}, m_clipped{0},
      m_non_finite{0};
  std::array<Counter, 4> m_flagged{};
  DurationHistogram m_compute, m_round_trip;
  AtomicMeter m_input_meter, m_output_meter;
};

// The function an audio device calls: PortAudio's PaStreamCallback, `user` being the LiveEngine.
extern "C" int bk_live_callback(const void* in, void* out, unsigned long frames,
                                const DeviceTimeInfo* time, unsigned long flags, void* user);

// CLOCK_MONOTONIC in nanoseconds, read without entering the kernel (vDSO).
std::uint64_t monotonic_ns() noexcept;

} // namespace bunraku
