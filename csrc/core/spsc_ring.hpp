// A lock-free ring of floats between exactly one writing and one reading thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>

namespace bunraku {

// Each side keeps a cached copy of the other side's index and looks at the shared one only when the
// cached one does not suffice, so that in the steady state no cache line travels for nothing.
// Indices count floats ever moved and never wrap in practice (2^64); the capacity is a power of
// two.
class SpscRing {
public:
  explicit SpscRing(std::size_t least_capacity)
      : m_capacity(round_up(least_capacity)), m_mask(m_capacity - 1),
        m_data(std::make_unique<float[]>(m_capacity)) {}

  SpscRing(const SpscRing&) = delete;
  SpscRing& operator=(const SpscRing&) = delete;

  std::size_t capacity() const noexcept { return m_capacity; }

  // ---- the writing thread ----

  std::size_t write_available() noexcept {
    m_writer.other = m_reader.index.load(std::memory_order_acquire);
    return m_capacity - (m_writer.index.load(std::memory_order_relaxed) - m_writer.other);
  }

  // All of `count` floats or none. Wait-free.
  bool write(const float* data, std::size_t count) noexcept {
    return write_parts(data, count, nullptr, 0);
  }

  // Two pieces made visible to the reader as one; all or nothing.
  bool write_parts(const float* first, std::size_t first_count, const float* second,
                   std::size_t second_count) noexcept {
    const std::size_t index = m_writer.index.load(std::memory_order_relaxed);
    const std::size_t count = first_count + second_count;
    if (m_capacity - (index - m_writer.other) < count && write_available() < count) {
      return false;
    }
    copy_in(index, first, first_count);
    copy_in(index + first_count, second, second_count);
    m_writer.index.store(index + count, std::memory_order_release);
    return true;
  }

  // ---- the reading thread ----

  std::size_t read_available() noexcept {
    m_reader.other = m_writer.index.load(std::memory_order_acquire);
    return m_reader.other - m_reader.index.load(std::memory_order_relaxed);
  }

  // Copy `count` floats out without consuming them; all or nothing.
  bool peek(float* data, std::size_t count) noexcept {
    const std::size_t index = m_reader.index.load(std::memory_order_relaxed);
    if (m_reader.other - index < count && read_available() < count) {
      return false;
    }
    copy_out(index, data, count);
    return true;
  }

  // All of `count` floats or none. Wait-free.
  bool read(float* data, std::size_t count) noexcept {
    if (!peek(data, count)) {
      return false;
    }
    advance(count);
    return true;
  }

  // Drop up to `count` floats unread; returns how many.
  std::size_t discard(std::size_t count) noexcept {
    const std::size_t dropped = std::min(count, read_available());
    advance(dropped);
    return dropped;
  }

private:
  static std::size_t round_up(std::size_t least) noexcept {
    std::size_t capacity = 16;
    while (capacity < least) {
      capacity *= 2;
    }
    return capacity;
  }

  void advance(std::size_t count) noexcept {
    m_reader.index.store(m_reader.index.load(std::memory_order_relaxed) + count,
                         std::memory_order_release);
  }

  void copy_in(std::size_t index, const float* data, std::size_t count) noexcept {
    if (count == 0) {
      return;
    }
    const std::size_t at = index & m_mask;
    const std::size_t first = std::min(count, m_capacity - at);
    std::memcpy(m_data.get() + at, data, first * sizeof(float));
    std::memcpy(m_data.get(), data + first, (count - first) * sizeof(float));
  }

  void copy_out(std::size_t index, float* data, std::size_t count) const noexcept {
    if (count == 0) {
      return;
    }
    const std::size_t at = index & m_mask;
    const std::size_t first = std::min(count, m_capacity - at);
    std::memcpy(data, m_data.get() + at, first * sizeof(float));
    std::memcpy(data + first, m_data.get(), (count - first) * sizeof(float));
  }

  // 128: two lines, because neighbouring lines are prefetched in pairs.
  struct alignas(128) Side {
    std::atomic<std::size_t> index{0};
    std::size_t other = 0; // this side's cached copy of the other side's index
  };

  const std::size_t m_capacity;
  const std::size_t m_mask;
  const std::unique_ptr<float[]> m_data;
  Side m_writer;
  Side m_reader;
};

} // namespace bunraku
