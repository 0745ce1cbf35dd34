// CRC-32 of IEEE 802.3, the one that zlib and PNG use.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bunraku {

std::uint32_t crc32(const void* data, std::size_t size_bytes) noexcept; // any thread

} // namespace bunraku
