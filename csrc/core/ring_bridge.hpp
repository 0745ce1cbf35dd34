// Lets the audio thread borrow an effect that runs elsewhere (a Python thread), some blocks late.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/spsc_ring.hpp"

namespace bunraku {

struct BridgeStats {
  std::uint64_t blocks = 0;   // blocks the audio thread asked for
  std::uint64_t missed = 0;   // of those: not there in time, concealed
  std::uint64_t late = 0;     // results that came after their turn, discarded
  std::uint64_t not_sent = 0; // blocks the worker never saw: its ring was full
  std::uint64_t skipped = 0;  // blocks the worker passed over to catch up
};

// The audio thread sends block k and plays what the worker made of block k - depth: exactly `depth`
// blocks of latency, whatever happens. A result that comes late is thrown away, so latency never
// grows. In its place the bridge plays the last 20 ms backwards while fading out, which has no step
// at the seam; when results return they fade in over 5 ms.
//
// A device that calls regularly, in blocks of the bridge's size or parts of it, needs a depth of 1:
// the worker has the time from one block to the next. One that calls n blocks in a row and then
// pauses needs n, or all but the first of each row miss: what the worker makes in one pause is then
// played in the next row.
class RingBridge {
public:
  static constexpr int kMostDepthBlocks = 1024;

  RingBridge(int channels, int block_frames, double sample_rate_hz, int depth_blocks = 1);

  int channels() const noexcept { return m_channels; }
  int block_frames() const noexcept { return m_block_frames; }
  int depth_blocks() const noexcept { return static_cast<int>(m_depth); }
  int latency_frames() const noexcept { return m_block_frames * depth_blocks(); }
  double sample_rate_hz() const noexcept { return m_sample_rate_hz; }

  // Audio thread: the planes io[channel][frame] become the effect's output, `depth` blocks late.
  void exchange(float* const* io, int frames) noexcept;

  // Worker thread: the next block, planar; false when none waits. Far behind, it skips to the
  // oldest that can still be in time.
  bool take(std::uint64_t* sequence, float* block);
  // Worker thread: the result of block `sequence`; false when the audio thread no longer reads.
  bool put(std::uint64_t sequence, const float* block);

  BridgeStats stats() const noexcept; // any thread

private:
  using Counter = std::atomic<std::uint64_t>;
  static constexpr std::size_t kHeaderFloats = 2; // the sequence number's eight bytes
  static constexpr std::size_t kMostLate = 2; // blocks that are worked off though they come late

  struct Concealment {
    std::vector<float> reversed; // [channel][fade]: the last output, backwards and fading
    int position = -1;           // frames since the gap began; -1: none
    int return_left = 0;         // frames of the fade back still to come
  };

  std::size_t record_floats() const noexcept { return kHeaderFloats + m_block_floats; }
  std::size_t ring_blocks() const noexcept { return 6 + 2 * m_depth; }
  bool fetch(std::uint64_t wanted) noexcept;
  void begin_concealment() noexcept;
  void conceal_into_play(bool arrived) noexcept;
  void remember_play() noexcept;
  void send_gathered() noexcept;

  const int m_channels;
  const int m_block_frames;
  const double m_sample_rate_hz;
  const std::size_t m_depth;
  const std::size_t m_block_floats;
  const int m_fade_frames;
  const int m_return_frames;

  SpscRing m_to_worker;
  SpscRing m_from_worker;

  // Audio thread only.
  std::vector<float> m_gather, m_play, m_arrived, m_history; // planar; history [channel][fade]
  Concealment m_concealment;
  std::uint64_t m_sequence = 0; // of the block being gathered
  int m_position = 0;           // frames into it

  Counter m_blocks{0}, m_missed{0}, m_late{0}, m_not_sent{0}, m_skipped{0};
};

} // namespace bunraku
