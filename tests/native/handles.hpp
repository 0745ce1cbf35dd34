// The C handles with owners, for tests: a failure to make one ends the program.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "bunraku/bunraku.h"

struct ReleaseModel {
  void operator()(bk_model* model) const { bk_model_release(model); }
};
struct CloseStream {
  void operator()(bk_stream* stream) const { bk_stream_close(stream); }
};
using ModelHandle = std::unique_ptr<bk_model, ReleaseModel>;
using StreamHandle = std::unique_ptr<bk_stream, CloseStream>;

inline void need(bk_status status, const char* what) {
  if (status != BK_OK) {
    std::fprintf(stderr, "%s: %s: %s\n", what, bk_status_string(status), bk_last_error());
    std::exit(1);
  }
}

inline ModelHandle load(const std::vector<unsigned char>& bytes, bool force_general = false) {
  bk_load_config config{};
  config.struct_size = sizeof config;
  config.force_general = force_general ? 1 : 0;
  bk_model* model = nullptr;
  need(bk_model_load_memory(bytes.data(), bytes.size(), &config, &model), "load");
  return ModelHandle(model);
}

inline StreamHandle open(bk_model* model, std::uint32_t channels, std::uint32_t block_frames,
                         double sample_rate_hz = 0.0) {
  bk_stream_config config{};
  config.struct_size = sizeof config;
  config.channels = channels;
  config.max_block_frames = block_frames;
  config.sample_rate_hz = sample_rate_hz;
  config.size = 1.0f;
  bk_stream* stream = nullptr;
  need(bk_stream_open(model, &config, &stream), "open");
  return StreamHandle(stream);
}
