#include "wavenet_sample/cpu/read_bandwidth.hpp"

#include <algorithm>
#include <chrono>

#include "wavenet_sample/cpu/packed_bytes.hpp"
#include "wavenet_sample/cpu/sampler.hpp"

namespace bunraku_kernels {

double read_bandwidth(std::size_t bytes, const std::string& isa) {
  using Clock = std::chrono::steady_clock;
  const ReadBytesFn read = wavenet_sample_reader(isa);
  const std::size_t whole = std::max<std::size_t>(bytes / kReadBytes, 1) * kReadBytes;
  const PackedBytes memory(whole);
  const int passes = static_cast<int>(std::max<std::size_t>((std::size_t{4} << 20) / whole, 1));
  double best = 0.0;
  float sum = 0.0f;
  for (int run = 0; run < 100; ++run) {
    const Clock::time_point start = Clock::now();
    for (int pass = 0; pass < passes; ++pass)
      sum += read(memory.data(), whole);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::max(best, static_cast<double>(whole) * passes / std::max(seconds, 1e-9));
  }
  return sum == 0.0f ? best * 1e-9 : 0.0; // the sum must be seen to be used
}

} // namespace bunraku_kernels
