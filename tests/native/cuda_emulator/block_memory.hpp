// The dynamic shared memory of one block, with canaries on both sides, and the poison in it.
#pragma once

#include <cstddef>
#include <memory>

namespace bunraku_emulator {

class BlockMemory {
public:
  BlockMemory();

  /// Poisons `bytes` of shared memory and the canaries.
  void start(std::size_t bytes);
  void poison();
  unsigned char* data() { return m_storage.get() + canary_bytes; }
  const unsigned char* data() const { return m_storage.get() + canary_bytes; }
  std::size_t bytes() const { return m_bytes; }
  bool holds(const volatile void* address, std::size_t bytes) const;
  bool poisoned() const;
  /// Whether nothing was written outside; else `offset` says where, from data().
  bool intact(std::ptrdiff_t* offset) const;

private:
  static constexpr std::size_t canary_bytes = 1024;
  struct Free {
    void operator()(unsigned char* storage) const;
  };
  std::unique_ptr<unsigned char, Free> m_storage;
  std::size_t m_bytes = 0;
};

/// All static shared memory of the program's kernels.
class StaticMemory {
public:
  static void poison();
  static bool poisoned();
  static bool holds(const volatile void* address, std::size_t bytes);
};

} // namespace bunraku_emulator
