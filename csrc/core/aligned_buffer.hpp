// An array of floats on a cache line's boundary, zeroed (and so touched) when made.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

namespace bunraku {

class AlignedBuffer {
public:
  static constexpr std::size_t kAlignment = 64;

  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t count)
      : m_data(static_cast<float*>(
            ::operator new(std::max<std::size_t>(count, 1) * sizeof(float), kAlign))) {
    std::fill_n(m_data.get(), count, 0.0f);
  }
  float* data() noexcept { return m_data.get(); }
  const float* data() const noexcept { return m_data.get(); }

private:
  static constexpr std::align_val_t kAlign{kAlignment};
  struct Free {
    void operator()(float* p) const noexcept { ::operator delete(p, kAlign); }
  };
  std::unique_ptr<float, Free> m_data;
};

} // namespace bunraku
