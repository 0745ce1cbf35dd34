// The real-time core's voices as streams: one Voice for each, all of one Stage.
#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <pybind11/stl.h>

#include "bindings.hpp"
#include "core/denormals.hpp"
#include "core/isa.hpp"
#include "core/model_spec.hpp"
#include "core/stage.hpp"
#include "core/stage_factory.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

namespace {

constexpr int kMaxBlockFrames = 4096; // longer blocks are played in pieces

using LayerTuple = std::tuple<int, int, std::string, float>; // taps, dilation, activation, slope
using ArrayTuple = std::tuple<int, int, int, bool, std::vector<LayerTuple>>;

bunraku::ActivationSpec activation_spec(const std::string& name, float slope) {
  using Kind = bunraku::ActivationKind;
  if (name == "lrelu")
    return {Kind::LeakyReLU, {slope}};
  static const std::map<std::string, Kind> kinds = {
      {"relu", Kind::ReLU}, {"tanh", Kind::Tanh}, {"sigmoid", Kind::Sigmoid}, {"silu", Kind::SiLU}};
  return {kinds.at(name), {}};
}

bunraku::WaveNetSpec wavenet_spec(const std::vector<ArrayTuple>& arrays, const float* weights,
                                  std::size_t count) {
  bunraku::WaveNetSpec spec;
  int inputs = 1;
  for (const auto& [channels, head_size, head_taps, head_bias, layers] : arrays) {
    bunraku::WaveNetArraySpec array;
    array.input_size = std::exchange(inputs, channels);
    array.condition_size = 1;
    array.channels = array.bottleneck = channels;
    array.head_out_channels = head_size;
    array.head_kernel_size = head_taps;
    array.head_bias = head_bias;
    for (const auto& [taps, dilation, activation, slope] : layers) {
      bunraku::WaveNetLayerSpec layer;
      layer.kernel_size = taps;
      layer.dilation = dilation;
      layer.activation = activation_spec(activation, slope);
      array.layers.push_back(std::move(layer));
    }
    spec.arrays.push_back(std::move(array));
  }
  spec.weights.assign(weights, weights + count);
  return spec;
}

using SharedStage = std::shared_ptr<const bunraku::Stage>;

// Found by a number and not by its address, because a compiled graph may outlive its streams.
class WaveNetVoices {
public:
  WaveNetVoices(SharedStage stage, int batch) : m_stage(std::move(stage)), m_number(++s_last) {
    bunraku::VoiceConfig config;
    config.max_block_frames = kMaxBlockFrames;
    const bunraku::DenormalsOff guard; // a voice is prewarmed as it will play
    for (int i = 0; i < batch; ++i)
      m_voices.push_back(m_stage->open_voice(config));
    s_alive[m_number] = this;
  }
  ~WaveNetVoices() { s_alive.erase(m_number); }
  WaveNetVoices(const WaveNetVoices&) = delete;
  WaveNetVoices& operator=(const WaveNetVoices&) = delete;

  static WaveNetVoices& numbered(std::int64_t number) {
    const auto found = s_alive.find(number);
    if (found == s_alive.end())
      throw std::runtime_error("the streams were closed: keep what open_streams returned");
    return *found->second;
  }

  std::int64_t number() const noexcept { return m_number; }
  void reset(std::size_t index) { m_voices.at(index)->reset(); }

  // x and y: [voices][frames].
  void step(const float* x, float* y, std::int64_t frames) noexcept {
    const bunraku::DenormalsOff guard;
    for (const auto& voice : m_voices) {
      for (std::int64_t begin = 0; begin < frames; begin += kMaxBlockFrames) {
        const int count = static_cast<int>(std::min<std::int64_t>(frames - begin, kMaxBlockFrames));
        const float* in = x + begin;
        float* out = y + begin;
        voice->process(&in, &out, count);
      }
      x += frames;
      y += frames;
    }
  }
  std::int64_t batch() const noexcept { return static_cast<std::int64_t>(m_voices.size()); }

private:
  // Both are touched with the GIL held.
  static inline std::int64_t s_last = 0;
  static inline std::map<std::int64_t, WaveNetVoices*> s_alive;

  SharedStage m_stage;
  std::vector<std::unique_ptr<bunraku::Voice>> m_voices;
  std::int64_t m_number;
};

class WaveNetNetwork {
public:
  WaveNetNetwork(const std::vector<ArrayTuple>& arrays, std::uintptr_t weights, std::size_t count) {
    bunraku::NodeSpec node;
    node.value = wavenet_spec(arrays, at<const float>(weights), count);
    bunraku::StageOptions options;
    options.isa = bunraku::choose_isa(nullptr);
    m_stage = bunraku::make_network(node, options);
  }
  std::unique_ptr<WaveNetVoices> open(int batch) const {
    return std::make_unique<WaveNetVoices>(m_stage, batch);
  }
  bool is_fast() const noexcept { return m_stage->is_fast(); }

private:
  SharedStage m_stage;
};

void step(std::int64_t number, std::uintptr_t x, std::uintptr_t y, std::int64_t batch,
          std::int64_t frames) {
  WaveNetVoices& voices = WaveNetVoices::numbered(number);
  if (batch != voices.batch())
    throw std::runtime_error("as many rows as there are voices");
  const py::gil_scoped_release release;
  voices.step(at<const float>(x), at<float>(y), frames);
}

} // namespace

BUNRAKU_BINDINGS(module) {
  py::class_<WaveNetVoices>(module, "WaveNetVoices")
      .def_property_readonly("number", &WaveNetVoices::number)
      .def("reset", &WaveNetVoices::reset, py::arg("index"));
  py::class_<WaveNetNetwork>(module, "WaveNetNetwork")
      .def(py::init<const std::vector<ArrayTuple>&, std::uintptr_t, std::size_t>(),
           py::arg("arrays"), py::arg("weights"), py::arg("count"))
      .def("open", &WaveNetNetwork::open, py::arg("batch"))
      .def_property_readonly("is_fast", &WaveNetNetwork::is_fast);
  module.def("wavenet_voices_step", &step, py::arg("number"), py::arg("x"), py::arg("y"),
             py::arg("batch"), py::arg("frames"),
             "The next block of the voices of that number; x and y are [batch][frames].");
}
