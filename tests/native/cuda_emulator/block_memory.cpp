#include "block_memory.hpp"

#include <cstdint>
#include <cstring>
#include <new>

// The linker puts these around the section that cuda_emulator_intrinsics.hpp fills, if there is
// one.
extern unsigned char shared_begin[] __asm__("__start_bunraku_shared")
    __attribute__((weak, visibility("hidden")));
extern unsigned char shared_end[] __asm__("__stop_bunraku_shared")
    __attribute__((weak, visibility("hidden")));

namespace bunraku_emulator {
namespace {

constexpr int poison_byte = 0xFF; // NaN in every floating point type
constexpr std::align_val_t alignment{1024};
constexpr std::size_t capacity_bytes = 228 * 1024;

const unsigned char* first_changed(const unsigned char* bytes, std::size_t count) {
  // Comparing with itself a byte further on finds the first difference at memcmp's speed.
  if (count == 0 || (bytes[0] == poison_byte && std::memcmp(bytes, bytes + 1, count - 1) == 0))
    return nullptr;
  while (*bytes == poison_byte)
    ++bytes;
  return bytes;
}

bool lies_in(const unsigned char* begin, std::size_t size, const volatile void* address,
             std::size_t bytes) {
  const auto offset =
      reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(begin);
  return offset <= size && bytes <= size - offset;
}

std::size_t static_bytes() {
  return reinterpret_cast<std::uintptr_t>(shared_end) -
         reinterpret_cast<std::uintptr_t>(shared_begin);
}

} // namespace

void BlockMemory::Free::operator()(unsigned char* storage) const {
  ::operator delete(storage, alignment);
}

BlockMemory::BlockMemory()
    : m_storage(static_cast<unsigned char*>(
          ::operator new(canary_bytes + capacity_bytes + canary_bytes, alignment))) {}

void BlockMemory::start(std::size_t bytes) {
  m_bytes = bytes;
  std::memset(m_storage.get(), poison_byte, canary_bytes + bytes + canary_bytes);
}

void BlockMemory::poison() {
  std::memset(data(), poison_byte, m_bytes);
}

bool BlockMemory::holds(const volatile void* address, std::size_t bytes) const {
  return lies_in(data(), m_bytes, address, bytes);
}

bool BlockMemory::poisoned() const {
  return first_changed(data(), m_bytes) == nullptr;
}

bool BlockMemory::intact(std::ptrdiff_t* offset) const {
  const unsigned char* changed = first_changed(data() + m_bytes, canary_bytes);
  if (changed == nullptr)
    changed = first_changed(m_storage.get(), canary_bytes);
  if (changed != nullptr)
    *offset = changed - data();
  return changed == nullptr;
}

void StaticMemory::poison() {
  if (static_bytes() > 0)
    std::memset(shared_begin, poison_byte, static_bytes());
}

bool StaticMemory::poisoned() {
  return first_changed(shared_begin, static_bytes()) == nullptr;
}

bool StaticMemory::holds(const volatile void* address, std::size_t bytes) {
  return lies_in(shared_begin, static_bytes(), address, bytes);
}

} // namespace bunraku_emulator
