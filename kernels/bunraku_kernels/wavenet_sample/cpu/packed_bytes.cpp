#include "wavenet_sample/cpu/packed_bytes.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace bunraku_kernels {
namespace {

constexpr std::size_t kHugePage = std::size_t{1} << 21;
constexpr std::align_val_t kAlign{kHugePage};

} // namespace

PackedBytes::PackedBytes(std::size_t size) {
  const std::size_t whole =
      std::max<std::size_t>((size + kHugePage - 1) / kHugePage, 1) * kHugePage;
  m_data.reset(static_cast<std::byte*>(::operator new(whole, kAlign)));
#if defined(__linux__)
  madvise(m_data.get(), whole, MADV_HUGEPAGE); // a wish: without it all works, a little slower
#endif
  std::memset(m_data.get(), 0, whole);
}

void PackedBytes::Free::operator()(std::byte* p) const noexcept {
  ::operator delete(p, kAlign);
}

} // namespace bunraku_kernels
