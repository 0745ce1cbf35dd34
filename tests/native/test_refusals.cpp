// What process() refuses, and that a refused block leaves the stream as it was.
#include <vector>

#include "check.hpp"
#include "handles.hpp"
#include "model_bytes.hpp"

int main() {
  constexpr std::uint32_t frames = 64;
  const ModelHandle model = load(model_bytes::file(model_bytes::chain({model_bytes::gain(0.0f)})));
  const StreamHandle stream = open(model.get(), 2, frames);
  std::vector<float> left(frames, 0.5f), right(frames, 0.25f), nothing;
  const float* in[2] = {left.data(), right.data()};
  float* out[2] = {left.data(), right.data()};

  in[1] = nullptr;
  CHECK(bk_stream_process(stream.get(), in, out, frames) == BK_ERROR_INVALID_ARGUMENT,
        "a null input plane");
  CHECK(left[0] == 0.5f && right[0] == 0.25f, "a refused block must not be touched");
  in[1] = right.data();
  out[0] = nullptr;
  CHECK(bk_stream_process(stream.get(), in, out, frames) == BK_ERROR_INVALID_ARGUMENT,
        "a null output plane");
  out[0] = left.data();
  CHECK(bk_stream_process(stream.get(), in, out, frames + 1) == BK_ERROR_INVALID_ARGUMENT,
        "more than max_block_frames");
  CHECK(bk_stream_process(nullptr, in, out, frames) == BK_ERROR_INVALID_ARGUMENT, "no stream");
  CHECK(bk_stream_process(stream.get(), in, out, frames) == BK_OK, "a good block afterwards");
  CHECK(left[frames - 1] == 0.5f && right[frames - 1] == 0.25f, "a gain of 0 dB changes nothing");
  return check_kit::report();
}
