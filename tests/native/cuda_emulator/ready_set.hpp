// The threads that could go on, and the choice of the one that does: by BUNRAKU_EMULATOR_ORDER.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bunraku_emulator {

/// forward: the lowest thread first, always. reverse: the highest. random:SEED: whole stretches of
/// threads run ahead of the others, from a place that changes now and then.
struct Order {
  enum class Kind { forward, reverse, random } kind = Kind::forward;
  std::uint64_t seed = 0;

  /// From the environment; throws Fault for a value that is none of the three.
  static Order chosen();
};

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the same choices on every machine.
class Dice {
public:
  explicit Dice(std::uint64_t seed) : m_state(seed) {}
  std::uint64_t next() {
    std::uint64_t z = m_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
  }
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(next() % limit); }

private:
  std::uint64_t m_state;
};

class ReadySet {
public:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  ReadySet() : m_dice(0) {}
  void start(std::size_t threads, Order order);
  void add(std::size_t thread);
  /// Removes and returns the thread that goes on, or none.
  std::size_t take();
  bool empty() const { return m_count == 0; }
  bool random() const { return m_order.kind == Order::Kind::random; }
  Dice& dice() { return m_dice; }

private:
  std::size_t lowest_from(std::size_t thread) const;
  std::size_t highest() const;

  Order m_order;
  Dice m_dice;
  std::vector<std::uint64_t> m_words;
  std::size_t m_threads = 0, m_count = 0, m_start = 0;
};

} // namespace bunraku_emulator
