// Memory for weights that are read from end to end for every sample: on huge pages where the system
// gives them, so that the reading never waits for an address translation and the cache's sets fill
// evenly.
#pragma once

#include <cstddef>
#include <memory>

namespace bunraku_kernels {

class PackedBytes {
public:
  PackedBytes() = default;
  explicit PackedBytes(std::size_t size); // zeroed
  std::byte* data() noexcept { return m_data.get(); }
  const std::byte* data() const noexcept { return m_data.get(); }

private:
  struct Free {
    void operator()(std::byte* p) const noexcept;
  };
  std::unique_ptr<std::byte, Free> m_data;
};

} // namespace bunraku_kernels
