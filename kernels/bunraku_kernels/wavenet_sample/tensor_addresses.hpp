// The tensors of WaveNetWeights as Python passes them to both modules.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "bindings.hpp"
#include "wavenet_sample/network.hpp"

namespace bunraku_kernels {

inline WaveNetTensors tensors_at(const std::vector<std::uintptr_t>& addresses) {
  if (addresses.size() != 13)
    throw std::invalid_argument("13 tensor addresses are wanted, in the order of WaveNetWeights");
  const auto tensor = [&](std::size_t i) { return at<const float>(addresses[i]); };
  return {tensor(0), tensor(1), tensor(2), tensor(3),  tensor(4),  tensor(5), tensor(6),
          tensor(7), tensor(8), tensor(9), tensor(10), tensor(11), tensor(12)};
}

} // namespace bunraku_kernels
