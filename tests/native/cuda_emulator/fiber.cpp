#include "fiber.hpp"

#include <cstdint>
#include <cstring>
#include <new>

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// swapcontext() makes a system call for the signal mask; this keeps what the ABI says a call keeps.
// The jump (not a return) spares the return predictor, which expects the caller.
asm(R"(
.text
.p2align 4
.globl bunraku_emulator_change
.hidden bunraku_emulator_change
.type bunraku_emulator_change, @function
bunraku_emulator_change:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmpq *%rcx
.size bunraku_emulator_change, . - bunraku_emulator_change
)");
extern "C" void bunraku_emulator_change(void** save, void* load);
#endif

namespace bunraku_emulator {
namespace {

constexpr std::size_t guard_bytes = 4096;
constexpr std::size_t stack_bytes = 256 * 1024; // of addresses: a page is memory once it is touched

#if defined(__SANITIZE_ADDRESS__)
Context* left = nullptr; // what the last change() left; one launch runs at a time
#endif

} // namespace

Context::~Context() {
  if (m_memory != nullptr)
    munmap(m_memory, guard_bytes + stack_bytes);
}

void Context::prepare(void (*entry)()) {
  if (m_memory == nullptr) {
    void* memory = mmap(nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, guard_bytes, PROT_NONE) != 0)
      throw std::bad_alloc();
    m_memory = memory;
    m_bottom = static_cast<char*>(memory) + guard_bytes;
    m_bytes = stack_bytes;
  }
  m_fake_stack = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(m_bottom, m_bytes); // of calls that were left where they stood
#endif
#if defined(__x86_64__)
  // Tops at one place in their pages would contend for the same few lines of the cache.
  const std::size_t colour = reinterpret_cast<std::uintptr_t>(m_memory) / 4096 % 61;
  auto* top = reinterpret_cast<std::uint64_t*>(static_cast<char*>(m_memory) + guard_bytes +
                                               stack_bytes - colour * 64);
  std::memset(top - 8, 0, 64); // six registers, the entry, and no caller
  top[-2] = reinterpret_cast<std::uint64_t>(entry);
  m_stack_pointer = top - 8;
#else
  getcontext(&m_registers);
  m_registers.uc_stack.ss_sp = static_cast<char*>(m_memory) + guard_bytes;
  m_registers.uc_stack.ss_size = stack_bytes;
  m_registers.uc_link = nullptr;
  makecontext(&m_registers, entry, 0);
#endif
}

void Context::change(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__)
  left = &from;
  __sanitizer_start_switch_fiber(&from.m_fake_stack, to.m_bottom, to.m_bytes);
#endif
#if defined(__x86_64__)
  bunraku_emulator_change(&from.m_stack_pointer, to.m_stack_pointer);
#else
  swapcontext(&from.m_registers, &to.m_registers);
#endif
  from.arrived();
}

void Context::arrived() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(m_fake_stack, &left->m_bottom, &left->m_bytes);
#endif
}

} // namespace bunraku_emulator
