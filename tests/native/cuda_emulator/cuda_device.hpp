// The device that the emulator claims to be, and what it thinks of a launch.
#pragma once

#include <cstddef>

#include <driver_types.h>

namespace bunraku_emulator {

constexpr unsigned processors = 4;
constexpr unsigned cluster_processors = 16; // what one cluster may spread over

/// 80, 86, 90 or 100, from BUNRAKU_EMULATOR_SM.
int compute_capability();
std::size_t most_shared_bytes();

/// How a launch groups its blocks.
struct Grouping {
  bool cooperative = false;
  unsigned cluster_blocks = 0; // 0: no clusters
};

/// What CUDA would answer to this launch, and the grouping that its attributes ask for.
cudaError_t examine(const cudaLaunchConfig_t& config, const void* kernel, Grouping* grouping);

} // namespace bunraku_emulator
