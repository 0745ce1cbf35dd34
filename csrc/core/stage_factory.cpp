#include "stage_factory.hpp"

#include "chain.hpp"
#include "convnet.hpp"
#include "gain.hpp"
#include "linear.hpp"
#include "lstm_fast.hpp"
#include "lstm_general.hpp"
#include "mix.hpp"
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

class ChainBuilder {
public:
  ChainBuilder(double sample_rate_hz, const StageOptions& options, std::string path,
               std::vector<ParamInfo>& params)
      : m_rate_hz(sample_rate_hz), m_options(options), m_path(std::move(path)), m_params(params) {}

  std::unique_ptr<Stage> operator()(const GainSpec& gain) const {
    const int index =
        add_param(m_params, {m_path + ".gain_db", "dB", -120.0f, 60.0f, gain.gain_db});
    return std::make_unique<GainStage>(index, m_rate_hz);
  }

  std::unique_ptr<Stage> operator()(const MixSpec& mix) const {
    const int index = add_param(m_params, {m_path + ".wet", "ratio", 0.0f, 1.0f, mix.wet});
    auto chain = make_chain(*mix.chain, m_rate_hz, m_options, m_path + ".", m_params);
    return std::make_unique<MixStage>(std::move(chain), index, m_rate_hz);
  }

private:
  double m_rate_hz;
  const StageOptions& m_options;
  std::string m_path;
  std::vector<ParamInfo>& m_params;
};

std::unique_ptr<Stage> make_node(const NodeSpec& node, const ChainBuilder& builder,
                                 const StageOptions& options) {
  if (const auto* gain = std::get_if<GainSpec>(&node.value))
    return builder(*gain);
  if (const auto* mix = std::get_if<MixSpec>(&node.value))
    return builder(*mix);
  auto network = make_network(node, options);
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
    const ChainBuilder builder(sample_rate_hz, options, path + std::to_string(i), params);
    nodes.push_back(make_node(chain.nodes[i], builder, options));
  }
  return std::make_unique<ChainStage>(std::move(nodes));
}

} // namespace bunraku
