#include "wavenet_general.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "activation.hpp"
#include "general_conv.hpp"
#include "network_shape.hpp"

namespace bunraku {
namespace {

constexpr std::size_t kPlane = kChunkFrames;

// Scale, and maybe shift, each channel by what a 1x1 convolution makes of the condition.
struct Film {
  GeneralConv conv;
  bool shift;
  int channels;

  // in and out may be the same planes.
  void apply(const float* condition, const float* in, float* out, float* scratch,
             int frames) const noexcept {
    conv.apply(condition, scratch, frames);
    for (int channel = 0; channel < channels; ++channel) {
      const std::size_t at = static_cast<std::size_t>(channel) * kPlane;
      const float* scale = scratch + at;
      const float* offset = scratch + static_cast<std::size_t>(channels) * kPlane + at;
      for (int frame = 0; frame < frames; ++frame)
        out[at + static_cast<std::size_t>(frame)] =
            in[at + static_cast<std::size_t>(frame)] * scale[frame] +
            (shift ? offset[frame] : 0.0f);
    }
  }
};

struct Layer {
  GeneralConv conv, mixin;
  std::unique_ptr<GeneralConv> layer1x1, head1x1;
  std::array<std::unique_ptr<Film>, kFilmSites> films;
  Activation activation, secondary;
  GatingMode gating;
  int channels, bottleneck;
};

struct Array {
  GeneralConv rechannel;
  std::vector<Layer> layers;
  GeneralConv head;
};

struct Network {
  std::vector<Array> arrays;
  std::vector<GeneralConv> post_head;
  Activation post_activation;
  float head_scale = 1.0f;
  int widest = 1; // the most planes any intermediate needs
};

std::unique_ptr<GeneralConv> optional_conv(bool active, const ConvShape& shape,
                                           WeightCursor& weights) {
  return active ? std::make_unique<GeneralConv>(shape, weights) : nullptr;
}

Layer make_layer(const WaveNetArraySpec& array, const WaveNetLayerSpec& spec,
                 WeightCursor& weights) {
  const int z = z_channels(array, spec);
  GeneralConv conv({array.channels, z, array.groups_input, spec.kernel_size, spec.dilation, true},
                   weights);
  GeneralConv mixin({array.condition_size, z, array.groups_input_mixin, 1, 1, false}, weights);
  Layer layer{std::move(conv),
              std::move(mixin),
              nullptr,
              nullptr,
              {},
              Activation(spec.activation),
              Activation(spec.secondary_activation),
              spec.gating,
              array.channels,
              array.bottleneck};
  layer.layer1x1 =
      optional_conv(array.layer1x1_active,
                    {array.bottleneck, array.channels, array.layer1x1_groups, 1, 1, true}, weights);
  layer.head1x1 = optional_conv(
      array.head1x1_active,
      {array.bottleneck, array.head1x1_out_channels, array.head1x1_groups, 1, 1, true}, weights);
  for (std::size_t site = 0; site < kFilmSites; ++site) {
    const FilmSpec& film = array.films[site];
    if (!film.active)
      continue;
    const int channels = film_channels(array, spec, static_cast<FilmSite>(site));
    layer.films[site] = std::make_unique<Film>(
        Film{GeneralConv(
                 {array.condition_size, (film.shift ? 2 : 1) * channels, film.groups, 1, 1, true},
                 weights),
             film.shift, channels});
  }
  return layer;
}

int widest_of(const WaveNetSpec& spec) {
  int widest = spec.in_channels;
  for (const WaveNetArraySpec& array : spec.arrays)
    widest = std::max({widest, array.channels, 2 * array.bottleneck, array.head_out_channels,
                       array.head1x1_out_channels, array.condition_size});
  if (spec.post_head)
    widest = std::max({widest, spec.post_head->channels, spec.post_head->out_channels});
  return widest;
}

Network make_network_of(const WaveNetSpec& spec) {
  WeightCursor weights(spec.weights);
  Network network;
  network.widest = widest_of(spec);
  for (const WaveNetArraySpec& array : spec.arrays) {
    GeneralConv rechannel({array.input_size, array.channels, 1, 1, 1, false}, weights);
    std::vector<Layer> layers;
    for (const WaveNetLayerSpec& layer : array.layers)
      layers.push_back(make_layer(array, layer, weights));
    GeneralConv head({head_in_channels(array), array.head_out_channels, 1, array.head_kernel_size,
                      array.head_dilation, array.head_bias},
                     weights);
    network.arrays.push_back({std::move(rechannel), std::move(layers), std::move(head)});
  }
  if (spec.post_head) {
    network.post_activation = Activation(spec.post_head->activation);
    int in = spec.arrays.back().head_out_channels;
    for (std::size_t i = 0; i < spec.post_head->kernel_sizes.size(); ++i) {
      const bool last = i + 1 == spec.post_head->kernel_sizes.size();
      const int out = last ? spec.post_head->out_channels : spec.post_head->channels;
      network.post_head.push_back(
          GeneralConv({in, out, 1, spec.post_head->kernel_sizes[i], 1, true}, weights));
      in = out;
    }
  }
  network.head_scale = weights.next();
  return network;
}

class WaveNetVoice final : public Voice {
public:
  WaveNetVoice(const Network& network, const NetworkShape& shape, std::unique_ptr<Voice> condition,
               int condition_channels)
      : m_network(network), m_shape(shape), m_condition(std::move(condition)),
        m_condition_channels(condition_channels) {
    reserve_histories();
    reserve_planes();
    prewarm();
  }

  void process(const float* const* in, float* const* out, int frames) noexcept override {
    for (int done = 0; done < frames;) {
      const int chunk = std::min(kChunkFrames, frames - done);
      run_chunk(in, out, done, chunk);
      done += chunk;
    }
  }

  void reset() noexcept override {
    m_histories.restore();
    if (m_condition)
      m_condition->reset();
  }

  void keep_as_prewarmed() override {
    m_histories.keep();
    if (m_condition)
      m_condition->keep_as_prewarmed();
  }

private:
  void reserve_histories() {
    const auto reserve = [this](const GeneralConv& conv) {
      if (conv.lookback_frames() > 0)
        m_histories.add(conv.shape().in_channels, conv.lookback_frames());
    };
    for (const Array& array : m_network.arrays) {
      for (const Layer& layer : array.layers)
        reserve(layer.conv);
      reserve(array.head);
    }
    for (const GeneralConv& conv : m_network.post_head)
      reserve(conv);
    m_histories.bind();
  }

  void reserve_planes() {
    const std::size_t planes = static_cast<std::size_t>(m_network.widest) * kPlane;
    m_planes.assign(planes * 8, 0.0f); // a FiLM's scratch takes two: scales and shifts
    float* next = m_planes.data();
    for (float** plane : {&m_x, &m_z, &m_mixed, &m_head, &m_head_out, &m_heard, &m_film}) {
      *plane = next;
      next += planes;
    }
    const auto condition_floats = static_cast<std::size_t>(m_condition_channels) * kPlane;
    m_mixin_in.assign(condition_floats, 0.0f);
    if (!m_condition)
      return;
    m_condition_planes.assign(condition_floats, 0.0f);
    for (int channel = 0; channel < m_condition_channels; ++channel)
      m_condition_out.push_back(m_condition_planes.data() +
                                static_cast<std::size_t>(channel) * kPlane);
    for (int channel = 0; channel < m_shape.in_channels; ++channel)
      m_condition_in.push_back(m_heard + static_cast<std::size_t>(channel) * kPlane);
  }

  // After an endless silence every convolution has heard one constant: let one frame through and
  // have each history take what it gets for all its past. Exact, and no longer for a long memory.
  void prewarm() {
    const std::vector<float> silence(1, 0.0f);
    std::vector<float> ignored(static_cast<std::size_t>(m_shape.out_channels));
    std::vector<const float*> in(static_cast<std::size_t>(m_shape.in_channels), silence.data());
    std::vector<float*> out;
    for (float& sample : ignored)
      out.push_back(&sample);
    m_prewarming = true;
    run_chunk(in.data(), out.data(), 0, 1);
    m_prewarming = false;
    keep_as_prewarmed();
  }

  // Convolve `in`, with the past where the kernel needs it.
  void convolve(const GeneralConv& conv, const float* in, float* out, int frames) noexcept {
    if (conv.lookback_frames() == 0) {
      conv.apply(in, out, frames);
      return;
    }
    History& history = m_histories[m_next_history++];
    if (m_prewarming)
      history.fill(in, kPlane);
    else
      history.write(in, kPlane, frames);
    conv.apply(history, out, frames);
    history.advance(frames);
  }

  void run_chunk(const float* const* in, float* const* out, int start, int frames) noexcept {
    m_next_history = 0;
    for (int channel = 0; channel < m_shape.in_channels; ++channel)
      std::copy(in[channel] + start, in[channel] + start + frames,
                m_heard + static_cast<std::size_t>(channel) * kPlane);
    const float* condition = m_heard;
    if (m_condition) {
      run_condition(frames);
      condition = m_condition_planes.data();
    }
    const float* array_in = m_heard;
    for (std::size_t i = 0; i < m_network.arrays.size(); ++i) {
      run_array(m_network.arrays[i], array_in, condition, i == 0, frames);
      array_in = m_x;
    }
    const float* heads = finish_head(frames);
    for (int channel = 0; channel < m_shape.out_channels; ++channel) {
      const float* head = heads + static_cast<std::size_t>(channel) * kPlane;
      std::copy(head, head + frames, out[channel] + start);
    }
  }

  void run_condition(int frames) noexcept {
    m_condition->process(m_condition_in.data(), m_condition_out.data(), frames);
  }

  // Leaves the array's output in m_x and its head's in m_head_out.
  void run_array(const Array& array, const float* in, const float* condition, bool first,
                 int frames) noexcept {
    array.rechannel.apply(in, m_z, frames);
    std::swap(m_x, m_z);
    const int head_channels = array.head.shape().in_channels;
    const std::size_t head_floats = static_cast<std::size_t>(head_channels) * kPlane;
    if (first)
      std::fill(m_head, m_head + head_floats, 0.0f);
    else
      std::swap(m_head, m_head_out);
    for (const Layer& layer : array.layers)
      run_layer(layer, condition, frames);
    convolve(array.head, m_head, m_head_out, frames);
  }

  void film(const Layer& layer, FilmSite site, const float* condition, float* planes,
            int frames) noexcept {
    if (layer.films[site])
      layer.films[site]->apply(condition, planes, planes, m_film, frames);
  }

  void run_layer(const Layer& layer, const float* condition, int frames) noexcept {
    const float* heard = m_x;
    if (layer.films[kConvPre]) {
      layer.films[kConvPre]->apply(condition, m_x, m_mixed, m_film, frames);
      heard = m_mixed;
    }
    convolve(layer.conv, heard, m_z, frames);
    film(layer, kConvPost, condition, m_z, frames);

    const float* mixin_in = condition;
    if (layer.films[kMixinPre]) {
      // Both the FiLM and the mixin need planes of their own: the scales fill m_film's.
      layer.films[kMixinPre]->apply(condition, condition, m_mixin_in.data(), m_film, frames);
      mixin_in = m_mixin_in.data();
    }
    layer.mixin.apply(mixin_in, m_mixed, frames);
    film(layer, kMixinPost, condition, m_mixed, frames);
    add(m_mixed, m_z, layer.mixin.shape().out_channels, frames);
    film(layer, kActivationPre, condition, m_z, frames);

    activate(layer, frames);
    film(layer, kActivationPost, condition, m_z, frames);

    if (layer.head1x1) {
      layer.head1x1->apply(m_z, m_mixed, frames);
      film(layer, kHead1x1Post, condition, m_mixed, frames);
      add(m_mixed, m_head, layer.head1x1->shape().out_channels, frames);
    } else {
      add(m_z, m_head, layer.bottleneck, frames);
    }
    if (layer.layer1x1) {
      layer.layer1x1->apply(m_z, m_mixed, frames);
      // The format's reference player applies this FiLM to blended layers only, and files are
      // defined by what it plays.
      if (layer.gating == GatingMode::Blended)
        film(layer, kLayer1x1Post, condition, m_mixed, frames);
      add(m_mixed, m_x, layer.channels, frames);
    }
  }

  // The first half of z becomes what the layer says; the second half is the gate or the blend.
  void activate(const Layer& layer, int frames) noexcept {
    for (int channel = 0; channel < layer.bottleneck; ++channel) {
      float* z = m_z + static_cast<std::size_t>(channel) * kPlane;
      if (layer.gating == GatingMode::None) {
        layer.activation.apply(channel, z, frames);
        continue;
      }
      float* gate = z + static_cast<std::size_t>(layer.bottleneck) * kPlane;
      layer.secondary.apply(channel, gate, frames);
      float before[kChunkFrames];
      std::copy(z, z + frames, before);
      layer.activation.apply(channel, z, frames);
      if (layer.gating == GatingMode::Gated)
        for (int frame = 0; frame < frames; ++frame)
          z[frame] *= gate[frame];
      else
        for (int frame = 0; frame < frames; ++frame)
          z[frame] = gate[frame] * z[frame] + (1.0f - gate[frame]) * before[frame];
    }
  }

  static void add(const float* from, float* to, int channels, int frames) noexcept {
    for (int channel = 0; channel < channels; ++channel)
      for (int frame = 0; frame < frames; ++frame)
        to[static_cast<std::size_t>(channel) * kPlane + static_cast<std::size_t>(frame)] +=
            from[static_cast<std::size_t>(channel) * kPlane + static_cast<std::size_t>(frame)];
  }

  // Scale comes before the post-stack head, whose every convolution follows an activation.
  const float* finish_head(int frames) noexcept {
    const int channels = m_network.arrays.back().head.shape().out_channels;
    for (int channel = 0; channel < channels; ++channel)
      for (int frame = 0; frame < frames; ++frame)
        m_head_out[static_cast<std::size_t>(channel) * kPlane + static_cast<std::size_t>(frame)] *=
            m_network.head_scale;
    for (const GeneralConv& conv : m_network.post_head) {
      for (int channel = 0; channel < conv.shape().in_channels; ++channel)
        m_network.post_activation.apply(
            channel, m_head_out + static_cast<std::size_t>(channel) * kPlane, frames);
      convolve(conv, m_head_out, m_z, frames);
      std::swap(m_head_out, m_z);
    }
    return m_head_out;
  }

  const Network& m_network;
  const NetworkShape m_shape;
  std::unique_ptr<Voice> m_condition;
  int m_condition_channels;
  HistoryBank m_histories;
  std::size_t m_next_history = 0; // convolutions meet their histories in the order of construction
  bool m_prewarming = false;
  std::vector<float> m_planes, m_condition_planes, m_mixin_in;
  std::vector<const float*> m_condition_in;
  std::vector<float*> m_condition_out;
  float *m_x = nullptr, *m_z = nullptr, *m_mixed = nullptr, *m_head = nullptr,
        *m_head_out = nullptr, *m_heard = nullptr, *m_film = nullptr;
};

class WaveNetStage final : public Stage {
public:
  WaveNetStage(const WaveNetSpec& spec, std::unique_ptr<const Stage> condition)
      : m_shape(shape_of(spec)), m_network(make_network_of(spec)),
        m_condition(std::move(condition)),
        m_condition_channels(spec.arrays.front().condition_size) {}

  std::unique_ptr<Voice> open_voice(const VoiceConfig& config) const override {
    VoiceConfig inner = config;
    inner.max_block_frames = kChunkFrames;
    return std::make_unique<WaveNetVoice>(m_network, m_shape,
                                          m_condition ? m_condition->open_voice(inner) : nullptr,
                                          m_condition_channels);
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
  std::unique_ptr<const Stage> m_condition;
  int m_condition_channels;
};

} // namespace

std::unique_ptr<Stage> make_wavenet_general(const WaveNetSpec& spec,
                                            std::unique_ptr<const Stage> condition) {
  return std::make_unique<WaveNetStage>(spec, std::move(condition));
}

} // namespace bunraku
