// Exactly the declared latency whatever happens; a late block is concealed without a step.
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
void test_latency(int block, int device_block, int depth) {
  bunraku::RingBridge bridge(2, block, kRateHz, depth);
  check(bridge.latency_frames() == depth * block, "declares its depth");
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
      const float want = static_cast<float>(std::max(at + i + 1 - depth * block, 0));
      exact = exact && left[static_cast<std::size_t>(i)] == want &&
              right[static_cast<std::size_t>(i)] == -want;
    }
  }
  check(exact, "the output is the input, exactly its latency later");
  check(bridge.stats().missed == 0, "nothing was missed");
}

// A device that calls for `row` blocks at once and then pauses, in which the worker does them all.
void test_rows(int row, int depth) {
  constexpr int kBlock = 64;
  constexpr int kRows = 100;
  bunraku::RingBridge bridge(1, kBlock, kRateHz, depth);
  std::vector<float> plane(kBlock), worker_block(plane.size());
  bool exact = true;
  for (int k = 0; k < kRows * row; ++k) {
    std::fill(plane.begin(), plane.end(), static_cast<float>(k + 1));
    float* planes[] = {plane.data()};
    bridge.exchange(planes, kBlock);
    exact = exact && plane[kBlock - 1] == static_cast<float>(std::max(k + 1 - depth, 0));
    if ((k + 1) % row == 0) {
      work_once(bridge, worker_block);
    }
  }
  const bunraku::BridgeStats stats = bridge.stats();
  if (depth >= row) {
    check(exact && stats.missed == 0, "as deep as the row is long: nothing is missed");
  } else {
    const auto missed_of_each_row = static_cast<std::uint64_t>(row - depth);
    check(stats.missed >= missed_of_each_row * (kRows - 1),
          "too shallow: the row's rest is missed");
  }
  check(stats.not_sent == 0, "a row fits the ring");
}

// Behind, the worker gets the oldest block that can still be in time, and no older one.
void test_catching_up() {
  constexpr int kBlock = 64;
  constexpr int kDepth = 3;
  bunraku::RingBridge bridge(1, kBlock, kRateHz, kDepth);
  std::vector<float> plane(kBlock), worker_block(plane.size());
  float* planes[] = {plane.data()};
  for (int k = 0; k < 8; ++k) { // blocks 0 to 7: the next exchange plays block 5
    bridge.exchange(planes, kBlock);
  }
  std::uint64_t sequence = 0;
  check(bridge.take(&sequence, worker_block.data()) && sequence == 5, "it skips what is too late");
  check(bridge.stats().skipped == 5, "and counts it");
  bridge.put(sequence, worker_block.data());
  const std::uint64_t missed = bridge.stats().missed;
  bridge.exchange(planes, kBlock);
  check(bridge.stats().missed == missed, "what it got is in time");
}

// The worker pauses for `gap` blocks in the middle of a sine.
void test_concealment(int block, int gap, int depth) {
  bunraku::RingBridge bridge(1, block, kRateHz, depth);
  std::vector<float> plane(static_cast<std::size_t>(block)), worker_block(plane.size());
  std::vector<float> out;
  const int blocks = std::max(48000 / block, 2 * (gap + depth) + 20);
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
  for (std::size_t i = static_cast<std::size_t>(depth * block) + 1; i < out.size(); ++i) {
    steepest =
        std::max(steepest, std::fabs(sine(static_cast<int>(i)) - sine(static_cast<int>(i) - 1)));
    step = std::max(step, std::fabs(out[i] - out[i - 1]));
  }
  const bunraku::BridgeStats stats = bridge.stats();
  // A ring that was full has lost the newest blocks as well: as many more misses as it is deep.
  const int short_of = std::max(gap + 1 - depth, 0) + (stats.not_sent > 0 ? depth : 0);
  check(stats.missed == static_cast<std::uint64_t>(short_of), "each late block is counted");
  check(step < 1.1f * steepest, "no step steeper than the sine itself");
  // Results that came late were thrown away: the tail is again exactly as late as declared.
  bool aligned = true;
  for (std::size_t i = out.size() - static_cast<std::size_t>(block); i < out.size(); ++i) {
    aligned = aligned && std::fabs(out[i] - sine(static_cast<int>(i) - depth * block)) < 1e-6f;
  }
  check(aligned, "the latency has not grown");
  check(stats.late + stats.skipped + stats.not_sent >= static_cast<std::uint64_t>(short_of),
        "what came late is accounted for");
}

void test_two_threads(int depth) {
  constexpr int kBlock = 64;
  bunraku::RingBridge bridge(1, kBlock, kRateHz, depth);
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
  check(last <= static_cast<float>(4999 - depth), "the last block is `depth` before the last sent");
  check(stats.blocks == static_cast<std::uint64_t>(5000 - depth), "every block is asked for once");
}

void test_bad_shape() {
  try {
    bunraku::RingBridge bridge(0, 64, kRateHz);
    check(false, "no channels are refused");
  } catch (const bunraku::Error&) {
  }
  for (const int depth : {-1, 0, bunraku::RingBridge::kMostDepthBlocks + 1}) {
    try {
      bunraku::RingBridge bridge(1, 64, kRateHz, depth);
      check(false, "a depth out of range is refused");
    } catch (const bunraku::Error&) {
    }
  }
}

} // namespace

int main() {
  for (const int depth : {1, 2, 7}) {
    test_latency(64, 64, depth);
    test_latency(256, 64, depth);
    test_latency(1, 1, depth);
    for (const int gap : {1, 2, 3, 10, 40}) {
      test_concealment(64, gap, depth);
      test_concealment(256, gap, depth);
      test_concealment(1024, gap, depth);
    }
    test_two_threads(depth);
  }
  for (const int row : {1, 2, 4, 7}) {
    test_rows(row, row);
    test_rows(row, 1);
    test_rows(row, row + 1);
  }
  test_latency(64, 256, 4); // a device block of four of the bridge's is a row of four
  test_latency(64, 100, 3); // with one that does not divide it the block begun counts too
  test_catching_up();
  test_bad_shape();
  std::puts(failures == 0 ? "ring bridge: ok" : "ring bridge: FAILED");
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
