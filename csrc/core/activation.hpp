// The activations of the .nam format on one channel's frames, exact to a few units in the last
// place. Immutable; audio thread.
#pragma once

#include "model_spec.hpp"

namespace bunraku {

class Activation {
public:
  Activation() = default;
  explicit Activation(ActivationSpec spec);

  // In place; `channel` chooses the slope of a PReLU that has one for each.
  void apply(int channel, float* samples, int frames) const noexcept;

private:
  ActivationSpec m_spec;
};

} // namespace bunraku
