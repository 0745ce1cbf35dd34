#include "ready_set.hpp"

#include <cstdlib>

#include "cuda_emulator.hpp"

namespace bunraku_emulator {

Order Order::chosen() {
  const char* text = std::getenv("BUNRAKU_EMULATOR_ORDER");
  const std::string value = text == nullptr ? "" : text;
  if (value.empty() || value == "forward")
    return {Kind::forward, 0};
  if (value == "reverse")
    return {Kind::reverse, 0};
  const std::string prefix = "random:", digits = "0123456789";
  if (value.rfind(prefix, 0) == 0 && value.size() > prefix.size() &&
      value.size() <= prefix.size() + 18 &&
      value.find_first_not_of(digits, prefix.size()) == std::string::npos)
    return {Kind::random, std::stoull(value.substr(prefix.size()))};
  throw Fault("BUNRAKU_EMULATOR_ORDER is '" + value + "': use forward, reverse or random:SEED");
}

void ReadySet::start(std::size_t threads, Order order) {
  m_order = order;
  m_dice = Dice(order.seed);
  m_words.assign((threads + 63) / 64, 0);
  m_threads = threads;
  m_count = 0;
  m_start = 0;
}

void ReadySet::add(std::size_t thread) {
  m_words[thread / 64] |= std::uint64_t{1} << (thread % 64);
  ++m_count;
}

std::size_t ReadySet::lowest_from(std::size_t thread) const {
  std::size_t word = thread / 64;
  std::uint64_t bits = m_words[word] >> (thread % 64) << (thread % 64);
  while (bits == 0) {
    if (++word == m_words.size())
      return none;
    bits = m_words[word];
  }
  return word * 64 + static_cast<std::size_t>(__builtin_ctzll(bits));
}

std::size_t ReadySet::highest() const {
  std::size_t word = m_words.size() - 1;
  while (m_words[word] == 0)
    --word;
  return word * 64 + 63 - static_cast<std::size_t>(__builtin_clzll(m_words[word]));
}

std::size_t ReadySet::take() {
  if (m_count == 0)
    return none;
  std::size_t thread = none;
  if (m_order.kind == Order::Kind::reverse) {
    thread = highest();
  } else {
    if (random() && m_dice.below(8) == 0)
      m_start = m_dice.below(m_threads);
    thread = lowest_from(m_start);
    if (thread == none)
      thread = lowest_from(0);
  }
  m_words[thread / 64] &= ~(std::uint64_t{1} << (thread % 64));
  --m_count;
  return thread;
}

} // namespace bunraku_emulator
