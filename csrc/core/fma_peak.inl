// Twelve independent chains: more than any core's latency times width needs, few enough for 16
// registers.

namespace bunraku {
namespace {

inline double run_fma(int rounds, float* sink) {
  constexpr int chains = 12, unrolled = 8;
  Vec sums[chains];
  for (int i = 0; i < chains; ++i)
    sums[i] = broadcast(sink[0] + static_cast<float>(i));
  const Vec factor = broadcast(sink[1]), term = broadcast(sink[2]);
  for (int r = 0; r < rounds; ++r)
    for (int u = 0; u < unrolled; ++u)
      for (int i = 0; i < chains; ++i)
        sums[i] = mul_add(sums[i], factor, term);
  Vec total = sums[0];
  for (int i = 1; i < chains; ++i)
    total = add(total, sums[i]);
  store(sink, total);
  return 2.0 * kLanes * chains * unrolled * rounds;
}

} // namespace
} // namespace bunraku
