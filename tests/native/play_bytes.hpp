// What a stranger's bytes may do: be refused with a message, or play. Shared by the fuzzer and the
// mutator.
#pragma once

#include <cmath>
#include <cstdint>

#include "bunraku/bunraku.h"

enum class Fate { Refused, Played, Wrong };

inline Fate play_bytes(const unsigned char* data, std::size_t size_bytes) {
  bk_model* model = nullptr;
  const bk_status status = bk_model_load_memory(data, size_bytes, nullptr, &model);
  if (status != BK_OK)
    return model == nullptr && status != BK_ERROR_INTERNAL && bk_last_error()[0] != '\0'
               ? Fate::Refused
               : Fate::Wrong;
  bk_stream_config config{};
  config.struct_size = sizeof config;
  config.channels = 1;
  config.max_block_frames = 64;
  config.size = 1.0f;
  bk_stream* stream = nullptr;
  Fate fate = Fate::Refused;
  const bk_status opened = bk_stream_open(model, &config, &stream);
  if (opened == BK_OK) {
    fate = Fate::Played;
    std::uint32_t noise = 1;
    for (int block = 0; block < 3; ++block) {
      float samples[64];
      for (float& sample : samples) {
        noise = noise * 1664525u + 1013904223u;
        sample = static_cast<float>(static_cast<std::int32_t>(noise)) / 2147483648.0f;
      }
      float* plane = samples;
      if (bk_stream_process(stream, &plane, &plane, 64) != BK_OK)
        fate = Fate::Wrong;
      for (float sample : samples)
        if (!std::isfinite(sample))
          fate = Fate::Wrong;
    }
    bk_stream_close(stream);
  } else if (opened == BK_ERROR_INTERNAL) {
    fate = Fate::Wrong;
  }
  bk_model_release(model);
  return fate;
}
