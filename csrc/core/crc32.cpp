#include "crc32.hpp"

#include <array>

namespace bunraku {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit)
      remainder = (remainder >> 1) ^ ((remainder & 1u) ? 0xEDB88320u : 0u);
    table[byte] = remainder;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kTable = make_table();

} // namespace

std::uint32_t crc32(const void* data, std::size_t size_bytes) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::uint32_t remainder = 0xFFFFFFFFu;
  for (std::size_t i = 0; i < size_bytes; ++i)
    remainder = (remainder >> 8) ^ kTable[(remainder ^ bytes[i]) & 0xFFu];
  return ~remainder;
}

} // namespace bunraku
