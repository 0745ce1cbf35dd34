// What is said when no thread of a launch can go on.
#include <map>
#include <utility>

#include "engine.hpp"

namespace bunraku_emulator {
namespace {

std::string what_it_does(const Thread& thread) {
  switch (thread.state) {
  case State::at_barrier:
    return std::string("at ") + name(thread.block->kind);
  case State::in_warp:
    return std::string("at ") + thread.operation + " with mask " + mask_text(thread.mask);
  case State::at_cluster:
    return "at cluster_wait";
  case State::at_grid:
    return "at grid_sync";
  case State::spinning:
    if (thread.flag == nullptr)
      return "polling memory that does not change";
    return "for a flag to reach " + std::to_string(thread.flag_value) + " (it is " +
           std::to_string(*thread.flag) + ")";
  case State::done:
    return "ended";
  default:
    return "able to go on";
  }
}

std::string in_block(const Block& block, const std::deque<Thread>& threads) {
  std::map<std::string, std::pair<unsigned, const Thread*>> groups;
  for (unsigned i = 0; i < block.threads; ++i) {
    const Thread& thread = threads[block.first_thread + i];
    auto& group = groups[what_it_does(thread)];
    if (group.first++ == 0)
      group.second = &thread;
  }
  std::string line = "block " + name(block.index) + ":";
  for (const auto& [what, group] : groups)
    line += " " + std::to_string(group.first) + " of " + std::to_string(block.threads) +
            " threads " + (group.second->state == State::done ? "" : "wait ") + what +
            " (the first is " + name(group.second->index) + "),";
  line.back() = ';';
  return line;
}

} // namespace

std::string name(uint3 index) {
  return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," +
         std::to_string(index.z) + ")";
}

std::string mask_text(unsigned mask) {
  char text[16];
  (void)std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}

std::string name(const Thread& thread) {
  return "thread " + name(thread.index) + " of block " + name(thread.block->index);
}

const char* name(BarrierKind kind) {
  switch (kind) {
  case BarrierKind::any:
    return "__syncthreads_or";
  case BarrierKind::all:
    return "__syncthreads_and";
  case BarrierKind::count:
    return "__syncthreads_count";
  default:
    return "__syncthreads";
  }
}

std::string standstill(const std::vector<Block>& blocks, const std::deque<Thread>& threads) {
  std::string line = "the kernel stands still: no thread can go on;";
  int told = 0;
  for (const Block& block : blocks)
    if (block.running > 0 && ++told <= 3)
      line += " " + in_block(block, threads);
  if (told > 3)
    line += " and " + std::to_string(told - 3) + " more blocks;";
  line += " all threads must reach the same barrier, and a flag's writer must be running";
  return line;
}

} // namespace bunraku_emulator
