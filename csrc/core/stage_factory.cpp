#include "stage_factory.hpp"

#include "chain.hpp"
#include "gain.hpp"
#include "mix.hpp"

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

} // namespace

std::unique_ptr<Stage> make_network(const NodeSpec&, const StageOptions&) {
  throw Error(BK_ERROR_UNSUPPORTED, "this build plays no networks yet");
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
