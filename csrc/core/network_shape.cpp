#include "network_shape.hpp"

#include <algorithm>
#include <string>

#include "stage.hpp"

namespace bunraku {
namespace {

[[noreturn]] void misfit(const std::string& what) {
  throw Error(BK_ERROR_FORMAT, what + "; the file is damaged or was not made by `bunraku export`");
}

void require_equal(int got, int wanted, const char* what) {
  if (got != wanted)
    misfit(std::string(what) + " is " + std::to_string(got) + " where " + std::to_string(wanted) +
           " is needed");
}

// Weights of a (grouped) convolution without its bias.
std::int64_t conv_weights(int in, int out, int groups, int taps, const char* what) {
  if (groups < 1 || in % groups != 0 || out % groups != 0)
    misfit(std::string(what) + ": " + std::to_string(groups) + " groups do not divide " +
           std::to_string(in) + " inputs and " + std::to_string(out) + " outputs");
  return static_cast<std::int64_t>(in / groups) * out * taps;
}

void check_activation(const ActivationSpec& activation, int channels) {
  const std::size_t count = activation.parameters.size();
  bool fits = count == 0;
  if (activation.kind == ActivationKind::LeakyReLU)
    fits = count == 1;
  else if (activation.kind == ActivationKind::PReLU)
    fits = count == 1 || count == static_cast<std::size_t>(channels);
  else if (activation.kind == ActivationKind::LeakyHardtanh)
    fits = count == 4;
  if (!fits)
    misfit("an activation of kind " + std::to_string(static_cast<unsigned>(activation.kind)) +
           " on " + std::to_string(channels) + " channels has " + std::to_string(count) +
           " parameters");
}

struct Tally {
  std::int64_t weights = 0;
  std::int64_t multiplications = 0; // a bias only starts a sum
  std::int64_t lookback = 0;
  std::int64_t history = 0;

  void conv(int in, int out, int groups, int taps, int dilation, bool bias, const char* what) {
    const std::int64_t matrix = conv_weights(in, out, groups, taps, what);
    weights += matrix + (bias ? out : 0);
    multiplications += matrix;
    lookback += static_cast<std::int64_t>(dilation) * (taps - 1);
    history += static_cast<std::int64_t>(in) * dilation * (taps - 1);
  }
};

void tally_layer(Tally& tally, const WaveNetArraySpec& array, const WaveNetLayerSpec& layer) {
  const int z = z_channels(array, layer);
  tally.conv(array.channels, z, array.groups_input, layer.kernel_size, layer.dilation, true,
             "a layer's convolution");
  tally.conv(array.condition_size, z, array.groups_input_mixin, 1, 1, false, "an input mixin");
  if (array.layer1x1_active)
    tally.conv(array.bottleneck, array.channels, array.layer1x1_groups, 1, 1, true, "a layer1x1");
  if (array.head1x1_active)
    tally.conv(array.bottleneck, array.head1x1_out_channels, array.head1x1_groups, 1, 1, true,
               "a head1x1");
  for (std::size_t site = 0; site < kFilmSites; ++site) {
    const FilmSpec& film = array.films[site];
    if (film.active)
      tally.conv(array.condition_size,
                 (film.shift ? 2 : 1) * film_channels(array, layer, static_cast<FilmSite>(site)),
                 film.groups, 1, 1, true, "a FiLM");
  }
  check_activation(layer.activation, array.bottleneck);
  if (layer.gating != GatingMode::None)
    check_activation(layer.secondary_activation, array.bottleneck);
}

void tally_array(Tally& tally, const WaveNetArraySpec& array) {
  if (array.layers.empty())
    misfit("a layer array has no layers");
  if (!array.layer1x1_active) {
    require_equal(array.bottleneck, array.channels, "the bottleneck of an array without layer1x1");
    if (array.films[kLayer1x1Post].active)
      misfit("a layer1x1 FiLM is active where layer1x1 is not");
  }
  if (!array.head1x1_active && array.films[kHead1x1Post].active)
    misfit("a head1x1 FiLM is active where head1x1 is not");
  tally.conv(array.input_size, array.channels, 1, 1, 1, false, "a rechannel");
  for (const WaveNetLayerSpec& layer : array.layers)
    tally_layer(tally, array, layer);
  tally.conv(head_in_channels(array), array.head_out_channels, 1, array.head_kernel_size,
             array.head_dilation, array.head_bias, "a head rechannel");
}

} // namespace

int film_channels(const WaveNetArraySpec& array, const WaveNetLayerSpec& layer, FilmSite site) {
  switch (site) {
  case kConvPre:
  case kLayer1x1Post:
    return array.channels;
  case kConvPost:
  case kMixinPost:
  case kActivationPre:
    return z_channels(array, layer);
  case kMixinPre:
    return array.condition_size;
  case kActivationPost:
    return array.bottleneck;
  default:
    return array.head1x1_out_channels;
  }
}

NetworkShape shape_of(const WaveNetSpec& spec) {
  if (spec.arrays.empty())
    misfit("a WaveNet has no layer arrays");
  NetworkShape shape;
  shape.in_channels = spec.in_channels;
  int condition_size = spec.in_channels;
  Tally tally;
  if (spec.condition) {
    const NetworkShape condition = shape_of(*spec.condition);
    require_equal(condition.in_channels, spec.in_channels, "the condition network's input size");
    condition_size = condition.out_channels;
    tally.lookback = condition.receptive_field_frames - 1;
    tally.history = condition.history_floats;
    shape.flop_per_frame = condition.flop_per_frame;
  }
  int input_size = spec.in_channels;
  for (std::size_t i = 0; i < spec.arrays.size(); ++i) {
    const WaveNetArraySpec& array = spec.arrays[i];
    require_equal(array.input_size, input_size, "a layer array's input size");
    require_equal(array.condition_size, condition_size, "a layer array's condition size");
    if (i > 0)
      require_equal(head_in_channels(array), spec.arrays[i - 1].head_out_channels,
                    "a layer array's head input size");
    tally_array(tally, array);
    input_size = array.channels;
  }
  int head_channels = spec.arrays.back().head_out_channels;
  if (spec.post_head) {
    const WaveNetPostHeadSpec& head = *spec.post_head;
    if (head.kernel_sizes.empty())
      misfit("a post-stack head has no kernels");
    for (std::size_t i = 0; i < head.kernel_sizes.size(); ++i) {
      const int out = i + 1 == head.kernel_sizes.size() ? head.out_channels : head.channels;
      check_activation(head.activation, head_channels);
      tally.conv(head_channels, out, 1, head.kernel_sizes[i], 1, true, "a post-stack head");
      head_channels = out;
    }
  }
  shape.out_channels = head_channels;
  shape.weight_count = tally.weights + 1; // head_scale
  shape.receptive_field_frames = tally.lookback + 1;
  shape.history_floats = tally.history;
  shape.flop_per_frame += 2.0 * static_cast<double>(tally.multiplications);
  return shape;
}

NetworkShape shape_of(const LstmSpec& spec) {
  NetworkShape shape;
  shape.in_channels = spec.input_size;
  shape.out_channels = spec.out_channels;
  const std::int64_t hidden = spec.hidden_size;
  for (int layer = 0; layer < spec.layer_count; ++layer) {
    const std::int64_t input = layer == 0 ? spec.input_size : spec.hidden_size;
    shape.weight_count += 4 * hidden * (input + hidden) + 4 * hidden + 2 * hidden;
    shape.flop_per_frame += 2.0 * static_cast<double>(4 * hidden * (input + hidden));
  }
  shape.weight_count += spec.out_channels * (hidden + 1);
  shape.flop_per_frame += 2.0 * static_cast<double>(spec.out_channels * hidden);
  shape.receptive_field_frames = kLstmPrewarmFrames;
  shape.history_floats = 2 * hidden * spec.layer_count;
  return shape;
}

NetworkShape shape_of(const ConvNetSpec& spec) {
  if (spec.dilations.empty())
    misfit("a ConvNet has no layers");
  NetworkShape shape;
  shape.in_channels = spec.in_channels;
  shape.out_channels = spec.out_channels;
  check_activation(spec.activation, spec.channels);
  Tally tally;
  int in = spec.in_channels;
  for (int dilation : spec.dilations) {
    tally.conv(in, spec.channels, spec.groups, 2, dilation, !spec.batchnorm, "a ConvNet layer");
    if (spec.batchnorm)
      tally.weights += 4 * spec.channels + 1; // mean, variance, weight, bias; epsilon
    in = spec.channels;
  }
  tally.conv(spec.channels, spec.out_channels, 1, 1, 1, true, "a ConvNet head");
  shape.weight_count = tally.weights;
  shape.receptive_field_frames = tally.lookback + 1;
  shape.history_floats = tally.history;
  shape.flop_per_frame = 2.0 * static_cast<double>(tally.multiplications);
  return shape;
}

NetworkShape shape_of(const LinearSpec& spec) {
  NetworkShape shape;
  shape.in_channels = spec.in_channels;
  shape.out_channels = spec.out_channels;
  shape.weight_count = spec.receptive_field + (spec.bias ? 1 : 0);
  shape.receptive_field_frames = spec.receptive_field;
  const int channels = std::min(spec.in_channels, spec.out_channels);
  shape.history_floats = static_cast<std::int64_t>(channels) * spec.receptive_field;
  shape.flop_per_frame = 2.0 * channels * spec.receptive_field;
  return shape;
}

NetworkShape shape_of(const SlimmableSpec& spec) {
  if (spec.networks.empty())
    misfit("a slimmable model has no networks");
  NetworkShape whole;
  for (std::size_t i = 0; i < spec.networks.size(); ++i) {
    const NetworkShape one = shape_of(spec.networks[i]);
    if (i > 0) {
      require_equal(one.in_channels, whole.in_channels, "a slimmable network's input size");
      require_equal(one.out_channels, whole.out_channels, "a slimmable network's output size");
    }
    whole.in_channels = one.in_channels;
    whole.out_channels = one.out_channels;
    whole.receptive_field_frames =
        std::max(whole.receptive_field_frames, one.receptive_field_frames);
    whole.history_floats = std::max(whole.history_floats, one.history_floats);
    whole.flop_per_frame = one.flop_per_frame; // of the last: size 1
  }
  return whole;
}

NetworkShape shape_of(const NodeSpec& node) {
  if (const auto* wavenet = std::get_if<WaveNetSpec>(&node.value))
    return shape_of(*wavenet);
  if (const auto* lstm = std::get_if<LstmSpec>(&node.value))
    return shape_of(*lstm);
  if (const auto* convnet = std::get_if<ConvNetSpec>(&node.value))
    return shape_of(*convnet);
  if (const auto* linear = std::get_if<LinearSpec>(&node.value))
    return shape_of(*linear);
  if (const auto* slimmable = std::get_if<SlimmableSpec>(&node.value))
    return shape_of(*slimmable);
  misfit("an effect stands where a network is needed");
}

} // namespace bunraku
