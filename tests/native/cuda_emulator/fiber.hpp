// A call stack of its own for each CUDA thread, and the switch between two of them.
#pragma once

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace bunraku_emulator {

/// Where a stack of calls stands while another one runs.
class Context {
public:
  Context() = default;
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// Makes the next switch here call `entry`, which must not return. Takes memory the first time.
  void prepare(void (*entry)());
  /// Leaves `from` as it stands, and goes on here.
  static void change(Context& from, Context& to);
  /// The first thing that an entry calls, on its own context.
  void arrived();

private:
  void* m_stack_pointer = nullptr;
  void* m_memory = nullptr; // null: the stack of the operating system's thread
#if !defined(__x86_64__)
  ucontext_t m_registers;
#endif
  void* m_fake_stack = nullptr; // the three are AddressSanitizer's
  const void* m_bottom = nullptr;
  std::size_t m_bytes = 0;
};

} // namespace bunraku_emulator
