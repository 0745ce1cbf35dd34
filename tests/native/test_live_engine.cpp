// The engine's callback: what it plays, what it counts, and that it stays in user space.
#include "audio_thread_guard.hpp"

#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "core/live_engine.hpp"
#include "core/paced_device.hpp"
#include "core/stage.hpp"

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (!ok) {
    std::fprintf(stderr, "failed: %s\n", what);
    ++failures;
  }
}

struct Doubler { // stands for a stream: twice as loud, on every plane
  int channels;
  int busy_us = 0;
  static void process(void* self, const float* const* in, float* const* out,
                      std::uint32_t frames) noexcept {
    const auto& doubler = *static_cast<Doubler*>(self);
    const std::uint64_t end_ns =
        bunraku::monotonic_ns() + static_cast<std::uint64_t>(doubler.busy_us) * 1000u;
    for (int c = 0; c < doubler.channels; ++c) {
      for (std::uint32_t i = 0; i < frames; ++i) {
        out[c][i] = 2.0f * in[c][i];
      }
    }
    while (bunraku::monotonic_ns() < end_ns && doubler.busy_us > 0) {
    }
  }
  bunraku::BlockProcess as_process() { return {this, &Doubler::process}; }
};

bunraku::LiveConfig config_of(int channels, int inputs, int outputs, int most) {
  bunraku::LiveConfig config;
  config.channels = channels;
  config.input_channels = inputs;
  config.output_channels = outputs;
  config.max_block_frames = most;
  config.fade_seconds = 0.0;
  return config;
}

int call(bunraku::LiveEngine& engine, const std::vector<float>& in, std::vector<float>& out,
         int frames, unsigned long flags = 0) {
  return bunraku::bk_live_callback(in.empty() ? nullptr : in.data(), out.data(),
                                   static_cast<unsigned long>(frames), nullptr, flags, &engine);
}

// Of a capture without gaps.
std::size_t read_first(bunraku::LiveEngine& engine, std::vector<float>& into, std::size_t frames) {
  std::uint64_t first_frame = 99;
  const std::size_t got = engine.read_capture(into.data(), frames, &first_frame);
  check(first_frame == 0, "read from the first frame");
  return got;
}

float largest_step(const std::vector<float>& samples) {
  float step = 0.0f;
  for (std::size_t i = 1; i < samples.size(); ++i) {
    step = std::max(step, std::fabs(samples[i] - samples[i - 1]));
  }
  return step;
}

bool silent(const std::vector<float>& samples) {
  return std::all_of(samples.begin(), samples.end(), [](float x) { return x == 0.0f; });
}

void test_channels_and_long_blocks() {
  Doubler mono{1};
  bunraku::LiveEngine engine(config_of(1, 2, 3, 8), mono.as_process(), nullptr);
  std::vector<float> in(40), out(60, 9.0f); // 20 frames through pieces of 8
  for (int i = 0; i < 20; ++i) {
    in[static_cast<std::size_t>(2 * i)] = 0.01f * static_cast<float>(i);
    in[static_cast<std::size_t>(2 * i + 1)] = 0.03f * static_cast<float>(i);
  }
  check(call(engine, in, out, 20) == bunraku::kContinue, "goes on");
  bool right = true;
  for (int i = 0; i < 60; ++i) {
    right = right &&
            std::fabs(out[static_cast<std::size_t>(i)] - 0.04f * static_cast<float>(i / 3)) < 1e-6f;
  }
  check(right, "a mono voice hears the mean and plays on every output");

  Doubler stereo{2};
  bunraku::LiveEngine pair(config_of(2, 2, 2, 8), stereo.as_process(), nullptr);
  std::vector<float> out2(40);
  call(pair, in, out2, 20);
  check(std::fabs(out2[38] - 0.38f) < 1e-6f && std::fabs(out2[39] - 1.14f) < 1e-6f,
        "two voices keep apart");
  check(pair.stats().clipped_samples == 3, "samples beyond full scale are counted");
}

void test_bad_input_and_counters() {
  Doubler mono{1};
  bunraku::LiveEngine engine(config_of(1, 1, 1, 16), mono.as_process(), nullptr);
  std::vector<float> in(16, 0.25f), out(16);
  in[3] = std::numeric_limits<float>::quiet_NaN();
  in[4] = std::numeric_limits<float>::infinity();
  in[5] = std::numeric_limits<float>::max(); // finite, but doubles to infinity
  call(engine, in, out, 16, bunraku::kOutputUnderflow | bunraku::kInputOverflow);
  check(out[3] == 0.0f && out[4] == 0.0f && out[5] == 0.0f && out[6] == 0.5f, "only finite sound");
  call(engine, {}, out, 16, bunraku::kInputUnderflow);
  check(out[6] == 0.0f, "no input is silence");
  const bunraku::LiveStats stats = engine.stats();
  check(stats.non_finite_samples == 3, "three samples were not finite");
  check(stats.callbacks == 2 && stats.frames == 32, "callbacks and frames");
  check(stats.input_underflows == 1 && stats.input_overflows == 1 && stats.output_underflows == 1 &&
            stats.output_overflows == 0,
        "the device's flags");
  check(stats.compute.count == 2 && stats.compute.max_ns > 0, "durations");
  const bunraku::Meter meter = engine.read_output_meter();
  check(meter.peak == 0.5f && meter.rms > 0.0f, "the meter");
  check(engine.read_output_meter().peak == 0.0f, "its peak starts anew with each reading");
}

void test_missed_deadline() {
  Doubler slow{1, 2000};
  bunraku::LiveEngine engine(config_of(1, 1, 1, 16), slow.as_process(), nullptr);
  std::vector<float> in(16), out(16);
  call(engine, in, out, 16); // a third of a millisecond
  check(engine.stats().missed_deadlines == 1, "longer than the block is a miss");
  check(engine.stats().compute.p50_ns >= 2000000, "and measured");
}

void test_fades_source_and_capture() {
  Doubler mono{1};
  bunraku::LiveConfig config = config_of(1, 0, 1, 64);
  config.fade_seconds = 0.002; // 96 frames
  config.capture_seconds = 1.0;
  config.source.assign(1000, 0.25f);
  config.stop_after_frames = 1000;
  bunraku::LiveEngine engine(config, mono.as_process(), nullptr);
  std::vector<float> out(64), all;
  int result = bunraku::kContinue;
  while (result == bunraku::kContinue && all.size() < 5000) {
    result = call(engine, {}, out, 64);
    all.insert(all.end(), out.begin(), out.end());
  }
  check(all.size() == 1024 && engine.finished(), "ends with the block that holds the last frame");
  check(std::fabs(all[0]) < 0.001f && largest_step(all) < 0.01f, "fades in and out without a step");
  check(all[500] == 0.5f && all[1000] == 0.0f, "full in the middle, silent after the end");
  std::vector<float> captured(2 * 2000);
  check(read_first(engine, captured, 2000) == 1024, "every frame was captured");
  bool same = true;
  for (std::size_t i = 0; i < 1000; ++i) {
    same = same && captured[2 * i] == 0.25f && captured[2 * i + 1] == all[i];
  }
  check(same, "input beside output");
  call(engine, {}, out, 64);
  check(engine.stats().frames == 1024, "after the end nothing runs");
  engine.rearm();
  check(!engine.finished(), "and can be armed again");
}

void test_stop_request_and_full_capture() {
  Doubler mono{1};
  bunraku::LiveConfig config = config_of(1, 1, 1, 64);
  config.fade_seconds = 0.001;
  config.capture_seconds = 0.002; // a block and a half
  bunraku::LiveEngine engine(config, mono.as_process(), nullptr);
  std::vector<float> in(64, 0.25f), out(64);
  check(engine.can_capture(64), "an empty ring has room");
  for (int i = 0; i < 5; ++i) {
    check(call(engine, in, out, 64) == bunraku::kContinue, "plays");
  }
  check(engine.stats().capture_dropped_frames > 0 &&
            engine.stats().capture_dropped_frames % 64 == 0 && !engine.can_capture(64),
        "a full capture ring drops whole blocks and counts them");
  engine.request_stop();
  check(call(engine, in, out, 64) == bunraku::kComplete && out[63] == 0.0f, "fades out and ends");
  engine.rearm();
  check(call(engine, in, out, 64) == bunraku::kComplete && out[63] == 0.0f,
        "a stop asked for while the device was away stands");
}

// What did not fit is missing where it was played, not where it was noticed.
void test_captured_frames_keep_their_numbers() {
  Doubler stereo{2};
  bunraku::LiveConfig config = config_of(2, 2, 2, 64);
  config.capture_seconds = 0.01; // 480 frames
  bunraku::LiveEngine engine(config, stereo.as_process(), nullptr);
  std::vector<float> in(2 * 100), out(in.size()), captured(4 * 10000);
  float number = 0.0f;
  const auto play = [&](int blocks) { // of 100 frames, through pieces of 64; a frame is its number
    for (int k = 0; k < blocks; ++k) {
      for (std::size_t i = 0; i < 100; ++i, ++number) {
        in[2 * i] = number;
        in[2 * i + 1] = -number;
      }
      call(engine, in, out, 100);
    }
  };
  std::uint64_t next = 0, gaps = 0, read = 0;
  bool right = true, contiguous = true;
  const auto read_some = [&](std::size_t most) {
    std::uint64_t first = 0;
    const std::size_t got = engine.read_capture(captured.data(), most, &first);
    if (got == 0) {
      return false;
    }
    contiguous = contiguous && first == next;
    gaps += first - next;
    for (std::size_t i = 0; i < got; ++i) {
      const auto wanted = static_cast<float>(first + i);
      const float* frame = captured.data() + 4 * i;
      right = right && frame[0] == wanted && frame[1] == -wanted && frame[2] == 2.0f * wanted &&
              frame[3] == -2.0f * wanted;
    }
    next = first + got;
    read += got;
    return true;
  };
  play(20); // three times as much as fits
  const std::uint64_t lost = engine.stats().capture_dropped_frames;
  check(lost > 0 && read_some(150) && next == 150, "begins with the oldest");
  play(1); // at the other end of the gap
  while (contiguous && read_some(80)) {
  }
  check(gaps == lost && next > 2000, "the gap lies behind what was read from before it");
  play(2);
  while (read_some(10000)) {
  }
  check(right, "every frame under its own number");
  check(next == 2300 && gaps == engine.stats().capture_dropped_frames && read + gaps == 2300,
        "read and lost are all that was played");
  std::uint64_t first = 0;
  check(engine.read_capture(captured.data(), 100, &first) == 0, "then there is no more");
}

void test_mute() {
  Doubler mono{1};
  bunraku::LiveConfig config = config_of(1, 1, 1, 64);
  config.fade_seconds = 0.0;
  config.capture_seconds = 1.0;
  bunraku::LiveEngine engine(config, mono.as_process(), nullptr);
  const std::vector<float> in(64, 0.25f);
  std::vector<float> out(64), all;
  const auto play = [&](int blocks) {
    for (int i = 0; i < blocks; ++i) {
      call(engine, in, out, 64);
      all.insert(all.end(), out.begin(), out.end());
    }
  };
  play(4);
  engine.set_muted(true);
  play(10);
  check(engine.muted() && silent(out), "muted is digital silence");
  engine.set_muted(false);
  play(10);
  check(out[63] == 0.5f, "and back");
  check(largest_step(all) < 0.002f, "without a click: 480 frames of a raised cosine");
  std::vector<float> captured(2 * all.size());
  check(read_first(engine, captured, all.size()) == all.size(), "captured");
  bool same = true;
  for (std::size_t i = 0; i < all.size(); ++i) {
    same = same && captured[2 * i + 1] == all[i];
  }
  check(same, "what is muted is recorded muted");

  bunraku::LiveEngine quiet(config, mono.as_process(), nullptr);
  quiet.set_muted(true);
  call(quiet, in, out, 64);
  check(silent(out), "muted from the first sample");
}

// Plays a constant, 100 ms late, in blocks of one millisecond.
struct DelayedVoice {
  static constexpr std::size_t kDelayFrames = 4800; // 100 ms
  Doubler mono{1};
  bunraku::LiveEngine engine;
  std::vector<float> in = std::vector<float>(48, 0.25f), out = std::vector<float>(48), heard;

  DelayedVoice() : engine(config(), mono.as_process(), nullptr) {
    engine.set_output_delay(kDelayFrames);
  }
  static bunraku::LiveConfig config() {
    bunraku::LiveConfig config = config_of(1, 1, 1, 48);
    config.fade_seconds = 0.010;
    config.capture_seconds = 1.0;
    config.most_delay_seconds = 0.1;
    return config;
  }
  void play(int milliseconds) {
    for (int i = 0; i < milliseconds; ++i) {
      call(engine, in, out, 48);
      heard.insert(heard.end(), out.begin(), out.end());
    }
  }
};

void test_mute_does_not_wait_for_the_delay() {
  DelayedVoice voice;
  voice.play(200);
  check(voice.out[47] == 0.5f, "heard");
  voice.engine.set_muted(true);
  voice.play(11);
  check(silent(voice.out), "10 ms later it is silent, though the delay still holds 100 ms");
  voice.play(139);
  voice.engine.set_muted(false);
  const std::size_t unmuted_at = voice.heard.size();
  voice.play(250);
  check(voice.out[47] == 0.5f, "and back");
  check(largest_step(voice.heard) < 0.003f, "without a click");
  std::vector<float> captured(2 * voice.heard.size());
  const std::size_t frames = read_first(voice.engine, captured, voice.heard.size());
  check(frames == voice.heard.size(), "captured");
  bool recorded_silent = true, recorded_back = true, late = true;
  for (std::size_t i = 210 * 48; i < unmuted_at; ++i) {
    recorded_silent = recorded_silent && captured[2 * i + 1] == 0.0f;
  }
  for (std::size_t i = unmuted_at + 480; i < frames; ++i) {
    recorded_back = recorded_back && captured[2 * i + 1] == 0.5f;
  }
  for (std::size_t i = unmuted_at; i < unmuted_at + DelayedVoice::kDelayFrames; ++i) {
    late = late && voice.heard[i] == 0.0f;
  }
  check(recorded_silent && recorded_back, "what is recorded is muted in the same 10 ms");
  check(late, "what was spoken while muted is never heard");

  voice.engine.request_stop();
  voice.play(20); // faded out; the delay plays on
  voice.engine.set_muted(true);
  voice.play(11);
  check(!voice.engine.finished() && silent(voice.out), "silent while the delay runs out, too");
}

// A device that was lost and is opened again.
void test_rearmed_voice_plays_nothing_old() {
  DelayedVoice voice;
  voice.play(200);
  voice.engine.rearm();
  voice.heard.assign(1, 0.0f);
  voice.play(100);
  check(silent(voice.heard), "what the delay held is not played");
  voice.play(50);
  check(voice.out[47] == 0.5f && largest_step(voice.heard) < 0.003f, "the voice fades in anew");
  check(voice.engine.output_delay_frames() == DelayedVoice::kDelayFrames, "as late as before");

  voice.engine.set_output_delay(480); // while no device calls
  voice.engine.rearm();
  voice.heard.assign(1, 0.0f);
  voice.play(10);
  check(silent(voice.heard) && voice.engine.output_delay_frames() == 480,
        "a delay that changed meanwhile holds from the first frame on");
  voice.play(20);
  check(voice.out[47] == 0.5f && largest_step(voice.heard) < 0.003f, "and fades in");

  voice.engine.set_muted(true); // while no device calls
  voice.engine.rearm();
  voice.heard.clear();
  voice.play(200);
  check(silent(voice.heard), "muted meanwhile: not a sound");
  bunraku::LiveEngine& engine = voice.engine;
  std::vector<float> captured(2 * 48000);
  std::uint64_t first = 0;
  const std::size_t frames = engine.read_capture(captured.data(), 48000, &first);
  bool recorded_silent = first + frames == engine.stats().frames && frames > 200 * 48;
  for (std::size_t i = frames - 200 * 48; i < frames; ++i) {
    recorded_silent = recorded_silent && captured[2 * i + 1] == 0.0f;
  }
  check(recorded_silent, "nor in the recording");
}

void test_output_delay() {
  Doubler mono{1};
  bunraku::LiveConfig config = config_of(1, 1, 1, 32);
  config.fade_seconds = 0.001;
  config.capture_seconds = 1.0;
  config.most_delay_seconds = 0.01; // 480 frames
  bunraku::LiveEngine engine(config, mono.as_process(), nullptr);
  engine.set_output_delay(100000);
  std::vector<float> in(32), out(32), all;
  const auto play = [&](int blocks) {
    for (int i = 0; i < blocks; ++i) {
      for (std::size_t k = 0; k < 32; ++k) { // a slow sine, whose steps are small
        in[k] = 0.4f * std::sin(0.01f * static_cast<float>(engine.stats().frames + k));
      }
      call(engine, in, out, 32);
      all.insert(all.end(), out.begin(), out.end());
    }
  };
  play(100);
  check(engine.output_delay_frames() == 480, "as late as it may be, no more");
  std::vector<float> captured(2 * 3200);
  check(read_first(engine, captured, 3200) == 3200, "captured");
  bool late = true;
  for (std::size_t i = 2000; i < 3200; ++i) {
    late = late && std::fabs(all[i] - captured[2 * (i - 480) + 1]) < 1e-6f;
  }
  check(late, "the output is late by the delay, what is captured is not");
  engine.set_output_delay(100);
  play(100);
  check(engine.output_delay_frames() == 100, "a change is taken");
  check(largest_step(all) < 0.02f, "and does not click");
  engine.set_output_delay(480);
  play(100);
  engine.request_stop();
  play(4); // fades out within two blocks, and the delay still holds 480 frames
  check(!engine.finished() && std::fabs(out[0]) > 1e-4f, "what the delay holds is played");
  play(20);
  check(engine.finished() && out[31] == 0.0f, "then it ends");
  check(largest_step(all) < 0.05f, "faded out");
}

void test_clock_point() {
  Doubler mono{1};
  bunraku::LiveEngine engine(config_of(1, 1, 1, 64), mono.as_process(), nullptr);
  check(engine.clock_point().time_ns == 0, "no callback yet");
  std::vector<float> in(64), out(64);
  const std::uint64_t before_ns = bunraku::monotonic_ns();
  call(engine, in, out, 64);
  call(engine, in, out, 64);
  const bunraku::ClockPoint point = engine.clock_point();
  check(point.frame == 64 && point.time_ns >= before_ns && point.time_ns <= bunraku::monotonic_ns(),
        "the latest callback's first frame, and when");
  std::atomic<bool> stop{false}; // a reader beside the writer never sees half of two points
  bunraku::SharedClockPoint shared;
  std::thread writer([&] {
    for (std::uint64_t i = 1; !stop.load(); ++i) {
      shared.write({i, 3 * i});
    }
  });
  bool whole = true;
  for (int i = 0; i < 100000; ++i) {
    const bunraku::ClockPoint seen = shared.read();
    whole = whole && seen.time_ns == 3 * seen.frame;
  }
  stop.store(true);
  writer.join();
  check(whole, "frame and time belong together");
}

void test_paced_device() {
  Doubler mono{1};
  for (const bool paced : {true, false}) {
    bunraku::LiveConfig config = config_of(1, 0, 1, 128);
    config.source.assign(480, 0.1f);
    config.loop_source = true;
    config.stop_after_frames = paced ? 4800 : 480000;
    bunraku::LiveEngine engine(config, mono.as_process(), nullptr);
    const std::uint64_t begin_ns = bunraku::monotonic_ns();
    bunraku::PacedDevice device(engine, {128, paced});
    device.start();
    while (device.running()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const std::uint64_t took_ns = bunraku::monotonic_ns() - begin_ns;
    device.stop();
    const bunraku::PacedStats stats = device.stats();
    check(stats.blocks == (config.stop_after_frames + 127) / 128, "one call for each block");
    if (paced) {
      check(took_ns >= 99000000, "38 blocks of 2.67 ms cannot take less than their time");
      check(stats.added.count == stats.blocks && stats.added.max_ns >= stats.lateness.max_ns,
            "lateness and added latency are measured for each block");
    } else {
      check(stats.added.count == 0 && stats.underflows == 0, "without a clock nothing is late");
    }
  }
  bunraku::LiveEngine engine(config_of(1, 1, 1, 64), mono.as_process(), nullptr);
  bunraku::PacedDevice endless(engine, {64, true});
  endless.start();
  endless.stop();
  check(!endless.running(), "stops when told");
}

void test_histogram() {
  bunraku::DurationHistogram histogram;
  for (std::uint64_t ns = 1; ns <= 100000; ++ns) {
    histogram.add(ns);
  }
  const bunraku::DurationSummary summary = histogram.summary();
  const auto near = [](std::uint64_t got, double want) {
    return static_cast<double>(got) >= want && static_cast<double>(got) <= 1.016 * want;
  };
  check(summary.count == 100000 && summary.max_ns == 100000, "count and maximum are exact");
  check(near(summary.p50_ns, 50000) && near(summary.p99_ns, 99000) && near(summary.p999_ns, 99900),
        "quantiles are at most 1.6 % high");
  histogram.add(~std::uint64_t{0});
  check(histogram.summary().max_ns == ~std::uint64_t{0}, "the longest duration fits");
  bunraku::DurationHistogram empty;
  check(empty.summary().p99_ns == 0, "nothing counted is zero");
}

#if BUNRAKU_CAN_GUARD
void test_audio_thread_is_clean() {
  Doubler stereo{2};
  bunraku::RingBridge one_deep(2, 64, 48000.0), two_deep(2, 64, 48000.0, 2);
  const std::vector<float> result(128, 0.1f);
  for (std::uint64_t k = 0; k < 4; ++k) { // these arrive, all later ones miss: concealment too
    one_deep.put(k, result.data());
    two_deep.put(k, result.data());
  }
  bunraku::LiveConfig config = config_of(2, 2, 2, 64);
  config.fade_seconds = 0.01;
  config.capture_seconds = 0.05;
  config.most_delay_seconds = 0.1;
  bunraku::LiveEngine first(config, stereo.as_process(), &one_deep);
  bunraku::LiveEngine second(config, stereo.as_process(), &two_deep);
  std::vector<float> in(128, 0.3f), out(128);
  const bunraku::DeviceTimeInfo time{1.0, 1.01, 1.02};
  const auto play = [&](bunraku::LiveEngine& engine) {
    for (int i = 0; i < 200; ++i) {
      engine.set_output_delay(i * 10);
      engine.set_muted(i % 3 == 0);
      bunraku::bk_live_callback(in.data(), out.data(), 64, &time, bunraku::kInputOverflow, &engine);
    }
    engine.request_stop();
    bunraku::bk_live_callback(in.data(), out.data(), 64, &time, 0, &engine);
  };
  using audio_thread_guard::Verdict;
  check(audio_thread_guard::heap_calls_in([] {
          void* volatile block = std::malloc(16);
          std::free(block);
        }) == 2,
        "the heap is watched");
  check(audio_thread_guard::heap_calls_in([&] { play(first); }) == 0,
        "the callback leaves the heap alone");
  const Verdict control = audio_thread_guard::system_calls_in([] { syscall(SYS_getppid); });
  if (control == Verdict::CannotTell) {
    std::puts("live engine: this kernel does not let a process forbid itself system calls");
    return;
  }
  check(control == Verdict::EnteredKernel, "system calls are watched");
  check(audio_thread_guard::system_calls_in([&] { play(second); }) == Verdict::Clean,
        "the callback stays out of the kernel");
}
#endif

} // namespace

int main() {
#if BUNRAKU_CAN_GUARD
  test_audio_thread_is_clean();
#endif
  test_channels_and_long_blocks();
  test_bad_input_and_counters();
  test_missed_deadline();
  test_fades_source_and_capture();
  test_stop_request_and_full_capture();
  test_captured_frames_keep_their_numbers();
  test_mute();
  test_mute_does_not_wait_for_the_delay();
  test_rearmed_voice_plays_nothing_old();
  test_output_delay();
  test_clock_point();
  test_paced_device();
  test_histogram();
  std::puts(failures == 0 ? "live engine: ok" : "live engine: FAILED");
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
