// The ring keeps order and loses nothing, whatever the pieces; run it under ThreadSanitizer too.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <thread>
#include <vector>

#include "core/spsc_ring.hpp"

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  if (!ok) {
    std::fprintf(stderr, "failed: %s\n", what);
    ++failures;
  }
}

struct Dice { // the minimal standard generator: the same pieces on every machine
  std::uint64_t state;
  std::size_t next(std::size_t most) {
    state = state * 48271u % 2147483647u;
    return static_cast<std::size_t>(state) % most + 1;
  }
};

float value_at(std::uint64_t index) {
  return static_cast<float>(index % 8388593u);
}

void test_all_or_nothing() {
  bunraku::SpscRing ring(16);
  check(ring.capacity() == 16, "a power of two is kept");
  check(bunraku::SpscRing(17).capacity() == 32, "else rounded up");
  std::vector<float> data(17), got(17, -1.0f);
  std::iota(data.begin(), data.end(), 0.0f);
  check(!ring.write(data.data(), 17), "more than the capacity is refused");
  check(ring.write(data.data(), 16), "the capacity fits");
  check(!ring.write(data.data(), 1), "a full ring refuses");
  check(!ring.read(got.data(), 17), "more than there is is not read");
  check(got[0] == -1.0f, "a refused read writes nothing");
  check(ring.read(got.data(), 10) && got[9] == 9.0f, "reads in order");
  check(ring.write(data.data(), 10), "freed space is usable, across the seam");
  check(ring.peek(got.data(), 16) && ring.read_available() == 16, "peek consumes nothing");
  check(got[5] == 15.0f && got[6] == 0.0f && got[15] == 9.0f, "the seam is invisible");
  check(ring.discard(100) == 16 && ring.read_available() == 0, "discard takes what is there");
  check(!ring.write_parts(data.data(), 10, data.data(), 7), "parts are all or nothing");
  check(ring.write_parts(data.data(), 2, data.data() + 5, 3), "parts are written");
  check(ring.read(got.data(), 5) && got[1] == 1.0f && got[2] == 5.0f, "parts join");
}

void test_two_threads(std::size_t capacity, std::uint64_t total) {
  bunraku::SpscRing ring(capacity);
  std::thread writer([&] {
    std::vector<float> piece(capacity);
    Dice dice{1};
    for (std::uint64_t sent = 0; sent < total;) {
      const std::size_t count = dice.next(capacity / 2);
      for (std::size_t i = 0; i < count; ++i) {
        piece[i] = value_at(sent + i);
      }
      const std::size_t cut = dice.next(count) - 1;
      if (ring.write_parts(piece.data(), cut, piece.data() + cut, count - cut)) {
        sent += count;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::vector<float> piece(capacity);
  Dice dice{2};
  std::uint64_t wrong = 0;
  for (std::uint64_t got = 0; got < total;) {
    const std::size_t ready = ring.read_available();
    if (ready == 0) {
      std::this_thread::yield();
      continue;
    }
    const std::size_t count = dice.next(ready);
    if (!ring.read(piece.data(), count)) {
      ++wrong;
      break;
    }
    for (std::size_t i = 0; i < count; ++i) {
      wrong += piece[i] == value_at(got + i) ? 0 : 1;
    }
    got += count;
  }
  while (ring.discard(capacity) > 0) { // the writer may have overshot the total
  }
  writer.join();
  check(wrong == 0, "every float arrives once and in order");
}

} // namespace

int main() {
  test_all_or_nothing();
  test_two_threads(16, 200000);
  test_two_threads(64, 500000);
  test_two_threads(4096, 4000000);
  std::puts(failures == 0 ? "spsc ring: ok" : "spsc ring: FAILED");
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
