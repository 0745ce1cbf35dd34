// Bytes of a flat model file (docs/flat-format.md) to a checked ModelSpec.
#pragma once

#include <cstddef>

#include "model_spec.hpp"

namespace bunraku {

constexpr std::size_t kHeaderBytes = 128;
constexpr std::size_t kMaxPayloadBytes = std::size_t{64} << 20;

// The bytes come from a stranger: every length, count, number and shape is checked before it is
// used, and memory stays in proportion to `size_bytes`. Throws Error (BK_ERROR_FORMAT or
// BK_ERROR_UNSUPPORTED). Control thread.
ModelSpec read_model(const void* data, std::size_t size_bytes);

} // namespace bunraku
