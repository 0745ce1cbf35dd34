#include "core/ring_bridge.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/stage.hpp"

namespace bunraku {
namespace {

constexpr double kFadeSeconds = 0.020;
constexpr double kReturnSeconds = 0.005;
constexpr float kPi = 3.14159265358979f;

float raised_cosine(int at, int length) noexcept { // 1 at 0, 0 at `length` and beyond
  if (at >= length) {
    return 0.0f;
  }
  return 0.5f + 0.5f * std::cos(kPi * static_cast<float>(at) / static_cast<float>(length));
}

void count(std::atomic<std::uint64_t>& counter) noexcept {
  counter.fetch_add(1, std::memory_order_relaxed);
}

int checked(int value, int least, int most, const char* what) {
  if (value < least || value > most) {
    throw Error(BK_ERROR_INVALID_ARGUMENT, std::string(what) + " is " + std::to_string(value) +
                                               ": use " + std::to_string(least) + " to " +
                                               std::to_string(most));
  }
  return value;
}

double checked_rate(double rate_hz) {
  if (!(rate_hz >= 8000.0 && rate_hz <= 384000.0)) {
    throw Error(BK_ERROR_INVALID_ARGUMENT,
                "sample_rate_hz is " + std::to_string(rate_hz) + ": use 8000 to 384000");
  }
  return rate_hz;
}

} // namespace

RingBridge::RingBridge(int channels, int block_frames, double sample_rate_hz, int depth_blocks)
    : m_channels(checked(channels, 1, static_cast<int>(BK_MAX_CHANNELS), "channels")),
      m_block_frames(
          checked(block_frames, 1, static_cast<int>(BK_MAX_BLOCK_FRAMES), "block_frames")),
      m_sample_rate_hz(checked_rate(sample_rate_hz)),
      m_depth(static_cast<std::size_t>(checked(depth_blocks, 1, kMostDepthBlocks, "depth_blocks"))),
      m_block_floats(static_cast<std::size_t>(channels) * static_cast<std::size_t>(block_frames)),
      m_fade_frames(static_cast<int>(kFadeSeconds * sample_rate_hz)),
      m_return_frames(static_cast<int>(kReturnSeconds * sample_rate_hz)),
      m_to_worker(ring_blocks() * record_floats()), m_from_worker(ring_blocks() * record_floats()),
      m_gather(m_block_floats), m_play(m_block_floats), m_arrived(m_block_floats),
      m_history(static_cast<std::size_t>(channels) * static_cast<std::size_t>(m_fade_frames)) {
  m_concealment.reversed.resize(m_history.size());
}

void RingBridge::exchange(float* const* io, int frames) noexcept {
  const auto block = static_cast<std::size_t>(m_block_frames);
  for (int done = 0; done < frames;) {
    if (m_position == 0 && m_sequence >= m_depth) { // before the first block there is only silence
      count(m_blocks);
      conceal_into_play(fetch(m_sequence - m_depth));
    }
    const int step = std::min(frames - done, m_block_frames - m_position);
    const std::size_t bytes = static_cast<std::size_t>(step) * sizeof(float);
    for (int c = 0; c < m_channels; ++c) {
      const std::size_t at =
          static_cast<std::size_t>(c) * block + static_cast<std::size_t>(m_position);
      std::memcpy(m_gather.data() + at, io[c] + done, bytes);
      std::memcpy(io[c] + done, m_play.data() + at, bytes);
    }
    done += step;
    m_position += step;
    if (m_position == m_block_frames) {
      send_gathered();
    }
  }
}

void RingBridge::send_gathered() noexcept {
  float header[kHeaderFloats];
  static_assert(sizeof(header) == sizeof(m_sequence));
  std::memcpy(header, &m_sequence, sizeof(header));
  if (!m_to_worker.write_parts(header, kHeaderFloats, m_gather.data(), m_block_floats)) {
    count(m_not_sent);
  }
  ++m_sequence;
  m_position = 0;
}

bool RingBridge::fetch(std::uint64_t wanted) noexcept {
  float header[kHeaderFloats];
  while (m_from_worker.peek(header, kHeaderFloats)) {
    std::uint64_t sequence = 0;
    std::memcpy(&sequence, header, sizeof(header));
    if (sequence > wanted) {
      return false;
    }
    m_from_worker.discard(kHeaderFloats);
    if (sequence == wanted) {
      return m_from_worker.read(m_arrived.data(), m_block_floats);
    }
    m_from_worker.discard(m_block_floats);
    count(m_late);
  }
  return false;
}

void RingBridge::begin_concealment() noexcept {
  for (int c = 0; c < m_channels; ++c) {
    const float* history = m_history.data() + static_cast<std::ptrdiff_t>(c) * m_fade_frames;
    float* reversed =
        m_concealment.reversed.data() + static_cast<std::ptrdiff_t>(c) * m_fade_frames;
    for (int i = 0; i < m_fade_frames; ++i) {
      // The last sample itself is not repeated: the curve turns around on it.
      const int from = std::max(m_fade_frames - 2 - i, 0);
      reversed[i] = history[from] * raised_cosine(i, m_fade_frames);
    }
  }
  m_concealment.position = 0;
}

void RingBridge::conceal_into_play(bool arrived) noexcept {
  Concealment& gap = m_concealment;
  if (!arrived) {
    count(m_missed);
    if (gap.position < 0 || gap.return_left < m_return_frames) { // also: missed while fading back
      begin_concealment();
    }
    gap.return_left = m_return_frames;
  }
  if (gap.position < 0) {
    m_play.swap(m_arrived);
    remember_play();
    return;
  }
  for (int c = 0; c < m_channels; ++c) {
    const std::size_t plane =
        static_cast<std::size_t>(c) * static_cast<std::size_t>(m_block_frames);
    const float* reversed = gap.reversed.data() + static_cast<std::ptrdiff_t>(c) * m_fade_frames;
    for (int i = 0; i < m_block_frames; ++i) {
      const int at = gap.position + i;
      const float concealed = at < m_fade_frames ? reversed[at] : 0.0f;
      const int returned = m_return_frames - gap.return_left + i + 1;
      const float weight = 1.0f - raised_cosine(returned, m_return_frames); // of what arrived
      const std::size_t frame = plane + static_cast<std::size_t>(i);
      m_play[frame] = arrived ? concealed + weight * (m_arrived[frame] - concealed) : concealed;
    }
  }
  gap.position = std::min(gap.position + m_block_frames, m_fade_frames);
  if (arrived) {
    gap.return_left -= std::min(gap.return_left, m_block_frames);
    if (gap.return_left == 0) {
      gap.position = -1;
    }
  }
  remember_play();
}

void RingBridge::remember_play() noexcept {
  const int added = std::min(m_block_frames, m_fade_frames);
  for (int c = 0; c < m_channels; ++c) {
    float* history = m_history.data() + static_cast<std::ptrdiff_t>(c) * m_fade_frames;
    const float* play = m_play.data() + static_cast<std::ptrdiff_t>(c) * m_block_frames;
    std::memmove(history, history + added,
                 static_cast<std::size_t>(m_fade_frames - added) * sizeof(float));
    std::memcpy(history + m_fade_frames - added, play + m_block_frames - added,
                static_cast<std::size_t>(added) * sizeof(float));
  }
}

bool RingBridge::take(std::uint64_t* sequence, float* block) {
  std::size_t waiting = m_to_worker.read_available() / record_floats();
  if (waiting == 0) {
    return false;
  }
  if (waiting > m_depth + kMostLate) {
    for (; waiting > m_depth; --waiting) {
      m_to_worker.discard(record_floats());
      count(m_skipped);
    }
  }
  float header[kHeaderFloats];
  if (!m_to_worker.read(header, kHeaderFloats)) {
    return false;
  }
  std::memcpy(sequence, header, sizeof(header));
  return m_to_worker.read(block, m_block_floats);
}

bool RingBridge::put(std::uint64_t sequence, const float* block) {
  float header[kHeaderFloats];
  std::memcpy(header, &sequence, sizeof(header));
  return m_from_worker.write_parts(header, kHeaderFloats, block, m_block_floats);
}

BridgeStats RingBridge::stats() const noexcept {
  const auto read = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  return {read(m_blocks), read(m_missed), read(m_late), read(m_not_sent), read(m_skipped)};
}

} // namespace bunraku
