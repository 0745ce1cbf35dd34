// libFuzzer over the flat model file: what is accepted also plays a few blocks.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/crc32.hpp"
#include "play_bytes.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (play_bytes(data, size) == Fate::Wrong)
    std::abort();
  if (size <= 128)
    return 0;
  // Once more with a right length and checksum, which no fuzzer finds by itself.
  std::vector<unsigned char> sealed(data, data + 128 + (size - 128) / 4 * 4);
  const std::uint64_t payload = sealed.size() - 128;
  const std::uint32_t crc = bunraku::crc32(sealed.data() + 128, payload);
  std::memcpy(sealed.data() + 12, &crc, 4);
  std::memcpy(sealed.data() + 16, &payload, 8);
  if (play_bytes(sealed.data(), sealed.size()) == Fate::Wrong)
    std::abort();
  return 0;
}
