// A causal convolution of any shape: grouped, dilated, with or without bias; a 1x1 is one with one
// tap. Immutable; apply() is for the audio thread.
#pragma once

#include <vector>

#include "history.hpp"
#include "weight_cursor.hpp"

namespace bunraku {

struct ConvShape {
  int in_channels = 1;
  int out_channels = 1;
  int groups = 1;
  int taps = 1;
  int dilation = 1;
  bool bias = true;
};

class GeneralConv {
public:
  // Takes its weights, ordered [out][in / groups][tap], then the biases.
  GeneralConv(const ConvShape& shape, WeightCursor& weights);

  const ConvShape& shape() const noexcept { return m_shape; }
  int lookback_frames() const noexcept { return m_shape.dilation * (m_shape.taps - 1); }

  // y = scale * conv(x) + shift for each output: how a batch normalisation is folded in.
  void fold(const std::vector<float>& scale, const std::vector<float>& shift);

  // Planes kChunkFrames apart; frames <= kChunkFrames; in and out must not overlap.
  void apply(const float* in, float* out, int frames) const noexcept; // one tap
  void apply(const History& in, float* out, int frames) const noexcept;

private:
  static constexpr int kLanes = 4; // outputs worked on together

  void run(const float* const* taps, std::size_t channel_stride, float* out,
           int frames) const noexcept;

  ConvShape m_shape;
  int m_in_per_group;
  int m_out_per_group;
  std::vector<float> m_weights; // [group][lane block][in][tap][lane]
  std::vector<float> m_biases;  // [group][lane block][lane]
};

} // namespace bunraku
