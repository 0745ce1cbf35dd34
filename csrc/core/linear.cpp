#include "linear.hpp"

#include <algorithm>

#include "dot.hpp"
#include "network_shape.hpp"

namespace bunraku {
namespace {

constexpr int kTileFrames = 16;

// The past of one channel, kept twice over, so that the whole response meets contiguous frames.
class FirMemory {
public:
  explicit FirMemory(int taps)
      : m_taps(taps), m_frames(taps + kTileFrames),
        m_ring(2 * static_cast<std::size_t>(m_frames), 0.0f) {}

  // frames <= kTileFrames; in and out may be the same.
  void process(const float* reversed, float bias, const float* in, float* out,
               int frames) noexcept {
    for (int frame = 0; frame < frames; ++frame) {
      const int at = (m_position + frame) % m_frames;
      m_ring[static_cast<std::size_t>(at)] = m_ring[static_cast<std::size_t>(at + m_frames)] =
          in[frame];
    }
    // The oldest frame that output 0 hears; the stretch from there holds taps - 1 + frames.
    const int oldest = (m_position - (m_taps - 1) + 2 * m_frames) % m_frames;
    const float* past = m_ring.data() + oldest;
    if (frames == kTileFrames) {
      float sums[kTileFrames] = {};
      for (int tap = 0; tap < m_taps; ++tap)
        for (int i = 0; i < kTileFrames; ++i)
          sums[i] += reversed[tap] * past[tap + i];
      for (int i = 0; i < kTileFrames; ++i)
        out[i] = sums[i] + bias;
    } else {
      for (int frame = 0; frame < frames; ++frame)
        out[frame] = dot(reversed, past + frame, m_taps) + bias;
    }
    m_position = (m_position + frames) % m_frames;
  }

  void keep() {
    m_kept = m_ring;
    m_kept_position = m_position;
  }
  void restore() noexcept {
    std::copy(m_kept.begin(), m_kept.end(), m_ring.begin());
    m_position = m_kept_position;
  }

private:
  int m_taps;
  int m_frames;
  int m_position = 0;
  int m_kept_position = 0;
  std::vector<float> m_ring, m_kept;
};

class LinearVoice final : public Voice {
public:
  LinearVoice(const std::vector<float>& reversed, float bias, int played, int out_channels)
      : m_reversed(reversed), m_bias(bias), m_out_channels(out_channels),
        m_memories(static_cast<std::size_t>(played), FirMemory(static_cast<int>(reversed.size()))) {
    keep_as_prewarmed();
  }

  void process(const float* const* in, float* const* out, int frames) noexcept override {
    for (std::size_t channel = 0; channel < m_memories.size(); ++channel)
      for (int done = 0; done < frames; done += kTileFrames)
        m_memories[channel].process(m_reversed.data(), m_bias, in[channel] + done,
                                    out[channel] + done, std::min(kTileFrames, frames - done));
    for (int channel = static_cast<int>(m_memories.size()); channel < m_out_channels; ++channel)
      std::fill(out[channel], out[channel] + frames, 0.0f); // as the format's reference player
  }

  void reset() noexcept override {
    for (FirMemory& memory : m_memories)
      memory.restore();
  }
  void keep_as_prewarmed() override {
    for (FirMemory& memory : m_memories)
      memory.keep();
  }

private:
  const std::vector<float>& m_reversed;
  float m_bias;
  int m_out_channels;
  std::vector<FirMemory> m_memories;
};

class LinearStage final : public Stage {
public:
  explicit LinearStage(const LinearSpec& spec)
      : m_shape(shape_of(spec)),
        m_reversed(spec.weights.begin(), spec.weights.begin() + spec.receptive_field),
        m_bias(spec.bias ? spec.weights.back() : 0.0f) {
    std::reverse(m_reversed.begin(), m_reversed.end());
  }

  std::unique_ptr<Voice> open_voice(const VoiceConfig&) const override {
    return std::make_unique<LinearVoice>(m_reversed, m_bias,
                                         std::min(m_shape.in_channels, m_shape.out_channels),
                                         m_shape.out_channels);
  }
  int in_channels() const noexcept override { return m_shape.in_channels; }
  int out_channels() const noexcept override { return m_shape.out_channels; }
  int receptive_field_frames() const noexcept override {
    return static_cast<int>(m_shape.receptive_field_frames);
  }
  double flop_per_frame() const noexcept override { return m_shape.flop_per_frame; }
  bool is_fast() const noexcept override { return false; }

private:
  NetworkShape m_shape;
  std::vector<float> m_reversed; // oldest first
  float m_bias;
};

} // namespace

std::unique_ptr<Stage> make_linear(const LinearSpec& spec) {
  return std::make_unique<LinearStage>(spec);
}

} // namespace bunraku
