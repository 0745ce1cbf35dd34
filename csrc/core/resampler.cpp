#include "resampler.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "dot.hpp"

namespace bunraku {
namespace {

// The last frames of a signal without an end, kept twice over so that any stretch is contiguous.
class Tape {
public:
  Tape(int frames, std::int64_t first_index)
      : m_frames(frames), m_ring(2 * static_cast<std::size_t>(frames), 0.0f), m_end(first_index) {}

  void write(const float* samples, int frames) noexcept {
    for (int i = 0; i < frames; ++i) {
      m_ring[static_cast<std::size_t>(m_head)] = samples[i];
      m_ring[static_cast<std::size_t>(m_head + m_frames)] = samples[i];
      if (++m_head == m_frames)
        m_head = 0;
    }
    m_end += frames;
  }

  // From the frame of this index on, up to the newest.
  const float* from(std::int64_t index) const noexcept {
    int start = m_head - static_cast<int>(m_end - index);
    start += start < 0 ? m_frames : 0;
    return m_ring.data() + start;
  }

  std::int64_t end() const noexcept { return m_end; } // index of the next frame to be written
  void fill(float value) noexcept { std::fill(m_ring.begin(), m_ring.end(), value); }

  void restore(const Tape& kept) noexcept { // of the same length: no allocation
    std::copy(kept.m_ring.begin(), kept.m_ring.end(), m_ring.begin());
    m_head = kept.m_head;
    m_end = kept.m_end;
  }

private:
  int m_frames;
  int m_head = 0;
  std::vector<float> m_ring;
  std::int64_t m_end;
};

// An instant on a tape, moving by down / up frames.
class Instant {
public:
  // step * down / up frames after frame 0.
  Instant(RateRatio ratio, std::int64_t step) : m_ratio(ratio) {
    const std::int64_t position = step * ratio.down;
    m_frame = position / ratio.up;
    m_phase = static_cast<int>(position % ratio.up);
    if (m_phase < 0) {
      m_phase += ratio.up;
      --m_frame;
    }
  }

  std::int64_t frame() const noexcept { return m_frame; }
  int phase() const noexcept { return m_phase; }
  void delay(std::int64_t frames) noexcept { m_frame += frames; }

  void advance() noexcept {
    m_frame += m_ratio.down / m_ratio.up;
    m_phase += m_ratio.down % m_ratio.up;
    if (m_phase >= m_ratio.up) {
      m_phase -= m_ratio.up;
      ++m_frame;
    }
  }

private:
  RateRatio m_ratio;
  std::int64_t m_frame;
  int m_phase;
};

float sample_at(const Tape& tape, const Instant& instant, const PolyphaseFilter& filter) noexcept {
  const int half = filter.half_taps();
  return dot(filter.taps(instant.phase()), tape.from(instant.frame() - half + 1), 2 * half);
}

RateRatio inverse(RateRatio ratio) {
  return {ratio.down, ratio.up};
}

int ceil_div(std::int64_t a, std::int64_t b) {
  return static_cast<int>((a + b - 1) / b);
}

constexpr int kMaxInnerFrames = 8192; // in one call of the inner chain

class RateVoice final : public Voice {
public:
  RateVoice(const Stage& chain, const VoiceConfig& config, RateRatio ratio,
            const PolyphaseFilter& in_filter, const PolyphaseFilter& out_filter, int latency_frames)
      : m_in_filter(in_filter), m_out_filter(out_filter),
        m_chunk(std::clamp(kMaxInnerFrames / ceil_div(ratio.up, ratio.down), 1,
                           config.max_block_frames)),
        m_inner(static_cast<std::size_t>(inner_frames(ratio))),
        // The first inner frame whose filter reaches the first outer frame at all.
        m_first_step(-(static_cast<std::int64_t>(in_filter.half_taps()) * ratio.up / ratio.down)),
        m_in_instant(ratio, m_first_step), m_out_instant(inverse(ratio), -latency_frames),
        m_outer_tape(2 * in_filter.half_taps() + m_chunk + ceil_div(ratio.down, ratio.up) + 8, 0),
        m_inner_tape(2 * out_filter.half_taps() + inner_frames(ratio) +
                         ceil_div(ratio.up, ratio.down) + 8,
                     m_first_step) {
    // The chain's own latency is a whole number of inner frames: read that much later from its
    // tape, and it costs no fraction of an outer frame.
    m_out_instant.delay(chain.latency_frames());
    VoiceConfig inner = config;
    inner.max_block_frames = static_cast<int>(m_inner.size());
    m_chain = chain.open_voice(inner);
    m_inner_tape.fill(answer_to_silence());
    keep_as_prewarmed();
  }

  void process(const float* const* in, float* const* out, int frames) noexcept override {
    for (int done = 0; done < frames;) {
      const int chunk = std::min(m_chunk, frames - done);
      run_chunk(in[0] + done, out[0] + done, chunk);
      done += chunk;
    }
  }

  void reset() noexcept override {
    m_chain->reset();
    m_outer_tape.restore(*m_kept_outer);
    m_inner_tape.restore(*m_kept_inner);
    m_in_instant = *m_kept_in;
    m_out_instant = *m_kept_out;
  }

  void keep_as_prewarmed() override {
    m_chain->keep_as_prewarmed();
    m_kept_outer = std::make_unique<Tape>(m_outer_tape);
    m_kept_inner = std::make_unique<Tape>(m_inner_tape);
    m_kept_in = std::make_unique<Instant>(m_in_instant);
    m_kept_out = std::make_unique<Instant>(m_out_instant);
  }

private:
  // At most, from one chunk.
  int inner_frames(RateRatio ratio) const {
    return ceil_div(static_cast<std::int64_t>(m_chunk) * ratio.up, ratio.down) + 1;
  }

  float answer_to_silence() {
    const float silence = 0.0f;
    float answer = 0.0f;
    const float* in = &silence;
    float* out = &answer;
    m_chain->process(&in, &out, 1);
    m_chain->reset();
    return answer;
  }

  void run_chunk(const float* in, float* out, int frames) noexcept {
    m_outer_tape.write(in, frames);
    int made = 0;
    while (m_in_instant.frame() + m_in_filter.half_taps() < m_outer_tape.end()) {
      m_inner[static_cast<std::size_t>(made++)] =
          sample_at(m_outer_tape, m_in_instant, m_in_filter);
      m_in_instant.advance();
    }
    if (made > 0) {
      float* inner = m_inner.data();
      m_chain->process(&inner, &inner, made);
      m_inner_tape.write(inner, made);
    }
    for (int frame = 0; frame < frames; ++frame) {
      out[frame] = sample_at(m_inner_tape, m_out_instant, m_out_filter);
      m_out_instant.advance();
    }
  }

  const PolyphaseFilter& m_in_filter;
  const PolyphaseFilter& m_out_filter;
  int m_chunk; // outer frames worked on at once
  std::vector<float> m_inner;
  std::int64_t m_first_step;
  Instant m_in_instant, m_out_instant;
  Tape m_outer_tape, m_inner_tape;
  std::unique_ptr<Voice> m_chain;
  std::unique_ptr<Tape> m_kept_outer, m_kept_inner;
  std::unique_ptr<Instant> m_kept_in, m_kept_out;
};

} // namespace

RateStage::RateStage(std::shared_ptr<const Stage> chain, double outer_hz, double inner_hz)
    : m_chain(std::move(chain)), m_in_ratio(rate_ratio(outer_hz, inner_hz)),
      m_in_filter(m_in_ratio), m_out_filter(inverse(m_in_ratio)) {
  // Outer frame n lets all inner frames up to (n - in_half + 1) * up / down - 1 be made; the output
  // for outer instant n - latency reads inner frames up to (n - latency) * up / down + the chain's
  // latency + out_half. The smallest latency for which the second is never more than the first:
  const std::int64_t inner_ahead = m_chain->latency_frames() + m_out_filter.half_taps() + 1;
  m_latency_frames =
      m_in_filter.half_taps() - 1 + ceil_div(inner_ahead * m_in_ratio.down, m_in_ratio.up);
  const std::int64_t inner_reach =
      m_chain->receptive_field_frames() + 2 * static_cast<std::int64_t>(m_out_filter.half_taps());
  const std::int64_t reach = 2 * static_cast<std::int64_t>(m_in_filter.half_taps()) +
                             inner_reach * m_in_ratio.down / m_in_ratio.up;
  m_receptive_field_frames = static_cast<int>(std::min<std::int64_t>(reach, INT32_MAX));
}

double RateStage::flop_per_frame() const noexcept {
  return m_chain->flop_per_frame() * m_in_ratio.up / m_in_ratio.down;
}

std::unique_ptr<Voice> RateStage::open_voice(const VoiceConfig& config) const {
  return std::make_unique<RateVoice>(*m_chain, config, m_in_ratio, m_in_filter, m_out_filter,
                                     m_latency_frames);
}

} // namespace bunraku
