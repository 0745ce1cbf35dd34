// How fast one core reads a piece of memory again and again: the roof of sampling a single stream.
#pragma once

#include <cstddef>
#include <string>

namespace bunraku_kernels {

// GB/s (1e9) of the best of short runs over `bytes`, with the instruction set that
// PackedWaveNet would take for `isa`.
double read_bandwidth(std::size_t bytes, const std::string& isa);

} // namespace bunraku_kernels
