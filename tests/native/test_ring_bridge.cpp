// One block of latency whatever happens; a late block is concealed without a step.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "core/ring_bridge.hpp"
#include "core/stage.hpp"

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (!ok) {
    std::fprintf(stderr, "failed: %s\n", what);
    ++failures;
  }
}

constexpr double kRateHz = 48000.0;
constexpr double kSineHz = 440.0;

float sine(int frame) {
  return 0.5f * static_cast<float>(std::sin(2.0 * 3.14159265358979 * kSineHz * frame / kRateHz));
}

void work_once(bunraku::RingBridge& bridge, std::vector<float>& block) {
  std::uint64_t sequence = 0;
  while (bridge.take(&sequence, block.data())) {
    bridge.put(sequence, block.data());
  }
}

// A worker that answers at once, two channels, device blocks that divide the bridge's.
void test_latency(int block, int device_block) {
  bunraku::RingBridge bridge(2, block, kRateHz);
  std::vector<float> left(static_cast<std::size_t>(device_block)), right(left.size());
  std::vector<float> worker_block(static_cast<std::size_t>(2 * block));
  bool exact = true;
  for (int at = 0; at < 20 * block; at += device_block) {
    for (int i = 0; i < device_block; ++i) {
      left[static_cast<std::size_t>(i)] = static_cast<float>(at + i + 1);
      right[static_cast<std::size_t>(i)] = -static_cast<float>(at + i + 1);
    }
    float* planes[] = {left.data(), right.data()};
    bridge.exchange(planes, device_block);
    work_once(bridge, worker_block);
    for (int i = 0; i < device_block; ++i) {
      const float want = static_cast<float>(std::max(at + i + 1 - block, 0));
      exact = exact && left[static_cast<std::size_t>(i)] == want &&
              right[static_cast<std::size_t>(i)] == -want;
    }
  }
  check(exact, "the output is the input, exactly one block later");
  check(bridge.stats().missed == 0, "nothing was missed");
}

// The worker pauses for `gap` blocks in the middle of a sine.
void test_concealment(int block, int gap) {
  bunraku::RingBridge bridge(1, block, kRateHz);
  std::vector<float> plane(static_cast<std::size_t>(block)), worker_block(plane.size());
  std::vector<float> out;
  const int blocks = std::max(48000 / block, 2 * gap + 20);
  for (int k = 0; k < blocks; ++k) {
    for (int i = 0; i < block; ++i) {
      plane[static_cast<std::size_t>(i)] = sine(k * block + i);
    }
    float* planes[] = {plane.data()};
    bridge.exchange(planes, block);
    out.insert(out.end(), plane.begin(), plane.end());
    const bool paused = k >= blocks / 2 && k < blocks / 2 + gap;
    if (!paused) {
      work_once(bridge, worker_block);
    }
  }
  float steepest = 0.0f; // of the sine itself
  float step = 0.0f;
  for (std::size_t i = static_cast<std::size_t>(block) + 1; i < out.size(); ++i) {
    steepest =
        std::max(steepest, std::fabs(sine(static_cast<int>(i)) - sine(static_cast<int>(i) - 1)));
    step = std::max(step, std::fabs(out[i] - out[i - 1]));
  }
  const bunraku::BridgeStats stats = bridge.stats();
  // A ring that was full has lost the newest block as well: one more miss.
  const auto most = static_cast<std::uint64_t>(stats.not_sent > 0 ? gap + 1 : gap);
  check(stats.missed == most, "each late block is counted");
  check(step < 1.1f * steepest, "no step steeper than the sine itself");
  // Results that came late were thrown away: the tail is again exactly one block late.
  bool aligned = true;
  for (std::size_t i = out.size() - static_cast<std::size_t>(block); i < out.size(); ++i) {
    aligned = aligned && std::fabs(out[i] - sine(static_cast<int>(i) - block)) < 1e-6f;
  }
  check(aligned, "the latency has not grown");
  check(stats.late + stats.skipped + stats.not_sent >= static_cast<std::uint64_t>(gap),
        "what came late is accounted for");
}

void test_two_threads() {
  constexpr int kBlock = 64;
  bunraku::RingBridge bridge(1, kBlock, kRateHz);
  std::atomic<bool> stop{false};
  std::thread worker([&] {
    std::vector<float> block(kBlock);
    while (!stop.load()) {
      work_once(bridge, block);
      std::this_thread::yield();
    }
  });
  std::vector<float> plane(kBlock);
  bool ordered = true;
  float last = 0.0f;
  for (int k = 0; k < 5000; ++k) {
    for (int i = 0; i < kBlock; ++i) { // non-negative: a concealed piece may only be quieter
      plane[static_cast<std::size_t>(i)] = static_cast<float>(k);
    }
    float* planes[] = {plane.data()};
    bridge.exchange(planes, kBlock);
    ordered = ordered && plane[kBlock - 1] <= static_cast<float>(k);
    last = plane[kBlock - 1];
    if (k % 4 == 0) {
      std::this_thread::yield();
    }
  }
  stop.store(true);
  worker.join();
  const bunraku::BridgeStats stats = bridge.stats();
  check(ordered, "nothing is played before it was sent");
  check(last <= 4998.0f, "the last block is at most the last but one sent");
  check(stats.blocks == 4999, "every block was asked for once");
}

void test_bad_shape() {
  try {
    bunraku::RingBridge bridge(0, 64, kRateHz);
    check(false, "no channels are refused");
  } catch (const bunraku::Error&) {
  }
}

} // namespace

int main() {
  test_latency(64, 64);
  test_latency(256, 64);
  test_latency(1, 1);
  for (const int gap : {1, 2, 3, 10, 40}) {
    test_concealment(64, gap);
    test_concealment(256, gap);
    test_concealment(1024, gap);
  }
  test_two_threads();
  test_bad_shape();
  std::puts(failures == 0 ? "ring bridge: ok" : "ring bridge: FAILED");
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
