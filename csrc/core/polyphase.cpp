#include "polyphase.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "stage.hpp"

namespace bunraku {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kStopDb = 116.0;
constexpr double kPassEdge = 0.9; // of the lower Nyquist frequency, where the stop band begins
constexpr int kMaxTerm = 8192;    // which keeps every table below 5 MB

// The modified Bessel function of order 0, by its power series.
double bessel_i0(double x) {
  double sum = 1.0, term = 1.0;
  for (int k = 1; term > 1e-17 * sum; ++k) {
    const double factor = x / (2.0 * k);
    term *= factor * factor;
    sum += term;
  }
  return sum;
}

double sinc(double x) {
  return std::fabs(x) < 1e-12 ? 1.0 : std::sin(kPi * x) / (kPi * x);
}

// Half the length, in frames of the lower rate, that Kaiser's rule gives for this transition band.
double half_length() {
  const double transition = (1.0 - kPassEdge) * kPi; // radians per frame
  return 0.5 * (kStopDb - 7.95) / (2.285 * transition);
}

} // namespace

RateRatio rate_ratio(double source_hz, double dest_hz) {
  // The continued fraction's convergents are the best approximations there are.
  const double wanted = dest_hz / source_hz;
  double rest = wanted;
  double up = 1.0, down = 0.0, last_up = 0.0, last_down = 1.0;
  for (int i = 0; i < 32; ++i) {
    const double whole = std::floor(rest);
    const double next_up = whole * up + last_up;
    const double next_down = whole * down + last_down;
    if (next_up > kMaxTerm || next_down > kMaxTerm)
      break;
    last_up = up;
    last_down = down;
    up = next_up;
    down = next_down;
    // A thousandth of a millionth: the clocks themselves are ten thousand times less exact.
    if (std::fabs(up / down - wanted) <= 1e-9 * wanted)
      return {static_cast<int>(up), static_cast<int>(down)};
    rest = 1.0 / (rest - whole);
  }
  throw Error(BK_ERROR_UNSUPPORTED, "no resampler between " + std::to_string(source_hz) + " and " +
                                        std::to_string(dest_hz) +
                                        " Hz: their ratio is not of numbers below 8192; choose a "
                                        "common rate such as 44100 or 48000");
}

PolyphaseFilter::PolyphaseFilter(RateRatio ratio) {
  // Source frames per frame of the lower rate.
  const double stretch = std::max(1.0, static_cast<double>(ratio.down) / ratio.up);
  const double half = half_length() * stretch;
  m_half = static_cast<int>(std::ceil(half));
  const std::size_t count = 2 * static_cast<std::size_t>(m_half);
  const double beta = 0.1102 * (kStopDb - 8.7);
  const double cutoff = 0.5 * (1.0 + kPassEdge) / stretch; // of the source's Nyquist frequency
  m_taps.resize(count * static_cast<std::size_t>(ratio.up));
  std::vector<double> taps(count);
  for (int phase = 0; phase < ratio.up; ++phase) {
    double sum = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      const double t = static_cast<double>(phase) / ratio.up -
                       (static_cast<double>(i) - static_cast<double>(m_half) + 1.0);
      const double x = t / half;
      const double window = std::fabs(x) < 1.0 ? bessel_i0(beta * std::sqrt(1.0 - x * x)) : 0.0;
      taps[i] = sinc(cutoff * t) * window;
      sum += taps[i];
    }
    // Every phase passes a constant unchanged: no tone at the phases' rate on top of a DC offset.
    float* row = m_taps.data() + static_cast<std::size_t>(phase) * count;
    for (std::size_t i = 0; i < count; ++i)
      row[i] = static_cast<float>(taps[i] / sum);
  }
}

} // namespace bunraku
