// bunraku.h implemented: arguments checked, exceptions turned into a status and a message.
#include "bunraku/bunraku.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "core/model_reader.hpp"
#include "handles.hpp"
#include "struct_size.hpp"

namespace {

using bunraku::Error;

constexpr std::size_t kMaxFileBytes = bunraku::kHeaderBytes + bunraku::kMaxPayloadBytes;

thread_local std::string t_last_error;

bk_status fail(bk_status status, const char* message) noexcept {
  try {
    t_last_error = message;
  } catch (...) {
    t_last_error.clear(); // out of memory: the status alone has to do
  }
  return status;
}

// Runs `body`; nothing it throws passes.
template <class Body> bk_status guarded(Body&& body) noexcept {
  try {
    body();
    return BK_OK;
  } catch (const Error& error) {
    return fail(error.status(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(BK_ERROR_OUT_OF_MEMORY, "out of memory; use a smaller model or fewer streams");
  } catch (const std::exception& error) {
    return fail(BK_ERROR_INTERNAL, error.what());
  } catch (...) {
    return fail(BK_ERROR_INTERNAL, "an unknown exception");
  }
}

void require(bool condition, const char* message) {
  if (!condition)
    throw Error(BK_ERROR_INVALID_ARGUMENT, message);
}

bunraku::StageOptions stage_options(const bk_load_config* given) {
  bk_load_config config{};
  if (given != nullptr)
    config = bunraku::read_struct(given, config, "bk_load_config");
  require(config.force_general <= 1, "bk_load_config.force_general must be 0 or 1");
  bunraku::StageOptions options;
  options.isa = bunraku::choose_isa(config.isa);
  options.force_general = config.force_general == 1;
  return options;
}

bk_model* load(const void* data, std::size_t size_bytes, const bunraku::StageOptions& options) {
  return new bk_model(std::make_shared<const bunraku::Model>(data, size_bytes, options));
}

std::vector<unsigned char> read_file(const char* path) {
  struct Closer {
    void operator()(std::FILE* file) const { (void)std::fclose(file); } // it was only read
  };
  const std::unique_ptr<std::FILE, Closer> file(std::fopen(path, "rb"));
  if (!file)
    throw Error(BK_ERROR_IO,
                "cannot open the model file '" + std::string(path) + "': " + std::strerror(errno));
  std::vector<unsigned char> bytes;
  unsigned char part[16384];
  std::size_t got = 0;
  do {
    got = std::fread(part, 1, sizeof part, file.get());
    if (bytes.size() + got > kMaxFileBytes)
      throw Error(BK_ERROR_FORMAT,
                  "'" + std::string(path) + "' is larger than a model file can be (64 MiB)");
    bytes.insert(bytes.end(), part, part + got);
  } while (got == sizeof part);
  if (std::ferror(file.get()))
    throw Error(BK_ERROR_IO, "cannot read the model file '" + std::string(path) + "'");
  return bytes;
}

bunraku::StreamConfig stream_config(const bk_stream_config* given) {
  bk_stream_config config{};
  config.channels = 1;
  config.max_block_frames = 512;
  config.size = 1.0f;
  config = bunraku::read_struct(given, config, "bk_stream_config");
  require(config.channels >= 1 && config.channels <= BK_MAX_CHANNELS,
          "bk_stream_config.channels must be 1 to 8");
  require(config.max_block_frames >= 1 && config.max_block_frames <= BK_MAX_BLOCK_FRAMES,
          "bk_stream_config.max_block_frames must be 1 to 8192");
  require(config.sample_rate_hz == 0.0 ||
              (config.sample_rate_hz >= 8000.0 && config.sample_rate_hz <= 384000.0),
          "bk_stream_config.sample_rate_hz must be 0 (the model's) or 8000 to 384000");
  require(config.crossfade_frames <= 1u << 20,
          "bk_stream_config.crossfade_frames must be at most 1048576");
  require(config.size >= 0.0f && config.size <= 1.0f, "bk_stream_config.size must be 0 to 1");
  bunraku::StreamConfig result;
  result.channels = static_cast<int>(config.channels);
  result.sample_rate_hz = config.sample_rate_hz;
  result.max_block_frames = static_cast<int>(config.max_block_frames);
  result.crossfade_frames = static_cast<int>(config.crossfade_frames);
  result.size = config.size;
  return result;
}

template <std::size_t Size> void copy_text(char (&target)[Size], const std::string& text) {
  std::memset(target, 0, Size);
  std::memcpy(target, text.data(), std::min(text.size(), Size - 1));
}

} // namespace

extern "C" {

uint32_t bk_abi_version(void) {
  return BK_ABI_VERSION;
}

const char* bk_version_string(void) {
  return BUNRAKU_VERSION;
}

const char* bk_status_string(bk_status status) {
  switch (status) {
  case BK_OK:
    return "ok";
  case BK_ERROR_INVALID_ARGUMENT:
    return "invalid argument";
  case BK_ERROR_IO:
    return "the file cannot be read";
  case BK_ERROR_FORMAT:
    return "not a readable model file";
  case BK_ERROR_UNSUPPORTED:
    return "not supported here";
  case BK_ERROR_OUT_OF_MEMORY:
    return "out of memory";
  case BK_ERROR_BUSY:
    return "busy: a swap is in progress";
  case BK_ERROR_INTERNAL:
    return "internal error";
  }
  return "unknown status";
}

const char* bk_last_error(void) {
  return t_last_error.c_str();
}

const char* bk_isa_list(void) {
  static const std::string list = [] {
    std::string names;
    for (bunraku::Isa isa : bunraku::isas_at_hand())
      names += (names.empty() ? "" : ",") + std::string(bunraku::isa_name(isa));
    return names;
  }();
  return list.c_str();
}

bk_status bk_model_load_file(const char* path, const bk_load_config* config, bk_model** model) {
  return guarded([&] {
    require(path != nullptr && model != nullptr,
            "bk_model_load_file: path and model must not be NULL");
    const bunraku::StageOptions options = stage_options(config);
    const std::vector<unsigned char> bytes = read_file(path);
    *model = load(bytes.data(), bytes.size(), options);
  });
}

bk_status bk_model_load_memory(const void* data, size_t size_bytes, const bk_load_config* config,
                               bk_model** model) {
  return guarded([&] {
    require(data != nullptr && model != nullptr,
            "bk_model_load_memory: data and model must not be NULL");
    *model = load(data, size_bytes, stage_options(config));
  });
}

void bk_model_retain(bk_model* model) {
  if (model != nullptr)
    model->references.fetch_add(1, std::memory_order_relaxed);
}

void bk_model_release(bk_model* model) {
  if (model != nullptr && model->references.fetch_sub(1, std::memory_order_acq_rel) == 1)
    delete model;
}

bk_status bk_model_get_info(const bk_model* model, bk_model_info* info) {
  if (model == nullptr || info == nullptr)
    return BK_ERROR_INVALID_ARGUMENT;
  const bunraku::Model& source = *model->model;
  bk_model_info values{};
  values.param_count = static_cast<uint32_t>(source.params().size());
  values.sample_rate_hz = source.sample_rate_hz();
  values.receptive_field_frames = static_cast<uint32_t>(source.chain()->receptive_field_frames());
  values.fast_path = source.chain()->is_fast() ? 1 : 0;
  values.flop_per_frame = source.chain()->flop_per_frame();
  copy_text(values.isa, bunraku::isa_name(source.isa()));
  copy_text(values.name, source.name());
  return bunraku::write_struct(info, values);
}

bk_status bk_model_get_param_info(const bk_model* model, uint32_t index, bk_param_info* info) {
  if (model == nullptr || info == nullptr || index >= model->model->params().size())
    return BK_ERROR_INVALID_ARGUMENT;
  const bunraku::ParamInfo& source = model->model->params()[index];
  bk_param_info values{};
  values.minimum = source.minimum;
  values.maximum = source.maximum;
  values.initial = source.initial;
  copy_text(values.name, source.name);
  copy_text(values.unit, source.unit);
  return bunraku::write_struct(info, values);
}

bk_status bk_stream_open(bk_model* model, const bk_stream_config* config, bk_stream** stream) {
  return guarded([&] {
    require(model != nullptr && config != nullptr && stream != nullptr,
            "bk_stream_open: model, config and stream must not be NULL");
    *stream = new bk_stream(model->model, stream_config(config));
  });
}

void bk_stream_close(bk_stream* stream) {
  delete stream;
}

bk_status bk_stream_process(bk_stream* stream, const float* const* in, float* const* out,
                            uint32_t frames) {
  if (stream == nullptr || in == nullptr || out == nullptr)
    return BK_ERROR_INVALID_ARGUMENT;
  return stream->stream.process(in, out, frames);
}

bk_status bk_stream_process_interleaved(bk_stream* stream, const float* in, float* out,
                                        uint32_t frames) {
  if (stream == nullptr || in == nullptr || out == nullptr)
    return BK_ERROR_INVALID_ARGUMENT;
  return stream->stream.process_interleaved(in, out, frames);
}

bk_status bk_stream_set_param(bk_stream* stream, uint32_t index, float value) {
  return stream == nullptr ? BK_ERROR_INVALID_ARGUMENT : stream->stream.set_param(index, value);
}

bk_status bk_stream_get_param(const bk_stream* stream, uint32_t index, float* value) {
  if (stream == nullptr || value == nullptr)
    return BK_ERROR_INVALID_ARGUMENT;
  return stream->stream.get_param(index, *value);
}

bk_status bk_stream_swap(bk_stream* stream, bk_model* model) {
  return guarded([&] {
    require(stream != nullptr && model != nullptr,
            "bk_stream_swap: stream and model must not be NULL");
    stream->stream.swap(model->model);
  });
}

uint32_t bk_stream_swap_pending(bk_stream* stream) {
  return stream != nullptr && stream->stream.swap_pending() ? 1 : 0;
}

bk_status bk_stream_reset(bk_stream* stream) {
  if (stream == nullptr)
    return BK_ERROR_INVALID_ARGUMENT;
  stream->stream.reset();
  return BK_OK;
}

uint32_t bk_stream_latency_frames(const bk_stream* stream) {
  return stream == nullptr ? 0 : stream->stream.latency_frames();
}

} // extern "C"
