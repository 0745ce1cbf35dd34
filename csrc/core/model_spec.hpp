// What a flat model file says, as plain data: the tree the reader builds and the stages are made
// of. docs/flat-format.md describes the bytes; the order of weights is the .nam format's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace bunraku {

struct ChainSpec;

enum class ActivationKind : std::uint32_t {
  Tanh = 1,
  Hardtanh = 2,
  Fasttanh = 3,
  ReLU = 4,
  LeakyReLU = 5, // parameters: {negative_slope}
  PReLU = 6,     // parameters: one slope for each channel, or one for all
  Sigmoid = 7,
  SiLU = 8,
  Hardswish = 9,
  LeakyHardtanh = 10, // parameters: {min, max, min_slope, max_slope}
  Softsign = 11,
};

struct ActivationSpec {
  ActivationKind kind = ActivationKind::Tanh;
  std::vector<float> parameters;
};

enum class GatingMode : std::uint32_t { None = 0, Gated = 1, Blended = 2 };

struct FilmSpec {
  bool active = false;
  bool shift = false;
  int groups = 1;
};

// In the order of the file and of the weights.
enum FilmSite : std::size_t {
  kConvPre,
  kConvPost,
  kMixinPre,
  kMixinPost,
  kActivationPre,
  kActivationPost,
  kLayer1x1Post,
  kHead1x1Post,
  kFilmSites
};

struct WaveNetLayerSpec {
  int kernel_size = 0;
  int dilation = 0;
  GatingMode gating = GatingMode::None;
  ActivationSpec activation;
  ActivationSpec secondary_activation;
};

struct WaveNetArraySpec {
  int input_size = 0;
  int condition_size = 0;
  int channels = 0;
  int bottleneck = 0;
  int groups_input = 1;
  int groups_input_mixin = 1;
  bool layer1x1_active = true;
  int layer1x1_groups = 1;
  bool head1x1_active = false;
  int head1x1_out_channels = 0;
  int head1x1_groups = 1;
  int head_out_channels = 0;
  int head_kernel_size = 1;
  bool head_bias = false;
  int head_dilation = 1;
  std::array<FilmSpec, kFilmSites> films;
  std::vector<WaveNetLayerSpec> layers;
};

struct WaveNetPostHeadSpec {
  int channels = 0;
  int out_channels = 0;
  ActivationSpec activation;
  std::vector<int> kernel_sizes;
};

struct NodeSpec;

struct WaveNetSpec {
  int in_channels = 1;
  std::unique_ptr<NodeSpec> condition; // a network that makes the conditioning signal, or null
  std::vector<WaveNetArraySpec> arrays;
  std::unique_ptr<WaveNetPostHeadSpec> post_head; // or null
  std::vector<float> weights;                     // .nam order; the last is head_scale
};

struct LstmSpec {
  int input_size = 1;
  int hidden_size = 0;
  int layer_count = 0;
  int out_channels = 1;
  std::vector<float> weights; // per layer W[4H][in+H], bias[4H], h0[H], c0[H]; then head
};

struct ConvNetSpec {
  int in_channels = 1;
  int out_channels = 1;
  int channels = 0;
  int groups = 1;
  bool batchnorm = false;
  ActivationSpec activation;
  std::vector<int> dilations;
  std::vector<float> weights;
};

struct LinearSpec {
  int in_channels = 1;
  int out_channels = 1;
  int receptive_field = 0;
  bool bias = false;
  std::vector<float> weights;
};

// The first network whose max_value exceeds the wanted size, else the last.
struct SlimmableSpec {
  std::vector<float> max_values;
  std::vector<NodeSpec> networks;
};

struct GainSpec {
  float gain_db = 0.0f;
};

// out = wet * chain(in) + (1 - wet) * in, the dry signal delayed by the chain's latency.
struct MixSpec {
  float wet = 1.0f;
  std::unique_ptr<ChainSpec> chain;
};

// A chain that runs at a rate of its own, resampled on the way in and out.
struct RateSpec {
  double sample_rate_hz = 0.0;
  std::unique_ptr<ChainSpec> chain;
};

struct NodeSpec {
  std::variant<GainSpec, MixSpec, RateSpec, WaveNetSpec, LstmSpec, ConvNetSpec, LinearSpec,
               SlimmableSpec>
      value;
};

struct ChainSpec {
  std::vector<NodeSpec> nodes;
};

struct ModelSpec {
  double sample_rate_hz = 48000.0;
  std::string name;
  ChainSpec chain;
};

} // namespace bunraku
