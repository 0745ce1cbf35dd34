#include "core/live_engine.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "core/denormals.hpp"
#include "core/stage.hpp"

namespace bunraku {
namespace {

constexpr float kPi = 3.14159265358979f;
constexpr double kMeterSeconds = 0.3;
constexpr double kDelayFadeSeconds = 0.020;
constexpr double kMuteFadeSeconds = 0.010;

LiveConfig checked(LiveConfig config) {
  const auto in_range = [](double value, double least, double most, const char* what) {
    if (!(value >= least && value <= most)) {
      throw Error(BK_ERROR_INVALID_ARGUMENT, std::string(what) + " is " + std::to_string(value) +
                                                 ": use " + std::to_string(least) + " to " +
                                                 std::to_string(most));
    }
  };
  in_range(config.channels, 1, BK_MAX_CHANNELS, "channels");
  in_range(config.input_channels, 0, 256, "input_channels");
  in_range(config.output_channels, 1, 256, "output_channels");
  in_range(config.max_block_frames, 1, BK_MAX_BLOCK_FRAMES, "max_block_frames");
  in_range(config.sample_rate_hz, 8000, 384000, "sample_rate_hz");
  in_range(config.fade_seconds, 0, 10, "fade_seconds");
  in_range(config.capture_seconds, 0, 600, "capture_seconds");
  in_range(config.most_delay_seconds, 0, 10, "most_delay_seconds");
  if (config.source.size() % static_cast<std::size_t>(config.channels) != 0) {
    throw Error(BK_ERROR_INVALID_ARGUMENT, "source is not a whole number of frames");
  }
  return config;
}

std::uint64_t fade_out_frame(const LiveConfig& config) {
  std::uint64_t end = config.stop_after_frames;
  if (end == 0) {
    return std::numeric_limits<std::uint64_t>::max();
  }
  const auto fade = static_cast<std::uint64_t>(config.fade_seconds * config.sample_rate_hz);
  return end > fade ? end - fade : 0;
}

// Of a fade's phase, per frame.
float fade_step(double seconds, const LiveConfig& config) {
  return seconds > 0 ? static_cast<float>(1.0 / (seconds * config.sample_rate_hz)) : 1.0f;
}

// 0 to 1 without a bend at either end.
float raised_cosine(float phase) noexcept {
  return 0.5f - 0.5f * std::cos(kPi * phase);
}

int frames_in(double seconds, const LiveConfig& config) {
  return static_cast<int>(std::lround(seconds * config.sample_rate_hz));
}

template <typename T> void add(std::atomic<std::uint64_t>& counter, T count) noexcept {
  // Only the audio thread writes: no locked instruction needed.
  counter.store(counter.load(std::memory_order_relaxed) + static_cast<std::uint64_t>(count),
                std::memory_order_relaxed);
}

} // namespace

std::uint64_t monotonic_ns() noexcept {
  // libstdc++ and libc++ read CLOCK_MONOTONIC through the vDSO; a test traps the system call.
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::steady_clock::now().time_since_epoch())
                                        .count());
}

LiveEngine::LiveEngine(LiveConfig config, BlockProcess process, RingBridge* bridge)
    : m_config(checked(std::move(config))), m_process(process), m_bridge(bridge),
      m_fade_step(fade_step(m_config.fade_seconds, m_config)),
      m_mute_step(fade_step(kMuteFadeSeconds, m_config)), m_fade_out_at(fade_out_frame(m_config)),
      m_delay(m_config.channels, frames_in(m_config.most_delay_seconds, m_config),
              frames_in(kDelayFadeSeconds, m_config)) {
  if (m_process.process == nullptr) {
    throw Error(BK_ERROR_INVALID_ARGUMENT, "the engine has no process to run");
  }
  if (m_bridge != nullptr && m_bridge->channels() != m_config.channels) {
    throw Error(BK_ERROR_INVALID_ARGUMENT,
                "the bridge has " + std::to_string(m_bridge->channels()) +
                    " channels, the engine " + std::to_string(m_config.channels) +
                    ": give them the same");
  }
  const auto channels = static_cast<std::size_t>(m_config.channels);
  const std::size_t floats = channels * static_cast<std::size_t>(m_config.max_block_frames);
  m_in.resize(floats);
  m_out.resize(floats);
  for (int c = 0; c < m_config.channels; ++c) {
    m_in_planes[static_cast<std::size_t>(c)] = plane(m_in, c);
    m_out_planes[static_cast<std::size_t>(c)] = plane(m_out, c);
  }
  if (m_config.capture_seconds > 0) {
    m_captured.resize(2 * floats);
    const auto frames =
        static_cast<std::size_t>(m_config.capture_seconds * m_config.sample_rate_hz);
    m_capture =
        std::make_unique<CaptureRing>(2 * m_config.channels, frames, m_config.max_block_frames);
  }
}

void LiveEngine::rearm() noexcept {
  m_fade_phase = 0.0f;
  begin_muted_or_not();
  m_delay.clear();
  m_ended = false;
  m_finished.store(false, std::memory_order_release);
}

int LiveEngine::callback(const float* in, float* out, std::uint32_t frames,
                         const DeviceTimeInfo* time, unsigned long flags) noexcept {
  const std::uint64_t begin_ns = monotonic_ns();
  const DenormalsOff denormals_off;
  m_clock.write({m_frames.load(std::memory_order_relaxed), begin_ns});
  count_flags(flags);
  const auto most = static_cast<std::uint32_t>(m_config.max_block_frames);
  for (std::uint32_t done = 0; done < frames;) {
    const std::uint32_t piece = std::min(frames - done, most);
    const float* piece_in =
        in == nullptr ? nullptr
                      : in + std::size_t{done} * static_cast<std::size_t>(m_config.input_channels);
    float* piece_out =
        out == nullptr
            ? nullptr
            : out + std::size_t{done} * static_cast<std::size_t>(m_config.output_channels);
    process_piece(piece_in, piece_out, static_cast<int>(piece));
    done += piece;
  }
  add(m_callbacks, 1);
  if (time != nullptr && time->input_adc_s > 0 && time->output_dac_s > time->input_adc_s) {
    m_round_trip.add(static_cast<std::uint64_t>((time->output_dac_s - time->input_adc_s) * 1e9));
  }
  const std::uint64_t took_ns = monotonic_ns() - begin_ns;
  m_compute.add(took_ns);
  if (static_cast<double>(took_ns) * m_config.sample_rate_hz > 1e9 * static_cast<double>(frames)) {
    add(m_missed, 1);
  }
  return finished() ? kComplete : kContinue;
}

void LiveEngine::process_piece(const float* in, float* out, int frames) noexcept {
  const auto out_floats =
      static_cast<std::size_t>(frames) * static_cast<std::size_t>(m_config.output_channels);
  if (finished()) {
    std::fill_n(out, out == nullptr ? 0 : out_floats, 0.0f);
    return;
  }
  if (m_ended) {
    std::fill(m_out.begin(), m_out.end(), 0.0f);
    drain_delay(frames);
  } else {
    play_piece(in, frames);
  }
  m_delay.process(m_out_planes.data(), frames);
  if (m_delay.most_frames() > 0) {
    apply_mute(m_heard_phase, frames); // the delay may hold what was spoken before
  }
  measure(m_output_meter, m_out, frames);
  write_output(out, frames);
}

// One piece of the performance, as it is recorded: not yet delayed.
void LiveEngine::play_piece(const float* in, int frames) noexcept {
  if (m_frames.load(std::memory_order_relaxed) == 0) {
    begin_muted_or_not();
  }
  if (m_config.source.empty()) {
    read_input(in, frames);
  } else {
    read_source(frames);
  }
  int bad = clean(m_in, frames);
  m_process.process(m_process.context, m_in_planes.data(), m_out_planes.data(),
                    static_cast<std::uint32_t>(frames));
  if (m_bridge != nullptr) {
    m_bridge->exchange(m_out_planes.data(), frames);
  }
  bad += clean(m_out, frames);
  if (bad > 0) {
    add(m_non_finite, bad);
  }
  apply_mute(m_captured_phase, frames);
  apply_fades(frames);
  measure(m_input_meter, m_in, frames);
  capture(frames);
  add(m_frames, frames);
}

// After the end: silence follows what the delay still holds.
void LiveEngine::drain_delay(int frames) noexcept {
  m_drain_frames -= frames;
  if (m_drain_frames <= 0) {
    m_finished.store(true, std::memory_order_release);
  }
}

// A mono voice hears the mean of all the device's channels; several voices take them in turn.
void LiveEngine::read_input(const float* in, int frames) noexcept {
  const int wide = m_config.input_channels;
  for (int c = 0; c < m_config.channels; ++c) {
    float* to = plane(m_in, c);
    if (in == nullptr || wide == 0) {
      std::fill(to, to + frames, 0.0f);
    } else if (m_config.channels == 1 && wide > 1) {
      const float share = 1.0f / static_cast<float>(wide);
      for (int i = 0; i < frames; ++i) {
        float sum = 0.0f;
        for (int k = 0; k < wide; ++k) {
          sum += in[static_cast<std::ptrdiff_t>(i) * wide + k];
        }
        to[i] = sum * share;
      }
    } else {
      for (int i = 0; i < frames; ++i) {
        to[i] = in[static_cast<std::ptrdiff_t>(i) * wide + c % wide];
      }
    }
  }
}

void LiveEngine::read_source(int frames) noexcept {
  const auto channels = static_cast<std::size_t>(m_config.channels);
  const std::size_t total = m_config.source.size() / channels;
  for (int i = 0; i < frames; ++i) {
    if (m_source_frame == total && m_config.loop_source) {
      m_source_frame = 0;
    }
    const bool sounding = m_source_frame < total;
    for (int c = 0; c < m_config.channels; ++c) {
      plane(m_in, c)[i] =
          sounding ? m_config.source[m_source_frame * channels + static_cast<std::size_t>(c)]
                   : 0.0f;
    }
    m_source_frame += sounding ? 1 : 0;
  }
}

int LiveEngine::clean(std::vector<float>& planes, int frames) noexcept {
  int bad = 0;
  for (int c = 0; c < m_config.channels; ++c) {
    float* samples = plane(planes, c);
    for (int i = 0; i < frames; ++i) {
      const bool finite = std::fabs(samples[i]) <= std::numeric_limits<float>::max();
      bad += finite ? 0 : 1;
      samples[i] = finite ? samples[i] : 0.0f;
    }
  }
  return bad;
}

// Before the first sound there is nothing to fade from.
void LiveEngine::begin_muted_or_not() noexcept {
  m_captured_phase = m_heard_phase = muted() ? 0.0f : 1.0f;
}

void LiveEngine::apply_mute(float& phase, int frames) noexcept {
  const float step = muted() ? -m_mute_step : m_mute_step;
  if (step > 0 && phase >= 1.0f) {
    return;
  }
  for (int i = 0; i < frames; ++i) {
    phase = std::clamp(phase + step, 0.0f, 1.0f);
    const float gain = raised_cosine(phase);
    for (int c = 0; c < m_config.channels; ++c) {
      plane(m_out, c)[i] *= gain;
    }
  }
}

void LiveEngine::apply_fades(int frames) noexcept {
  const std::uint64_t first = m_frames.load(std::memory_order_relaxed);
  const bool asked = m_stop_requested.load(std::memory_order_acquire);
  const std::uint64_t end = first + static_cast<std::uint64_t>(frames);
  if (asked || end > m_fade_out_at || m_fade_phase < 1.0f) {
    for (int i = 0; i < frames; ++i) {
      const bool out = asked || first + static_cast<std::uint64_t>(i) >= m_fade_out_at;
      m_fade_phase = std::clamp(m_fade_phase + (out ? -m_fade_step : m_fade_step), 0.0f, 1.0f);
      const float gain = raised_cosine(m_fade_phase);
      for (int c = 0; c < m_config.channels; ++c) {
        plane(m_out, c)[i] *= gain;
      }
    }
  }
  const bool all_played = m_config.stop_after_frames != 0 && end >= m_config.stop_after_frames;
  if (all_played || (asked && m_fade_phase <= 0.0f)) {
    m_ended = true;
    m_drain_frames = m_delay.frames();
    m_finished.store(m_drain_frames == 0, std::memory_order_release);
  }
}

// `out` is null where a device only records.
void LiveEngine::write_output(float* out, int frames) noexcept {
  const int wide = m_config.output_channels;
  int clipped = 0;
  for (int k = 0; k < wide && out != nullptr; ++k) {
    const float* from = plane(m_out, k % m_config.channels);
    for (int i = 0; i < frames; ++i) {
      out[static_cast<std::ptrdiff_t>(i) * wide + k] = from[i];
      clipped += k < m_config.channels && std::fabs(from[i]) > 1.0f ? 1 : 0;
    }
  }
  if (clipped > 0) {
    add(m_clipped, clipped);
  }
}

void LiveEngine::capture(int frames) noexcept {
  if (m_capture == nullptr) {
    return;
  }
  const int wide = 2 * m_config.channels;
  for (int c = 0; c < m_config.channels; ++c) {
    for (int i = 0; i < frames; ++i) {
      float* frame = m_captured.data() + static_cast<std::ptrdiff_t>(i) * wide;
      frame[c] = plane(m_in, c)[i];
      frame[m_config.channels + c] = plane(m_out, c)[i];
    }
  }
  if (!m_capture->write(m_frames.load(std::memory_order_relaxed), m_captured.data(), frames)) {
    add(m_capture_dropped, frames);
  }
}

void LiveEngine::measure(AtomicMeter& meter, const std::vector<float>& planes,
                         int frames) noexcept {
  float peak = 0.0f;
  float sum = 0.0f;
  for (int c = 0; c < m_config.channels; ++c) {
    const float* samples =
        planes.data() + static_cast<std::ptrdiff_t>(c) * m_config.max_block_frames;
    for (int i = 0; i < frames; ++i) {
      peak = std::max(peak, std::fabs(samples[i]));
      sum += samples[i] * samples[i];
    }
  }
  // A reading between these two lines may lose one block's peak: a meter can live with that.
  if (peak > meter.peak.load(std::memory_order_relaxed)) {
    meter.peak.store(peak, std::memory_order_relaxed);
  }
  const float mean = sum / static_cast<float>(frames * m_config.channels);
  const float weight =
      std::min(1.0f, static_cast<float>(frames / (kMeterSeconds * m_config.sample_rate_hz)));
  const float before = meter.mean_square.load(std::memory_order_relaxed);
  meter.mean_square.store(before + weight * (mean - before), std::memory_order_relaxed);
}

Meter LiveEngine::read(AtomicMeter& meter) noexcept {
  return {meter.peak.exchange(0.0f, std::memory_order_relaxed),
          std::sqrt(meter.mean_square.load(std::memory_order_relaxed))};
}

void LiveEngine::count_flags(unsigned long flags) noexcept {
  for (std::size_t bit = 0; bit < m_flagged.size(); ++bit) {
    if ((flags >> bit & 1ul) != 0) {
      add(m_flagged[bit], 1);
    }
  }
}

LiveStats LiveEngine::stats() const noexcept {
  const auto value = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  LiveStats stats;
  stats.callbacks = value(m_callbacks);
  stats.frames = value(m_frames);
  stats.missed_deadlines = value(m_missed);
  stats.input_underflows = value(m_flagged[0]);
  stats.input_overflows = value(m_flagged[1]);
  stats.output_underflows = value(m_flagged[2]);
  stats.output_overflows = value(m_flagged[3]);
  stats.capture_dropped_frames = value(m_capture_dropped);
  stats.clipped_samples = value(m_clipped);
  stats.non_finite_samples = value(m_non_finite);
  stats.compute = m_compute.summary();
  stats.device_round_trip = m_round_trip.summary();
  return stats;
}

std::size_t LiveEngine::read_capture(float* interleaved, std::size_t frames,
                                     std::uint64_t* first_frame) noexcept {
  return m_capture == nullptr ? 0 : m_capture->read(interleaved, frames, first_frame);
}

bool LiveEngine::can_capture(int frames) noexcept {
  return m_capture == nullptr || m_capture->fits(static_cast<std::size_t>(frames));
}

extern "C" int bk_live_callback(const void* in, void* out, unsigned long frames,
                                const DeviceTimeInfo* time, unsigned long flags, void* user) {
  return static_cast<LiveEngine*>(user)->callback(static_cast<const float*>(in),
                                                  static_cast<float*>(out),
                                                  static_cast<std::uint32_t>(frames), time, flags);
}

} // namespace bunraku
