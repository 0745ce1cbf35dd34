#include "model_reader.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "crc32.hpp"
#include "network_shape.hpp"
#include "stage.hpp"

namespace bunraku {
namespace {

constexpr std::uint32_t kFormatVersion = 1;
constexpr int kMaxDepth = 8;
constexpr std::int64_t kMaxReceptiveField = std::int64_t{1} << 20;
// One voice of everything in the file: 64 MiB. The largest model of the field takes under one.
constexpr std::int64_t kMaxHistoryFloats = std::int64_t{1} << 24;
// A RATE record of twenty bytes makes two filters of up to 5 MB each.
constexpr int kMaxRateChanges = 16;

[[noreturn]] void refuse(const std::string& what) {
  throw Error(BK_ERROR_FORMAT, what + "; export the model again with `bunraku export`");
}

constexpr std::uint32_t tag(const char (&name)[5]) {
  return static_cast<std::uint32_t>(static_cast<unsigned char>(name[0])) |
         static_cast<std::uint32_t>(static_cast<unsigned char>(name[1])) << 8 |
         static_cast<std::uint32_t>(static_cast<unsigned char>(name[2])) << 16 |
         static_cast<std::uint32_t>(static_cast<unsigned char>(name[3])) << 24;
}

std::uint32_t load_u32(const unsigned char* bytes) {
  return static_cast<std::uint32_t>(bytes[0]) | static_cast<std::uint32_t>(bytes[1]) << 8 |
         static_cast<std::uint32_t>(bytes[2]) << 16 | static_cast<std::uint32_t>(bytes[3]) << 24;
}

std::uint64_t load_u64(const unsigned char* bytes) {
  return load_u32(bytes) | static_cast<std::uint64_t>(load_u32(bytes + 4)) << 32;
}

// A window on the payload that cannot be left.
class Cursor {
public:
  Cursor(const unsigned char* words, std::size_t count) : m_next(words), m_left(count) {}

  std::size_t left() const { return m_left; }

  std::uint32_t u32() {
    if (m_left == 0)
      refuse("the model file ends in the middle of a record");
    const std::uint32_t value = load_u32(m_next);
    m_next += 4;
    --m_left;
    return value;
  }

  float f32() {
    const std::uint32_t bits = u32();
    float value;
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value))
      refuse("the model file holds a number that is not finite");
    return value;
  }

  float f32_in(float low, float high, const char* what) {
    const float value = f32();
    if (!(value >= low && value <= high))
      refuse(std::string(what) + " is " + std::to_string(value) + ", outside " +
             std::to_string(low) + " to " + std::to_string(high));
    return value;
  }

  int size(std::uint32_t low, std::uint32_t high, const char* what) {
    const std::uint32_t value = u32();
    if (value < low || value > high)
      refuse(std::string(what) + " is " + std::to_string(value) + ", outside " +
             std::to_string(low) + " to " + std::to_string(high));
    return static_cast<int>(value);
  }

  bool flag(const char* what) { return size(0, 1, what) == 1; }

  // `count` numbers; refused before anything is allocated if the window is smaller.
  std::vector<float> floats(std::size_t count) {
    if (count > m_left)
      refuse("the model file announces " + std::to_string(count) + " numbers and holds " +
             std::to_string(m_left));
    std::vector<float> values(count);
    for (float& value : values)
      value = f32();
    return values;
  }

  std::vector<float> weights() { return floats(u32()); }

  Cursor window(std::size_t count) {
    if (count > m_left)
      refuse("a record of " + std::to_string(count) + " words does not fit into the " +
             std::to_string(m_left) + " that are left");
    Cursor inner(m_next, count);
    m_next += 4 * count;
    m_left -= count;
    return inner;
  }

private:
  const unsigned char* m_next;
  std::size_t m_left;
};

class Reader {
public:
  ChainSpec chain_record(Cursor& in, int depth) {
    const auto [kind, body] = record(in, depth);
    if (kind != tag("CHAN"))
      refuse("a chain was expected where the file holds something else");
    Cursor words = body;
    ChainSpec chain;
    const int count = words.size(0, 64, "the number of effects in a chain");
    for (int i = 0; i < count; ++i)
      chain.nodes.push_back(node_record(words, depth + 1));
    finish(words);
    return chain;
  }

private:
  static std::pair<std::uint32_t, Cursor> record(Cursor& in, int depth) {
    if (depth > kMaxDepth)
      refuse("records are nested deeper than " + std::to_string(kMaxDepth));
    const std::uint32_t kind = in.u32();
    const std::uint32_t words = in.u32();
    return {kind, in.window(words)};
  }

  static void finish(const Cursor& body) {
    if (body.left() != 0)
      refuse("a record has " + std::to_string(body.left()) + " words too many");
  }

  NodeSpec node_record(Cursor& in, int depth) {
    auto [kind, body] = record(in, depth);
    NodeSpec node;
    switch (kind) {
    case tag("GAIN"):
      node.value = GainSpec{body.f32_in(-120.0f, 60.0f, "a gain in dB")};
      break;
    case tag("MIX "): {
      MixSpec mix;
      mix.wet = body.f32_in(0.0f, 1.0f, "a mix");
      mix.chain = std::make_unique<ChainSpec>(chain_record(body, depth + 1));
      node.value = std::move(mix);
      break;
    }
    case tag("RATE"): {
      if (++m_rate_changes > kMaxRateChanges)
        refuse("the model changes its sample rate over " + std::to_string(kMaxRateChanges) +
               " times");
      RateSpec rate;
      rate.sample_rate_hz = body.f32_in(8000.0f, 384000.0f, "a sample rate");
      rate.chain = std::make_unique<ChainSpec>(chain_record(body, depth + 1));
      node.value = std::move(rate);
      break;
    }
    default:
      network_body(kind, body, depth, node);
      budget(node);
      break;
    }
    finish(body);
    return node;
  }

  NodeSpec network_record(Cursor& in, int depth) {
    auto [kind, body] = record(in, depth);
    NodeSpec node;
    network_body(kind, body, depth, node);
    finish(body);
    return node;
  }

  void network_body(std::uint32_t kind, Cursor& body, int depth, NodeSpec& node) {
    switch (kind) {
    case tag("SLIM"):
      node.value = slimmable(body, depth);
      break;
    case tag("LINR"):
      node.value = checked(linear(body));
      break;
    case tag("CNVN"):
      node.value = checked(convnet(body));
      break;
    case tag("LSTM"):
      node.value = checked(lstm(body));
      break;
    case tag("WAVN"):
      node.value = checked(wavenet(body, depth));
      break;
    default:
      refuse("the model file has a record of an unknown kind");
    }
  }

  // The weights are as many as the shape needs, and the shape is within the limits.
  template <class Spec> static Spec checked(Spec spec) {
    const NetworkShape shape = shape_of(spec);
    if (shape.weight_count != static_cast<std::int64_t>(spec.weights.size()))
      refuse("a network has " + std::to_string(spec.weights.size()) +
             " weights where its shape needs " + std::to_string(shape.weight_count));
    if (shape.receptive_field_frames > kMaxReceptiveField)
      throw Error(BK_ERROR_UNSUPPORTED,
                  "a network hears " + std::to_string(shape.receptive_field_frames) +
                      " frames back; at most " + std::to_string(kMaxReceptiveField) +
                      " are supported: use fewer or smaller dilations");
    return spec;
  }

  void budget(const NodeSpec& node) {
    m_history_floats += shape_of(node).history_floats;
    if (m_history_floats > kMaxHistoryFloats)
      throw Error(BK_ERROR_UNSUPPORTED,
                  "the model would remember over " + std::to_string(kMaxHistoryFloats) +
                      " numbers for each voice: use fewer channels or smaller dilations");
  }

  SlimmableSpec slimmable(Cursor& in, int depth) {
    SlimmableSpec spec;
    const std::uint32_t count = in.u32();
    if (count == 0 || count > 64)
      refuse("a slimmable model has " + std::to_string(count) + " networks, outside 1 to 64");
    for (std::uint32_t i = 0; i < count; ++i) {
      spec.max_values.push_back(in.f32());
      spec.networks.push_back(network_record(in, depth + 1));
    }
    return spec;
  }

  static LinearSpec linear(Cursor& in) {
    LinearSpec spec;
    spec.in_channels = in.size(1, 256, "in_channels");
    spec.out_channels = in.size(1, 256, "out_channels");
    spec.receptive_field = in.size(1, 1u << 17, "a Linear receptive field");
    spec.bias = in.flag("bias");
    spec.weights = in.weights();
    return spec;
  }

  static ConvNetSpec convnet(Cursor& in) {
    ConvNetSpec spec;
    spec.in_channels = in.size(1, 256, "in_channels");
    spec.out_channels = in.size(1, 256, "out_channels");
    spec.channels = in.size(1, 256, "channels");
    spec.groups = in.size(1, 256, "groups");
    spec.batchnorm = in.flag("batchnorm");
    spec.activation = activation(in);
    const int count = in.size(1, 256, "the number of ConvNet layers");
    for (int i = 0; i < count; ++i)
      spec.dilations.push_back(in.size(1, 65536, "a dilation"));
    spec.weights = in.weights();
    return spec;
  }

  static LstmSpec lstm(Cursor& in) {
    LstmSpec spec;
    spec.input_size = in.size(1, 256, "input_size");
    spec.hidden_size = in.size(1, 256, "hidden_size");
    spec.layer_count = in.size(1, 8, "the number of LSTM layers");
    spec.out_channels = in.size(1, 256, "out_channels");
    spec.weights = in.weights();
    return spec;
  }

  static ActivationSpec activation(Cursor& in) {
    ActivationSpec spec;
    spec.kind = static_cast<ActivationKind>(in.size(1, 11, "an activation's kind"));
    spec.parameters =
        in.floats(static_cast<std::size_t>(in.size(0, 512, "an activation's parameters")));
    return spec;
  }

  WaveNetSpec wavenet(Cursor& in, int depth) {
    WaveNetSpec spec;
    spec.in_channels = in.size(1, 256, "in_channels");
    if (in.flag("has_condition"))
      spec.condition = std::make_unique<NodeSpec>(network_record(in, depth + 1));
    const int count = in.size(1, 16, "the number of layer arrays");
    for (int i = 0; i < count; ++i)
      spec.arrays.push_back(wavenet_array(in));
    if (in.flag("has_post_head"))
      spec.post_head = std::make_unique<WaveNetPostHeadSpec>(post_head(in));
    spec.weights = in.weights();
    return spec;
  }

  static WaveNetArraySpec wavenet_array(Cursor& in) {
    WaveNetArraySpec array;
    array.input_size = in.size(1, 256, "input_size");
    array.condition_size = in.size(1, 256, "condition_size");
    array.channels = in.size(1, 256, "channels");
    array.bottleneck = in.size(1, 256, "bottleneck");
    array.groups_input = in.size(1, 256, "groups_input");
    array.groups_input_mixin = in.size(1, 256, "groups_input_mixin");
    array.layer1x1_active = in.flag("layer1x1_active");
    array.layer1x1_groups = in.size(1, 256, "layer1x1_groups");
    array.head1x1_active = in.flag("head1x1_active");
    // Both are unused, and may be 0, where there is no head1x1.
    const std::uint32_t low = array.head1x1_active ? 1 : 0;
    array.head1x1_out_channels = in.size(low, 256, "head1x1_out_channels");
    array.head1x1_groups = in.size(low, 256, "head1x1_groups");
    array.head_out_channels = in.size(1, 256, "head_out_channels");
    array.head_kernel_size = in.size(1, 256, "head_kernel_size");
    array.head_bias = in.flag("head_bias");
    array.head_dilation = in.size(1, 65536, "head_dilation");
    for (FilmSpec& film : array.films) {
      film.active = in.flag("a FiLM's active");
      film.shift = in.flag("a FiLM's shift");
      film.groups = in.size(film.active ? 1 : 0, 256, "a FiLM's groups");
    }
    const int count = in.size(1, 256, "the number of layers");
    for (int i = 0; i < count; ++i) {
      WaveNetLayerSpec layer;
      layer.kernel_size = in.size(1, 256, "kernel_size");
      layer.dilation = in.size(1, 65536, "dilation");
      layer.gating = static_cast<GatingMode>(in.size(0, 2, "gating"));
      layer.activation = activation(in);
      layer.secondary_activation = activation(in);
      array.layers.push_back(std::move(layer));
    }
    return array;
  }

  static WaveNetPostHeadSpec post_head(Cursor& in) {
    WaveNetPostHeadSpec head;
    head.channels = in.size(1, 256, "a post-stack head's channels");
    head.out_channels = in.size(1, 256, "a post-stack head's out_channels");
    head.activation = activation(in);
    const int count = in.size(1, 16, "the number of post-stack kernels");
    for (int i = 0; i < count; ++i)
      head.kernel_sizes.push_back(in.size(1, 256, "a post-stack kernel"));
    return head;
  }

  std::int64_t m_history_floats = 0;
  int m_rate_changes = 0;
};

void read_header(const unsigned char* bytes, std::size_t size_bytes, ModelSpec& spec) {
  if (size_bytes < kHeaderBytes || std::memcmp(bytes, "BUNRAKU\n", 8) != 0)
    throw Error(BK_ERROR_FORMAT,
                "this is not a bunraku model file; make one from a .nam or a preset "
                "with `bunraku export`");
  const std::uint32_t version = load_u32(bytes + 8);
  if (version != kFormatVersion)
    throw Error(BK_ERROR_FORMAT, "the model file has format version " + std::to_string(version) +
                                     " and this release reads 1; update bunraku or export again");
  const std::uint64_t payload = load_u64(bytes + 16);
  if (payload > kMaxPayloadBytes)
    refuse("the model file announces " + std::to_string(payload) + " bytes; at most " +
           std::to_string(kMaxPayloadBytes) + " are allowed");
  if (payload != size_bytes - kHeaderBytes || payload % 4 != 0)
    refuse("the model file announces " + std::to_string(payload) + " bytes and holds " +
           std::to_string(size_bytes - kHeaderBytes) + ": it was cut off or changed");
  if (crc32(bytes + kHeaderBytes, size_bytes - kHeaderBytes) != load_u32(bytes + 12))
    refuse("the model file's checksum does not match: it was damaged");
  const std::uint64_t rate_bits = load_u64(bytes + 24);
  std::memcpy(&spec.sample_rate_hz, &rate_bits, sizeof spec.sample_rate_hz);
  if (!(spec.sample_rate_hz >= 8000.0 && spec.sample_rate_hz <= 384000.0))
    refuse("the model's sample rate is outside 8000 to 384000 Hz");
  const auto* name = reinterpret_cast<const char*>(bytes + 32);
  const void* end = std::memchr(name, 0, 64);
  if (end == nullptr)
    refuse("the model's name is not terminated");
  const auto length = static_cast<std::size_t>(static_cast<const char*>(end) - name);
  for (std::size_t i = length; i < 64 + 32; ++i)
    if (bytes[32 + i] != 0)
      refuse("the unused bytes of the header are not zero");
  spec.name.assign(name, length);
}

} // namespace

ModelSpec read_model(const void* data, std::size_t size_bytes) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  ModelSpec spec;
  read_header(bytes, size_bytes, spec);
  Cursor payload(bytes + kHeaderBytes, (size_bytes - kHeaderBytes) / 4);
  spec.chain = Reader().chain_record(payload, 1);
  if (payload.left() != 0)
    refuse("the model file has " + std::to_string(payload.left()) + " words after its chain");
  return spec;
}

} // namespace bunraku
