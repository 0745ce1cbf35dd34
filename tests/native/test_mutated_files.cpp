// 100,000 damaged model files: each is refused with a message or played with finite sound, within
// bounded memory. The damage is the same on every machine. Argument: how many (fewer under
// sanitizers).
#include <algorithm>
#include <cstdlib>
#include <random>

#if defined(__linux__)
#include <sys/resource.h>
#endif

#include "check.hpp"
#include "model_bytes.hpp"
#include "play_bytes.hpp"

namespace {

using Bytes = std::vector<unsigned char>;

class Mutator {
public:
  explicit Mutator(unsigned seed) : m_random(seed) {}

  Bytes mutate(Bytes bytes) {
    const int hits = 1 + static_cast<int>(pick(4));
    for (int i = 0; i < hits && !bytes.empty(); ++i)
      hit(bytes);
    // Most damage is sealed with a right checksum, or only the checksum would be tested.
    if (pick(8) != 0 && bytes.size() > 128)
      seal(bytes);
    return bytes;
  }

  std::size_t pick(std::size_t below) { return m_random() % below; }

private:
  void hit(Bytes& bytes) {
    static const std::uint32_t kTelling[] = {
        0,          1,          2,          8,          255,        256,
        257,        65536,      65537,      0x7FFFFFFF, 0x80000000, 0xFFFFFFFF,
        0x7F800000, 0x7FC00000, 0x7F7FFFFF, 0x3F800000, 0x00000001};
    const std::size_t at = pick(bytes.size());
    const std::size_t word_at = bytes.size() < 8 ? 0 : at / 4 * 4 % (bytes.size() - 4);
    switch (pick(6)) {
    case 0:
      bytes[at] ^= static_cast<unsigned char>(1u << pick(8));
      break;
    case 1:
    case 2:
      if (bytes.size() >= 8)
        std::memcpy(bytes.data() + word_at, &kTelling[pick(std::size(kTelling))], 4);
      break;
    case 3:
      bytes.resize(at);
      break;
    case 4: // a word twice
      if (bytes.size() >= 8)
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(word_at),
                     bytes.begin() + static_cast<std::ptrdiff_t>(word_at),
                     bytes.begin() + static_cast<std::ptrdiff_t>(word_at) + 4);
      break;
    default: // a small number a little off
      if (bytes.size() >= 8) {
        std::uint32_t value;
        std::memcpy(&value, bytes.data() + word_at, 4);
        value += static_cast<std::uint32_t>(pick(5)) - 2u;
        std::memcpy(bytes.data() + word_at, &value, 4);
      }
    }
  }

  static void seal(Bytes& bytes) {
    bytes.resize(128 + (bytes.size() - 128) / 4 * 4);
    const std::uint64_t size = bytes.size() - 128;
    const std::uint32_t crc = bunraku::crc32(bytes.data() + 128, size);
    std::memcpy(bytes.data() + 12, &crc, 4);
    std::memcpy(bytes.data() + 16, &size, 8);
  }

  std::mt19937 m_random;
};

} // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 100000;
  const auto seeds = model_bytes::every_kind();
  Mutator mutator(2026);
  long refused = 0, played = 0;
  for (int i = 0; i < count; ++i) {
    const Bytes bytes = mutator.mutate(seeds[mutator.pick(seeds.size())].bytes);
    const Fate fate = play_bytes(bytes.data(), bytes.size());
    refused += fate == Fate::Refused;
    played += fate == Fate::Played;
    CHECK(fate != Fate::Wrong, "input %d: a defect, no message, or sound that is not finite", i);
  }
  std::printf("%d mutated files: %ld refused, %ld played", count, refused, played);
  CHECK(refused > count / 10 && played > count / 100, "the mutator does not reach both ends");
#if defined(__linux__)
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf(", at most %ld MiB", usage.ru_maxrss / 1024);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(usage.ru_maxrss < 512 * 1024, "%ld KiB of memory", usage.ru_maxrss);
#endif
#endif
  std::printf("\n");
  return check_kit::report();
}
