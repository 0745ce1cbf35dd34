// A launch under way: blocks, their threads as fibers, what they wait for, and who goes on.
#pragma once

#include <cstddef>
#include <deque>
#include <exception>
#include <string>
#include <vector>

#include "block_memory.hpp"
#include "cuda_device.hpp"
#include "cuda_emulator.hpp"
#include "fiber.hpp"
#include "ready_set.hpp"

namespace bunraku_emulator {

struct Block;
struct Warp;

enum class State { able, at_barrier, in_warp, at_cluster, at_grid, spinning, done };

struct Copy {
  void* to;
  const void* from;
  std::size_t bytes;
  bool valid;
};

struct Thread {
  Context context;
  uint3 index{};
  State state = State::able;
  std::size_t number = 0; // among those that run at once
  unsigned lane = 0;
  Block* block = nullptr;
  Warp* warp = nullptr;

  unsigned mask = 0; // in_warp
  void* slot = nullptr;
  Combine combine = nullptr;
  const char* operation = nullptr;

  const int* flag = nullptr; // spinning: null for a poll of anything
  int flag_value = 0;

  bool cluster_arrived = false;
  unsigned cluster_phase = 0;

  std::vector<Copy> copies;
  std::deque<std::size_t> copy_groups; // how many copies each closed group has
  std::size_t open_copies = 0;
};

struct Warp {
  Thread* lanes[32] = {};
  unsigned existing = 0, waiting = 0; // bits
};

struct Cluster {
  std::vector<Block*> blocks;
  unsigned running = 0, arrived = 0, phase = 0; // threads
};

struct Block {
  uint3 index{};
  BlockMemory* memory = nullptr;
  Cluster* cluster = nullptr;
  unsigned rank = 0; // in the cluster
  unsigned threads = 0, running = 0;
  std::size_t first_thread = 0;
  bool started = false;

  BarrierKind kind = BarrierKind::sync;
  unsigned arrived = 0, predicates = 0;
  int result = 0;
};

class Engine {
public:
  /// The one engine; hold its mutex during run(). The rest is for the kernel that it runs.
  static Engine& one();

  void run(const cudaLaunchConfig_t& config, const Grouping& grouping, Body body,
           const void* closure);

  Thread& running() const { return *m_running; }
  int block_barrier(BarrierKind kind, int predicate);
  void grid_barrier();
  void warp_meet(unsigned mask, void* slot, Combine combine, const char* operation);
  void cluster_arrive();
  void cluster_wait();
  const void* map_shared(const volatile void* local, unsigned rank);
  void spin(const int* flag, int value);
  void poll();
  void memory_event(bool changed);
  void copy_start(void* shared, const void* source, std::size_t bytes, bool valid);
  void copy_commit();
  void copy_wait(std::size_t pending_groups);

private:
  std::vector<std::vector<uint3>> batches(Dice& dice, Order order) const;
  void prepare_threads(std::size_t count);
  void run_at_once(const std::vector<uint3>& blocks);
  void set_up(const std::vector<uint3>& blocks);
  void set_up_threads(Block& block);
  void check_end() const;

  static void fiber_entry();
  void run_thread();
  void finish_thread();
  void start_block(Block& block);
  void end_block(Block& block);

  void make_able(Thread& thread);
  void suspend(State state);
  void set_running(Thread& thread);
  void go_on();
  Thread* next();
  bool wake_spinning();
  void complete_cluster(Cluster& cluster);
  void meet(Warp& warp, const Thread& last);
  void finish_copies(std::size_t count);
  void check_memory(const Block& block) const;
  bool alone() const { return !m_grouping.cooperative && m_grouping.cluster_blocks == 0; }

  std::size_t m_shared_bytes = 0;
  Grouping m_grouping;
  Body m_body = [](const void*) {};
  const void* m_closure = nullptr;

  Context m_caller;
  std::deque<Thread>
      m_threads; // a deque never moves what it holds; they are kept for later launches
  std::deque<BlockMemory> m_memories;
  std::vector<Warp> m_warps;
  std::vector<Cluster> m_clusters;
  std::vector<Block> m_blocks;
  std::size_t m_thread_count = 0, m_unfinished = 0, m_grid_arrived = 0;
  std::size_t m_idle_polls = 0; // since anything else happened
  ReadySet m_ready;
  std::vector<Thread*> m_spinning;
  Thread m_nobody; // who runs while no kernel does
  Thread* m_running = &m_nobody;
  std::exception_ptr m_error;
};

/// "thread (x,y,z) of block (x,y,z)".
std::string name(const Thread& thread);
std::string name(uint3 index);
const char* name(BarrierKind kind);
std::string mask_text(unsigned mask);
/// A line on what the unfinished threads of a launch wait for.
std::string standstill(const std::vector<Block>& blocks, const std::deque<Thread>& threads);

} // namespace bunraku_emulator
