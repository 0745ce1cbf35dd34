// What a network's shape implies: whether it fits together, how many weights it has, how far back
// it hears, and how much memory and arithmetic a voice of it takes. Used by the reader (a file must
// be exactly what its shape says) and by the general stages. Control thread.
#pragma once

#include <cstdint>

#include "model_spec.hpp"

namespace bunraku {

struct NetworkShape {
  int in_channels = 1;
  int out_channels = 1;
  std::int64_t weight_count = 0; // of its own; a condition network has its own list
  std::int64_t receptive_field_frames = 1;
  std::int64_t history_floats = 0; // what one voice remembers
  double flop_per_frame = 0.0;
};

// Throw Error(BK_ERROR_FORMAT) where the parts do not fit together.
NetworkShape shape_of(const WaveNetSpec& spec);
NetworkShape shape_of(const LstmSpec& spec);
NetworkShape shape_of(const ConvNetSpec& spec);
NetworkShape shape_of(const LinearSpec& spec);
NetworkShape shape_of(const SlimmableSpec& spec);
NetworkShape shape_of(const NodeSpec& node); // a network; throws for effects

// The size an activation or FiLM site of a layer works on.
inline int z_channels(const WaveNetArraySpec& array, const WaveNetLayerSpec& layer) {
  return layer.gating == GatingMode::None ? array.bottleneck : 2 * array.bottleneck;
}
inline int head_in_channels(const WaveNetArraySpec& array) {
  return array.head1x1_active ? array.head1x1_out_channels : array.bottleneck;
}
int film_channels(const WaveNetArraySpec& array, const WaveNetLayerSpec& layer, FilmSite site);

// An LSTM has no end to its memory: half a second at 48 kHz of silence is what the .nam format's
// reference player lets it hear before the first block.
constexpr int kLstmPrewarmFrames = 24000;

} // namespace bunraku
