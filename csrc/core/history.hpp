// What a causal convolution remembers: a ring of frames for each channel, laid out so that any
// stretch of up to kChunkFrames is contiguous, with the same work for every block. The floats
// belong to the voice, which copies them all at once to keep or to restore a state. Audio thread,
// once it is made.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace bunraku {

constexpr int kChunkFrames = 64; // general voices work through a block in chunks of at most this

class History {
public:
  // Reserves room at the end of `floats`; the pointer is bound later, when all rooms are reserved.
  History(int channels, int lookback_frames, std::vector<float>& floats)
      : m_channels(channels), m_frames(lookback_frames + kChunkFrames), m_offset(floats.size()) {
    floats.resize(floats.size() + static_cast<std::size_t>(channels) * stride());
  }

  void bind(std::vector<float>& floats) noexcept { m_base = floats.data() + m_offset; }

  // Distance between channels.
  std::size_t stride() const noexcept { return static_cast<std::size_t>(m_frames + kChunkFrames); }

  // Puts the chunk behind what is remembered; advance() makes it the past.
  void write(const float* planes, std::size_t plane_stride, int frames) noexcept {
    for (int channel = 0; channel < m_channels; ++channel) {
      float* ring = m_base + static_cast<std::size_t>(channel) * stride();
      const float* source = planes + static_cast<std::size_t>(channel) * plane_stride;
      std::copy(source, source + frames, ring + m_position);
      // The first kChunkFrames are kept a second time after the end of the ring.
      const int over = m_position + frames - m_frames;
      if (over > 0)
        std::copy(ring + m_frames, ring + m_frames + over, ring);
      if (m_position < kChunkFrames) {
        const int mirrored = std::min(frames, kChunkFrames - m_position);
        std::copy(source, source + mirrored, ring + m_frames + m_position);
      }
    }
  }

  // Channel 0 of the chunk as it was `lookback` frames earlier; further channels a stride() apart.
  const float* read(int lookback) const noexcept {
    int start = m_position - lookback;
    start += start < 0 ? m_frames : 0;
    return m_base + start;
  }

  void advance(int frames) noexcept {
    m_position += frames;
    m_position -= m_position >= m_frames ? m_frames : 0;
  }

  // As if the first frame of these planes had been heard for ever. Control thread.
  void fill(const float* planes, std::size_t plane_stride) noexcept {
    for (int channel = 0; channel < m_channels; ++channel) {
      float* ring = m_base + static_cast<std::size_t>(channel) * stride();
      std::fill(ring, ring + stride(), planes[static_cast<std::size_t>(channel) * plane_stride]);
    }
  }

  int position() const noexcept { return m_position; }
  void set_position(int position) noexcept { m_position = position; }

private:
  int m_channels;
  int m_frames;
  int m_position = 0;
  std::size_t m_offset;
  float* m_base = nullptr;
};

// All that a feed-forward voice remembers, with a copy of its prewarmed state.
class HistoryBank {
public:
  // Returns an index. Control thread.
  std::size_t add(int channels, int lookback_frames) {
    m_histories.emplace_back(channels, lookback_frames, m_floats);
    return m_histories.size() - 1;
  }
  void bind() {
    for (History& history : m_histories)
      history.bind(m_floats);
  }
  void keep() {
    m_kept_floats = m_floats;
    m_kept_positions.clear();
    for (const History& history : m_histories)
      m_kept_positions.push_back(history.position());
  }

  // Audio thread.
  History& operator[](std::size_t index) noexcept { return m_histories[index]; }
  void restore() noexcept {
    std::copy(m_kept_floats.begin(), m_kept_floats.end(), m_floats.begin());
    for (std::size_t i = 0; i < m_histories.size(); ++i)
      m_histories[i].set_position(m_kept_positions[i]);
  }

private:
  std::vector<float> m_floats, m_kept_floats;
  std::vector<History> m_histories;
  std::vector<int> m_kept_positions;
};

} // namespace bunraku
