// Durations counted by one thread and read by any other, without a lock and without end.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace bunraku {

struct DurationSummary {
  std::uint64_t count = 0;
  std::uint64_t p50_ns = 0, p99_ns = 0, p999_ns = 0, max_ns = 0;
};

// Log-linear buckets: exact below 128 ns, then 64 to an octave, so a quantile is at most 1.6 %
// above the true one (the upper edge is reported, never more than the maximum, which is exact).
class DurationHistogram {
public:
  // The counting thread only. Wait-free: no other thread writes, so a plain store suffices.
  void add(std::uint64_t duration_ns) noexcept {
    std::atomic<std::uint64_t>& bucket = m_buckets[bucket_of(duration_ns)];
    bucket.store(bucket.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (duration_ns > m_max_ns.load(std::memory_order_relaxed)) {
      m_max_ns.store(duration_ns, std::memory_order_relaxed);
    }
  }

  // Any thread. Counts that arrive meanwhile may or may not be in.
  DurationSummary summary() const noexcept {
    DurationSummary result;
    std::array<std::uint64_t, kBuckets> counts;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      counts[i] = m_buckets[i].load(std::memory_order_relaxed);
      result.count += counts[i];
    }
    result.max_ns = m_max_ns.load(std::memory_order_relaxed);
    result.p50_ns = quantile(counts, result, 500);
    result.p99_ns = quantile(counts, result, 990);
    result.p999_ns = quantile(counts, result, 999);
    return result;
  }

private:
  static constexpr int kSubBits = 6;
  static constexpr int kTopBit = 40; // 2^40 ns is 18 minutes: longer ones share the last bucket
  static constexpr std::size_t kBuckets = std::size_t{kTopBit - kSubBits + 1} << kSubBits;

  static std::size_t bucket_of(std::uint64_t ns) noexcept {
    const std::uint64_t top = (std::uint64_t{1} << kTopBit) - 1;
    ns = ns < top ? ns : top;
    int shift = 0;
    while ((ns >> shift) >= (1u << (kSubBits + 1))) {
      ++shift;
    }
    return (static_cast<std::size_t>(shift) << kSubBits) + static_cast<std::size_t>(ns >> shift);
  }

  static std::uint64_t upper_edge_ns(std::size_t bucket) noexcept {
    if (bucket < (1u << (kSubBits + 1))) {
      return bucket;
    }
    const std::size_t shift = (bucket >> kSubBits) - 1;
    const std::uint64_t mantissa = bucket - (shift << kSubBits);
    return ((mantissa + 1) << shift) - 1;
  }

  static std::uint64_t quantile(const std::array<std::uint64_t, kBuckets>& counts,
                                const DurationSummary& total, std::uint64_t per_mille) noexcept {
    if (total.count == 0) {
      return 0;
    }
    // The smallest value that at least this share of all durations does not exceed.
    const std::uint64_t rank = (total.count * per_mille + 999) / 1000;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += counts[i];
      if (seen >= rank) {
        const std::uint64_t edge = upper_edge_ns(i);
        return edge < total.max_ns ? edge : total.max_ns;
      }
    }
    return total.max_ns;
  }

  std::array<std::atomic<std::uint64_t>, kBuckets> m_buckets{};
  std::atomic<std::uint64_t> m_max_ns{0};
};

} // namespace bunraku
