#include "chain.hpp"

#include <algorithm>

namespace bunraku {
namespace {

class ChainVoice final : public Voice {
public:
  explicit ChainVoice(std::vector<std::unique_ptr<Voice>> nodes) : m_nodes(std::move(nodes)) {}

  void process(const float* const* in, float* const* out, int frames) noexcept override {
    if (m_nodes.empty()) {
      std::copy(in[0], in[0] + frames, out[0]);
      return;
    }
    m_nodes.front()->process(in, out, frames);
    for (std::size_t i = 1; i < m_nodes.size(); ++i)
      m_nodes[i]->process(out, out, frames);
  }

  void reset() noexcept override {
    for (const auto& node : m_nodes)
      node->reset();
  }

  void keep_as_prewarmed() override {
    for (const auto& node : m_nodes)
      node->keep_as_prewarmed();
  }

private:
  std::vector<std::unique_ptr<Voice>> m_nodes;
};

// A stranger's file may ask for a chain that hears minutes back: what it made of silence is settled
// long before that, and opening a stream must end.
constexpr int kMaxSilenceFrames = 1 << 16;
constexpr double kMaxSilenceFlop = 2e10; // seconds of work; two A1 standard networks take 1e9

int silence_frames(const ChainStage& chain) {
  const int heard =
      std::min(chain.receptive_field_frames() + chain.latency_frames(), kMaxSilenceFrames);
  return static_cast<int>(
      std::min<double>(heard, kMaxSilenceFlop / std::max(1.0, chain.flop_per_frame())));
}

} // namespace

ChainStage::ChainStage(std::vector<std::unique_ptr<const Stage>> nodes)
    : m_nodes(std::move(nodes)) {}

std::unique_ptr<Voice> ChainStage::open_voice(const VoiceConfig& config) const {
  std::vector<std::unique_ptr<Voice>> voices;
  for (const auto& node : m_nodes)
    voices.push_back(node->open_voice(config));
  auto chain = std::make_unique<ChainVoice>(std::move(voices));

  // Each voice opens as after silence at its own input. A network seldom answers silence with
  // silence, so behind one the others have to hear its answer before the chain is prewarmed.
  const auto remembers = [](const auto& node) { return node->receptive_field_frames() > 1; };
  if (std::count_if(m_nodes.begin(), m_nodes.end(), remembers) > 1) {
    std::vector<float> silence(static_cast<std::size_t>(config.max_block_frames), 0.0f);
    std::vector<float> heard(silence.size());
    const float* in = silence.data();
    float* out = heard.data();
    int left = silence_frames(*this);
    while (left > 0) {
      const int frames = std::min(left, config.max_block_frames);
      chain->process(&in, &out, frames);
      left -= frames;
    }
    chain->keep_as_prewarmed();
  }
  return chain;
}

int ChainStage::latency_frames() const noexcept {
  int sum = 0;
  for (const auto& node : m_nodes)
    sum += node->latency_frames();
  return sum;
}

int ChainStage::receptive_field_frames() const noexcept {
  int sum = 1;
  for (const auto& node : m_nodes)
    sum += node->receptive_field_frames() - 1;
  return sum;
}

double ChainStage::flop_per_frame() const noexcept {
  double sum = 0.0;
  for (const auto& node : m_nodes)
    sum += node->flop_per_frame();
  return sum;
}

bool ChainStage::is_fast() const noexcept {
  return std::all_of(m_nodes.begin(), m_nodes.end(),
                     [](const auto& node) { return node->is_fast(); });
}

} // namespace bunraku
