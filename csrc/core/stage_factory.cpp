#include "stage_factory.hpp"

#include "chain.hpp"
#include "convnet.hpp"
#include "gain.hpp"
#include "linear.hpp"
#include "lstm_fast.hpp"
#include "lstm_general.hpp"
#include "mix.hpp"
#include "resampler.hpp"
#include "slimmable.hpp"
#include "wavenet_fast.hpp"
#include "wavenet_general.hpp"

namespace bunraku {
namespace {

int add_param(std::vector<ParamInfo>& params, ParamInfo info) {
  if (params.size() == kMaxParams)
    throw Error(BK_ERROR_UNSUPPORTED, "the model has over " + std::to_string(kMaxParams) +
                                          " parameters: use fewer GAIN and MIX effects");
  params.push_back(std::move(info));
  return static_cast<int>(params.size()) - 1;
}

// Where in the file a chain's effects are made, and what they add to.
struct Site {
  double sample_rate_hz;
  const StageOptions& options;
  std::string path; // of the effect
  std::vector<ParamInfo>& params;
};

std::unique_ptr<Stage> make_gain(const GainSpec& gain, const Site& site) {
  const int index =
      add_param(site.params, {site.path + ".gain_db", "dB", -120.0f, 60.0f, gain.gain_db});
  return std::make_unique<GainStage>(index, site.sample_rate_hz);
}

std::unique_ptr<Stage> make_mix(const MixSpec& mix, const Site& site) {
  const int index = add_param(site.params, {site.path + ".wet", "ratio", 0.0f, 1.0f, mix.wet});
  auto chain =
      make_chain(*mix.chain, site.sample_rate_hz, site.options, site.path + ".", site.params);
  return std::make_unique<MixStage>(std::move(chain), index, site.sample_rate_hz);
}

std::unique_ptr<Stage> make_rate(const RateSpec& rate, const Site& site) {
  auto chain =
      make_chain(*rate.chain, rate.sample_rate_hz, site.options, site.path + ".", site.params);
  if (rate.sample_rate_hz == site.sample_rate_hz)
    return chain;
  return std::make_unique<RateStage>(std::move(chain), site.sample_rate_hz, rate.sample_rate_hz);
}

std::unique_ptr<Stage> make_node(const NodeSpec& node, const Site& site) {
  if (const auto* gain = std::get_if<GainSpec>(&node.value))
    return make_gain(*gain, site);
  if (const auto* mix = std::get_if<MixSpec>(&node.value))
    return make_mix(*mix, site);
  if (const auto* rate = std::get_if<RateSpec>(&node.value))
    return make_rate(*rate, site);
  auto network = make_network(node, site.options);
  if (network->in_channels() != 1 || network->out_channels() != 1)
    throw Error(
        BK_ERROR_UNSUPPORTED,
        "a network with " + std::to_string(network->in_channels()) + " inputs and " +
            std::to_string(network->out_channels()) +
            " outputs cannot stand in a chain: only 1 to 1 can (more only inside a WaveNet)");
  return network;
}

// The detector behind each fast path says null to whatever is not exactly its shape.
std::unique_ptr<Stage> make_wavenet(const WaveNetSpec& spec, const StageOptions& options) {
  if (!options.force_general)
    if (auto fast = make_wavenet_fast(spec, options.isa))
      return fast;
  return make_wavenet_general(spec,
                              spec.condition ? make_network(*spec.condition, options) : nullptr);
}

std::unique_ptr<Stage> make_lstm(const LstmSpec& spec, const StageOptions& options) {
  if (!options.force_general)
    if (auto fast = make_lstm_fast(spec, options.isa))
      return fast;
  return make_lstm_general(spec);
}

std::unique_ptr<Stage> make_slimmable(const SlimmableSpec& spec, const StageOptions& options) {
  std::vector<std::unique_ptr<const Stage>> networks;
  for (const NodeSpec& network : spec.networks)
    networks.push_back(make_network(network, options));
  return std::make_unique<SlimmableStage>(spec.max_values, std::move(networks));
}

} // namespace

std::unique_ptr<Stage> make_network(const NodeSpec& node, const StageOptions& options) {
  if (const auto* wavenet = std::get_if<WaveNetSpec>(&node.value))
    return make_wavenet(*wavenet, options);
  if (const auto* lstm = std::get_if<LstmSpec>(&node.value))
    return make_lstm(*lstm, options);
  if (const auto* convnet = std::get_if<ConvNetSpec>(&node.value))
    return make_convnet(*convnet);
  if (const auto* linear = std::get_if<LinearSpec>(&node.value))
    return make_linear(*linear);
  if (const auto* slimmable = std::get_if<SlimmableSpec>(&node.value))
    return make_slimmable(*slimmable, options);
  throw Error(BK_ERROR_FORMAT, "an effect stands where a network is needed");
}

std::unique_ptr<Stage> make_chain(const ChainSpec& chain, double sample_rate_hz,
                                  const StageOptions& options, const std::string& path,
                                  std::vector<ParamInfo>& params) {
  std::vector<std::unique_ptr<const Stage>> nodes;
  for (std::size_t i = 0; i < chain.nodes.size(); ++i) {
    const Site site{sample_rate_hz, options, path + std::to_string(i), params};
    nodes.push_back(make_node(chain.nodes[i], site));
  }
  return std::make_unique<ChainStage>(std::move(nodes));
}

} // namespace bunraku
