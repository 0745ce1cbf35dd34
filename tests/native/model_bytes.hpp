// Flat model files made by hand (docs/flat-format.md), with weights from a fixed generator.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/crc32.hpp"

namespace model_bytes {

using Words = std::vector<std::uint32_t>;

inline std::uint32_t word(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline void append(Words& to, const Words& from) {
  to.insert(to.end(), from.begin(), from.end());
}

inline Words record(const char* tag, const Words& body) {
  std::uint32_t kind;
  std::memcpy(&kind, tag, 4);
  Words words{kind, static_cast<std::uint32_t>(body.size())};
  append(words, body);
  return words;
}

inline Words weights(int count, unsigned seed, float spread = 0.3f) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> distribution(-spread, spread);
  Words words{static_cast<std::uint32_t>(count)};
  for (int i = 0; i < count; ++i)
    words.push_back(word(distribution(random)));
  return words;
}

inline Words chain(const std::vector<Words>& nodes) {
  Words body{static_cast<std::uint32_t>(nodes.size())};
  for (const Words& node : nodes)
    append(body, node);
  return record("CHAN", body);
}

inline Words gain(float gain_db) {
  return record("GAIN", {word(gain_db)});
}

inline Words mix(float wet, const Words& inner) {
  Words body{word(wet)};
  append(body, inner);
  return record("MIX ", body);
}

inline Words rate(float sample_rate_hz, const Words& inner) {
  Words body{word(sample_rate_hz)};
  append(body, inner);
  return record("RATE", body);
}

inline Words linear(int taps) {
  Words body{1, 1, static_cast<std::uint32_t>(taps), 1};
  append(body, weights(taps + 1, 3, 0.1f));
  return record("LINR", body);
}

inline Words convnet() {
  Words body{1, 1, 4, 1, 1, /*tanh*/ 1, 0, 3, 1, 2, 8};
  const int batchnorm = 4 * 4 + 1;
  Words values = weights(1 * 4 * 2 + batchnorm + 2 * (4 * 4 * 2 + batchnorm) + 4 + 1, 4);
  for (std::size_t i = 1; i < values.size(); ++i)
    values[i] &= 0x7FFFFFFFu; // a variance is not negative
  append(body, values);
  return record("CNVN", body);
}

inline Words lstm(int hidden) {
  Words body{1, static_cast<std::uint32_t>(hidden), 1, 1};
  append(body, weights(4 * hidden * (1 + hidden) + 6 * hidden + hidden + 1, 5));
  return record("LSTM", body);
}

// `odd`: gated, with a head1x1, a shifting FiLM before the activation and a condition network.
inline Words wavenet(int channels, const std::vector<std::uint32_t>& dilations, bool odd = false,
                     unsigned seed = 6) {
  const int c = channels, z = odd ? 2 * c : c, taps = 3;
  const auto u = [](int value) { return static_cast<std::uint32_t>(value); };
  Words body{1, odd ? 1u : 0u};
  if (odd)
    append(body, wavenet(2, {1}));
  append(body, {1, 1, 1, u(c), u(c), 1, 1, 1, 1, odd ? 1u : 0u, u(c), 1, 1, 1, 1, 1});
  for (int site = 0; site < 8; ++site)
    append(body, {odd && site == 4 ? 1u : 0u, 1, 1});
  body.push_back(u(static_cast<int>(dilations.size())));
  int count = c;
  for (std::uint32_t dilation : dilations) {
    append(body, {u(taps), dilation, odd ? 1u : 0u, 1, 0, 7, 0});
    count += z * c * taps + z + z + c * c + c;
    count += odd ? c * c + c + 2 * z + 2 * z : 0;
  }
  body.push_back(0); // no post-stack head
  append(body, weights(count + c + 1 + 1, seed));
  return record("WAVN", body);
}

inline Words slimmable() {
  Words body{2, word(0.5f)};
  append(body, wavenet(2, {1, 2}));
  body.push_back(word(1.0f));
  append(body, wavenet(4, {1, 2}));
  return record("SLIM", body);
}

inline std::vector<unsigned char> file(const Words& payload, double sample_rate_hz = 48000.0) {
  std::vector<unsigned char> bytes(128 + 4 * payload.size(), 0);
  std::memcpy(bytes.data(), "BUNRAKU\n", 8);
  const std::uint32_t version = 1;
  const std::uint64_t size = 4 * payload.size();
  const std::uint32_t crc = bunraku::crc32(payload.data(), size);
  std::memcpy(bytes.data() + 8, &version, 4);
  std::memcpy(bytes.data() + 12, &crc, 4);
  std::memcpy(bytes.data() + 16, &size, 8);
  std::memcpy(bytes.data() + 24, &sample_rate_hz, 8);
  std::memcpy(bytes.data() + 32, "test", 4);
  std::memcpy(bytes.data() + 128, payload.data(), size);
  return bytes;
}

struct Named {
  std::string name;
  std::vector<unsigned char> bytes;
};

// One of each kind of effect, and one chain of many.
inline std::vector<Named> every_kind() {
  return {
      {"empty chain", file(chain({}))},
      {"gain", file(chain({gain(-3.0f)}))},
      {"mix", file(chain({mix(0.5f, chain({wavenet(4, {1, 2, 4})}))}))},
      {"rate", file(chain({rate(44100.0f, chain({gain(1.0f)}))}))},
      {"linear", file(chain({linear(300)}))},
      {"convnet", file(chain({convnet()}))},
      {"lstm", file(chain({lstm(5)}))},
      {"wavenet", file(chain({wavenet(8, {1, 2, 4, 8, 16})}))},
      {"wavenet with everything", file(chain({wavenet(3, {1, 3, 9}, true)}))},
      {"slimmable", file(chain({slimmable()}))},
      {"many", file(chain({gain(-6.0f), wavenet(4, {1, 2}),
                           mix(0.7f, chain({rate(44100.0f, chain({wavenet(2, {1}), gain(2.0f)}))})),
                           linear(32)}))}};
}

} // namespace model_bytes
