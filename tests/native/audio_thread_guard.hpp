// Proves that a piece of code neither allocates, locks nor enters the kernel, and that the proof
// can fail. Include in one translation unit of a test program: it replaces malloc and its kin.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define BUNRAKU_SANITIZED 1
#endif
#endif
#if defined(__linux__) && defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) &&                  \
    !defined(__SANITIZE_THREAD__) && !defined(BUNRAKU_SANITIZED)
#define BUNRAKU_CAN_GUARD 1
#include <cerrno>
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void __libc_free(void*);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace audio_thread_guard {
inline std::atomic<long> heap_calls{0};
inline std::atomic<long> lock_calls{0};
using Lock = int (*)(pthread_mutex_t*);
inline const Lock real_lock = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
} // namespace audio_thread_guard

extern "C" {
inline __attribute__((used)) void* malloc(std::size_t size) {
  audio_thread_guard::heap_calls.fetch_add(1);
  return __libc_malloc(size);
}
inline __attribute__((used)) void* calloc(std::size_t count, std::size_t size) {
  audio_thread_guard::heap_calls.fetch_add(1);
  return __libc_calloc(count, size);
}
inline __attribute__((used)) void* realloc(void* old, std::size_t size) {
  audio_thread_guard::heap_calls.fetch_add(1);
  return __libc_realloc(old, size);
}
inline __attribute__((used)) void free(void* old) {
  audio_thread_guard::heap_calls.fetch_add(1);
  __libc_free(old);
}
inline __attribute__((used)) void* aligned_alloc(std::size_t alignment, std::size_t size) {
  audio_thread_guard::heap_calls.fetch_add(1);
  return __libc_memalign(alignment, size);
}
inline __attribute__((used)) int posix_memalign(void** out, std::size_t alignment,
                                                std::size_t size) {
  audio_thread_guard::heap_calls.fetch_add(1);
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? ENOMEM : 0;
}
inline __attribute__((used)) int pthread_mutex_lock(pthread_mutex_t* mutex) {
  audio_thread_guard::lock_calls.fetch_add(1);
  // Null while the program is still being set up, when there is one thread.
  return audio_thread_guard::real_lock == nullptr ? 0 : audio_thread_guard::real_lock(mutex);
}
}

namespace audio_thread_guard {

template <typename Work> long heap_calls_in(Work&& work) {
  const long before = heap_calls.load();
  work();
  return heap_calls.load() - before;
}

template <typename Work> long lock_calls_in(Work&& work) {
  const long before = lock_calls.load();
  work();
  return lock_calls.load() - before;
}

inline bool forbid_system_calls() { // all but exit: the next other one kills the process
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), // the system call's number
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  sock_fprog program{static_cast<unsigned short>(sizeof(rules) / sizeof(rules[0])), rules};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum class Verdict { Clean, EnteredKernel, CannotTell };

// Runs `work` in a child in which every system call is fatal.
template <typename Work> Verdict system_calls_in(Work&& work) {
  const pid_t child = fork();
  if (child == 0) {
    if (!forbid_system_calls()) {
      _exit(77);
    }
    work();
    syscall(SYS_exit, 0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) {
    return Verdict::CannotTell;
  }
  if (WIFEXITED(status)) {
    return WEXITSTATUS(status) == 0 ? Verdict::Clean : Verdict::CannotTell;
  }
  return Verdict::EnteredKernel;
}

} // namespace audio_thread_guard
#else
#define BUNRAKU_CAN_GUARD 0
#endif
