// An audio thread plays while one thread swaps models and another turns parameters. What is checked
// is that nothing gets lost or not finite; run under ThreadSanitizer it proves the hand-over.
#include <atomic>
#include <cmath>
#include <thread>

#include "check.hpp"
#include "handles.hpp"
#include "model_bytes.hpp"

int main(int argc, char** argv) {
  using namespace model_bytes;
  const int wanted_swaps = argc > 1 ? std::atoi(argv[1]) : 200;
  const ModelHandle models[] = {load(file(chain({gain(-3.0f)}))),
                                load(file(chain({gain(-1.0f), wavenet(4, {1, 2, 4}), gain(1.0f)}))),
                                load(file(chain({mix(0.5f, chain({lstm(3)}))})))};
  const StreamHandle stream = open(models[0].get(), 2, 64);
  std::atomic<bool> done{false};
  std::atomic<bool> ok{true};

  std::thread audio([&] {
    std::vector<float> samples(128);
    float* planes[2] = {samples.data(), samples.data() + 64};
    for (int block = 0; !done.load(); ++block) {
      std::fill(samples.begin(), samples.end(), 0.25f);
      bool good = bk_stream_process(stream.get(), planes, planes, 64) == BK_OK;
      for (float sample : samples)
        good = good && std::isfinite(sample);
      if (!good)
        ok = false;
      if (block % 1000 == 999)
        bk_stream_reset(stream.get());
    }
  });
  std::thread knobs([&] {
    for (int turn = 0; !done.load(); ++turn) {
      const float value = static_cast<float>(turn % 10) / 10.0f;
      float got = 0.0f;
      bk_stream_set_param(stream.get(), static_cast<std::uint32_t>(turn % 3), value);
      bk_stream_get_param(stream.get(), 0, &got);
      if (!std::isfinite(got) || bk_stream_latency_frames(stream.get()) > 100000u)
        ok = false;
      std::this_thread::yield();
    }
  });
  int swaps = 0;
  while (swaps < wanted_swaps) {
    const bk_status status = bk_stream_swap(stream.get(), models[swaps % 3].get());
    CHECK(status == BK_OK || status == BK_ERROR_BUSY, "%s", bk_last_error());
    if (status == BK_OK)
      ++swaps;
    else
      std::this_thread::yield();
  }
  while (bk_stream_swap_pending(stream.get()) != 0)
    std::this_thread::yield();
  done = true;
  audio.join();
  knobs.join();
  CHECK(ok.load(), "a block was refused or not finite");
  return check_kit::report();
}
