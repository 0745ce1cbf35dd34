#include "convnet.hpp"

#include <algorithm>
#include <cmath>

#include "activation.hpp"
#include "general_conv.hpp"
#include "network_shape.hpp"

namespace bunraku {
namespace {

constexpr std::size_t kPlane = kChunkFrames;

struct Network {
  std::vector<GeneralConv> blocks;
  Activation activation;
  std::vector<GeneralConv> head; // one; a vector because it is read last
};

void fold_batchnorm(GeneralConv& conv, int channels, WeightCursor& weights) {
  const std::vector<float> mean = weights.take(channels);
  const std::vector<float> variance = weights.take(channels);
  std::vector<float> scale = weights.take(channels);
  std::vector<float> shift = weights.take(channels);
  const float epsilon = weights.next();
  for (std::size_t i = 0; i < scale.size(); ++i) {
    scale[i] /= std::sqrt(epsilon + variance[i]);
    shift[i] -= scale[i] * mean[i];
  }
  conv.fold(scale, shift);
}

Network make_network_of(const ConvNetSpec& spec) {
  WeightCursor weights(spec.weights);
  Network network;
  network.activation = Activation(spec.activation);
  int in = spec.in_channels;
  for (int dilation : spec.dilations) {
    network.blocks.emplace_back(
        ConvShape{in, spec.channels, spec.groups, 2, dilation, !spec.batchnorm}, weights);
    if (spec.batchnorm)
      fold_batchnorm(network.blocks.back(), spec.channels, weights);
    in = spec.channels;
  }
  network.head.emplace_back(ConvShape{in, spec.out_channels, 1, 1, 1, true}, weights);
  return network;
}

class ConvNetVoice final : public Voice {
public:
  ConvNetVoice(const Network& network, const NetworkShape& shape, int widest)
      : m_network(network), m_shape(shape),
        m_planes(2 * static_cast<std::size_t>(widest) * kPlane) {
    for (const GeneralConv& conv : network.blocks)
      m_histories.add(conv.shape().in_channels, conv.lookback_frames());
    m_histories.bind();
    m_x = m_planes.data();
    m_y = m_x + static_cast<std::size_t>(widest) * kPlane;
    prewarm();
  }

  void process(const float* const* in, float* const* out, int frames) noexcept override {
    for (int done = 0; done < frames;) {
      const int chunk = std::min(kChunkFrames, frames - done);
      for (int channel = 0; channel < m_shape.in_channels; ++channel)
        std::copy(in[channel] + done, in[channel] + done + chunk, plane(m_x, channel));
      run_chunk(chunk, false);
      for (int channel = 0; channel < m_shape.out_channels; ++channel)
        std::copy(plane(m_x, channel), plane(m_x, channel) + chunk, out[channel] + done);
      done += chunk;
    }
  }

  void reset() noexcept override { m_histories.restore(); }
  void keep_as_prewarmed() override { m_histories.keep(); }

private:
  static float* plane(float* planes, int channel) noexcept {
    return planes + static_cast<std::size_t>(channel) * kPlane;
  }

  // After an endless silence each convolution has heard one constant: see WaveNetVoice.
  void prewarm() {
    std::fill(m_planes.begin(), m_planes.end(), 0.0f);
    run_chunk(1, true);
    keep_as_prewarmed();
  }

  // From m_x to m_x.
  void run_chunk(int frames, bool prewarming) noexcept {
    for (std::size_t i = 0; i < m_network.blocks.size(); ++i) {
      const GeneralConv& conv = m_network.blocks[i];
      History& history = m_histories[i];
      if (prewarming)
        history.fill(m_x, kPlane);
      else
        history.write(m_x, kPlane, frames);
      conv.apply(history, m_y, frames);
      history.advance(frames);
      for (int channel = 0; channel < conv.shape().out_channels; ++channel)
        m_network.activation.apply(channel, plane(m_y, channel), frames);
      std::swap(m_x, m_y);
    }
    m_network.head.front().apply(m_x, m_y, frames);
    std::swap(m_x, m_y);
  }

  const Network& m_network;
  const NetworkShape m_shape;
  HistoryBank m_histories;
  std::vector<float> m_planes;
  float *m_x = nullptr, *m_y = nullptr;
};

class ConvNetStage final : public Stage {
public:
  explicit ConvNetStage(const ConvNetSpec& spec)
      : m_shape(shape_of(spec)), m_network(make_network_of(spec)),
        m_widest(std::max({spec.in_channels, spec.channels, spec.out_channels})) {}

  std::unique_ptr<Voice> open_voice(const VoiceConfig&) const override {
    return std::make_unique<ConvNetVoice>(m_network, m_shape, m_widest);
  }
  int in_channels() const noexcept override { return m_shape.in_channels; }
  int out_channels() const noexcept override { return m_shape.out_channels; }
  int receptive_field_frames() const noexcept override {
    return static_cast<int>(m_shape.receptive_field_frames);
  }
  double flop_per_frame() const noexcept override { return m_shape.flop_per_frame; }
  bool is_fast() const noexcept override { return false; }

private:
  NetworkShape m_shape;
  Network m_network;
  int m_widest;
};

} // namespace

std::unique_ptr<Stage> make_convnet(const ConvNetSpec& spec) {
  return std::make_unique<ConvNetStage>(spec);
}

} // namespace bunraku
