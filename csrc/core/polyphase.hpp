// The filter of a rational resampler, one set of taps for each phase. Immutable and shared.
#pragma once

#include <cstddef>
#include <vector>

namespace bunraku {

// dest rate / source rate = up / down, in lowest terms.
struct RateRatio {
  int up = 1;
  int down = 1;
};

// The exact ratio where both terms stay below 8,192 (every pair of audio rates in use does).
// Throws Error(BK_ERROR_UNSUPPORTED). Control thread.
RateRatio rate_ratio(double source_hz, double dest_hz);

// A sinc under a Kaiser window: pass band to 0.9 of the lower rate's Nyquist frequency within
// 0.0001 dB, 116 dB down from that Nyquist frequency on (J. F. Kaiser, "Nonrecursive digital filter
// design using the I0-sinh window function", 1974). Linear phase.
class PolyphaseFilter {
public:
  explicit PolyphaseFilter(RateRatio ratio); // control thread

  // Taps on each side of the instant; a phase has 2 * half_taps() of them.
  int half_taps() const noexcept { return m_half; }

  // For the instant `phase` / up after source frame i: taps for the frames i - half_taps() + 1 to
  // i + half_taps(), oldest first.
  const float* taps(int phase) const noexcept {
    return m_taps.data() + static_cast<std::size_t>(phase) * 2 * static_cast<std::size_t>(m_half);
  }

private:
  int m_half;
  std::vector<float> m_taps; // [phase][tap]
};

} // namespace bunraku
