// process, set_param, reset and a swap's crossfade neither allocate, lock nor enter the kernel, for
// every kind of effect; and each of the three proofs can fail.
#include "audio_thread_guard.hpp"

#include <vector>

#include "check.hpp"
#include "handles.hpp"
#include "model_bytes.hpp"

#if BUNRAKU_CAN_GUARD
namespace {

constexpr std::uint32_t kBlock = 128;

// What an audio thread does with a stream, some thousands of blocks of it.
class Performer {
public:
  Performer(bk_stream* stream, std::uint32_t param_count)
      : m_stream(stream), m_param_count(param_count), m_samples(4 * kBlock, 0.1f) {}

  void perform(int blocks) {
    float* planes[2] = {m_samples.data(), m_samples.data() + kBlock};
    for (int block = 0; block < blocks; ++block) {
      const std::uint32_t frames = 1 + static_cast<std::uint32_t>(block * 37) % kBlock;
      for (std::size_t i = 0; i < m_samples.size(); ++i)
        m_samples[i] =
            0.3f * static_cast<float>((i * 7 + static_cast<std::size_t>(block)) % 13) - 1.8f;
      m_ok &= bk_stream_process(m_stream, planes, planes, frames) == BK_OK;
      m_ok &= bk_stream_process_interleaved(m_stream, m_samples.data(),
                                            m_samples.data() + 2 * kBlock, frames) == BK_OK;
      float value = 0.0f;
      for (std::uint32_t i = 0; i < m_param_count; ++i) {
        bk_stream_set_param(m_stream, i, block % 2 == 0 ? 0.25f : 0.75f);
        bk_stream_get_param(m_stream, i, &value);
      }
      if (block % 500 == 499)
        bk_stream_reset(m_stream);
    }
  }

  bool ok() const { return m_ok; }

private:
  bk_stream* m_stream;
  std::uint32_t m_param_count;
  std::vector<float> m_samples;
  bool m_ok = true;
};

void check_kind(const model_bytes::Named& kind, bool force_general, double sample_rate_hz) {
  const ModelHandle model = load(kind.bytes, force_general);
  const ModelHandle other = load(model_bytes::file(model_bytes::chain({model_bytes::gain(-9.0f)})));
  bk_model_info info{};
  info.struct_size = sizeof info;
  need(bk_model_get_info(model.get(), &info), "info");
  const StreamHandle stream = open(other.get(), 2, kBlock, sample_rate_hz);
  Performer performer(stream.get(), info.param_count);

  using namespace audio_thread_guard;
  // Every call meets a swap to the tested model or back, its pre-roll and its crossfade.
  need(bk_stream_swap(stream.get(), model.get()), "swap");
  CHECK(heap_calls_in([&] { performer.perform(600); }) == 0, "%s allocates", kind.name.c_str());
  CHECK(bk_stream_swap_pending(stream.get()) == 0, "%s: the swap did not end", kind.name.c_str());
  need(bk_stream_swap(stream.get(), other.get()), "swap back");
  CHECK(lock_calls_in([&] { performer.perform(600); }) == 0, "%s locks", kind.name.c_str());
  CHECK(bk_stream_swap_pending(stream.get()) == 0, "%s: the swap back did not end",
        kind.name.c_str());
  need(bk_stream_swap(stream.get(), model.get()), "swap again");
  const Verdict verdict = system_calls_in([&] { performer.perform(2000); });
  CHECK(verdict != Verdict::EnteredKernel, "%s makes system calls", kind.name.c_str());
  if (verdict == Verdict::CannotTell)
    std::printf("%s: system calls not checked: seccomp is not at hand\n", kind.name.c_str());
  CHECK(performer.ok(), "%s refused a block", kind.name.c_str());
}

void check_that_the_proofs_can_fail() {
  using namespace audio_thread_guard;
  void* volatile memory = nullptr;
  CHECK(heap_calls_in([&] {
          memory = std::malloc(16);
          std::free(memory);
        }) == 2,
        "malloc and free count");
  CHECK(heap_calls_in([&] {
          memory = ::operator new(64);
          ::operator delete(memory);
        }) == 2,
        "new and delete count");
  CHECK(heap_calls_in([&] {
          memory = std::aligned_alloc(64, 64);
          std::free(memory);
        }) == 2,
        "aligned_alloc counts");
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  CHECK(lock_calls_in([&] {
          pthread_mutex_lock(&mutex);
          pthread_mutex_unlock(&mutex);
        }) == 1,
        "a lock counts");
  CHECK(system_calls_in([] { syscall(SYS_getpid); }) != Verdict::Clean, "a system call counts");
}

} // namespace

int main() {
  check_that_the_proofs_can_fail();
  for (const model_bytes::Named& kind : model_bytes::every_kind()) {
    check_kind(kind, false, 0.0);
    check_kind(kind, true, 0.0);
    check_kind(kind, false, 44100.0);
  }
  return check_kit::report();
}
#else
int main() {
  std::printf("skipped: the guard needs glibc on Linux and no sanitizer\n");
  return 77;
}
#endif
