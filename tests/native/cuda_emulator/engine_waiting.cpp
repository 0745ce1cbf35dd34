// What a thread of a kernel can wait for: its block, warp, cluster and grid, a flag, a copy.
#include <cstring>

#include "engine.hpp"

namespace bunraku_emulator {

// ---- the block ----------------------------------------------------------------------------------

int Engine::block_barrier(BarrierKind kind, int predicate) {
  Block& block = *m_running->block;
  if (block.arrived > 0 && block.kind != kind)
    throw Fault(name(*m_running) + " came to " + name(kind) + " while others wait at " +
                name(block.kind));
  block.kind = kind;
  m_running->state = State::at_barrier;
  block.predicates += predicate != 0;
  if (++block.arrived == block.threads) {
    check_memory(block);
    const bool all = block.predicates == block.threads;
    block.result = kind == BarrierKind::count ? static_cast<int>(block.predicates)
                   : kind == BarrierKind::all ? all
                                              : block.predicates > 0;
    block.arrived = block.predicates = 0;
    m_idle_polls = 0;
    for (unsigned i = 0; i < block.threads; ++i)
      make_able(m_threads[block.first_thread + i]);
  }
  go_on();
  return block.result;
}

// ---- the warp -----------------------------------------------------------------------------------

void Engine::warp_meet(unsigned mask, void* slot, Combine combine, const char* operation) {
  Thread& thread = *m_running;
  Warp& warp = *thread.warp;
  const unsigned bit = 1u << thread.lane;
  if ((mask & bit) == 0 || (mask & ~warp.existing) != 0)
    throw Fault(name(thread) + " called " + operation + " with mask " + mask_text(mask) +
                ((mask & bit) == 0 ? ", which lacks its own lane"
                                   : ", which names lanes that the block does not have"));
  thread.mask = mask;
  thread.slot = slot;
  thread.combine = combine;
  thread.operation = operation;
  thread.state = State::in_warp;
  warp.waiting |= bit;
  if ((warp.waiting & mask) == mask)
    meet(warp, thread);
  go_on();
}

void Engine::meet(Warp& warp, const Thread& last) {
  void* slots[32] = {};
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((last.mask >> lane & 1u) == 0)
      continue;
    const Thread& thread = *warp.lanes[lane];
    if (thread.mask != last.mask || thread.combine != last.combine ||
        std::strcmp(thread.operation, last.operation) != 0)
      throw Fault(name(last) + " came to " + last.operation + " while lane " +
                  std::to_string(lane) + " waits at " + thread.operation +
                  ": lanes of one mask must call the same with the same mask and type");
    slots[lane] = thread.slot;
  }
  if (last.combine != nullptr)
    last.combine(slots, last.mask);
  warp.waiting &= ~last.mask;
  m_idle_polls = 0;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (last.mask >> lane & 1u)
      make_able(*warp.lanes[lane]);
}

// ---- the cluster and the grid -------------------------------------------------------------------

void Engine::cluster_arrive() {
  Thread& thread = *m_running;
  if (compute_capability() < 90)
    throw Fault("clusters need compute capability 9.0, BUNRAKU_EMULATOR_SM is lower");
  if (thread.cluster_arrived)
    throw Fault(name(thread) + " called cluster_arrive() twice without cluster_wait()");
  thread.cluster_arrived = true;
  thread.cluster_phase = thread.block->cluster->phase;
  ++thread.block->cluster->arrived;
  complete_cluster(*thread.block->cluster);
}

void Engine::cluster_wait() {
  Thread& thread = *m_running;
  if (!thread.cluster_arrived)
    throw Fault(name(thread) + " called cluster_wait() without cluster_arrive()");
  if (thread.cluster_phase == thread.block->cluster->phase)
    suspend(State::at_cluster);
  thread.cluster_arrived = false;
}

void Engine::complete_cluster(Cluster& cluster) {
  if (cluster.arrived == 0 || cluster.arrived != cluster.running)
    return;
  cluster.arrived = 0;
  ++cluster.phase;
  m_idle_polls = 0;
  for (const Block* block : cluster.blocks) {
    check_memory(*block);
    for (unsigned i = 0; i < block->threads; ++i) {
      Thread& thread = m_threads[block->first_thread + i];
      if (thread.state == State::at_cluster)
        make_able(thread);
    }
  }
}

const void* Engine::map_shared(const volatile void* local, unsigned rank) {
  const Thread& thread = *m_running;
  const Cluster& cluster = *thread.block->cluster;
  if (rank >= cluster.blocks.size())
    throw Fault(name(thread) + " called map_shared() for rank " + std::to_string(rank) +
                ", the cluster has " + std::to_string(cluster.blocks.size()) + " blocks");
  BlockMemory& own = *thread.block->memory;
  if (!own.holds(local, 1))
    throw Fault(name(thread) + " called map_shared() for an address outside its dynamic shared "
                               "memory");
  const auto* address = static_cast<const unsigned char*>(const_cast<const void*>(local));
  return cluster.blocks[rank]->memory->data() + (address - own.data());
}

void Engine::grid_barrier() {
  if (!m_grouping.cooperative)
    throw Fault("grid_sync() needs launch_cooperative()");
  m_running->state = State::at_grid;
  if (++m_grid_arrived == m_thread_count) {
    m_grid_arrived = m_idle_polls = 0;
    for (std::size_t i = 0; i < m_thread_count; ++i)
      make_able(m_threads[i]);
  }
  go_on();
}

// ---- memory -------------------------------------------------------------------------------------

void Engine::spin(const int* flag, int value) {
  Thread& thread = *m_running;
  thread.flag = flag;
  thread.flag_value = value;
  m_spinning.push_back(&thread);
  suspend(State::spinning);
}

void Engine::poll() {
  if (m_ready.random() && m_ready.dice().below(2) == 0)
    return; // the value as it is now, for once
  spin(nullptr, 0);
}

void Engine::memory_event(bool changed) {
  if (!changed) // perhaps a poll
    return spin(nullptr, 0);
  m_idle_polls = 0;
  if (!m_spinning.empty())
    wake_spinning();
  if (m_ready.random() && m_ready.dice().below(4) == 0) {
    make_able(*m_running);
    go_on();
  }
}

// A copy happens when it is waited for; until then its target is poison, so that reading too early
// shows, and so does reading what the copy may already have overwritten.
void Engine::copy_start(void* shared, const void* source, std::size_t bytes, bool valid) {
  Thread& thread = *m_running;
  const auto to = reinterpret_cast<std::uintptr_t>(shared);
  const auto from = reinterpret_cast<std::uintptr_t>(source);
  if (to % bytes != 0 || from % bytes != 0)
    throw Fault(name(thread) + " called cp_async with an address that is not a multiple of its " +
                std::to_string(bytes) + " bytes");
  if (!thread.block->memory->holds(shared, bytes) && !StaticMemory::holds(shared, bytes))
    throw Fault(name(thread) + " called cp_async to an address outside its block's shared memory");
  std::memset(shared, 0xFF, bytes);
  thread.copies.push_back({shared, source, bytes, valid});
  ++thread.open_copies;
}

void Engine::copy_commit() {
  Thread& thread = *m_running;
  thread.copy_groups.push_back(thread.open_copies);
  thread.open_copies = 0;
}

void Engine::copy_wait(std::size_t pending_groups) {
  Thread& thread = *m_running;
  std::size_t count = 0;
  while (thread.copy_groups.size() > pending_groups) {
    count += thread.copy_groups.front();
    thread.copy_groups.pop_front();
  }
  finish_copies(count);
}

void Engine::finish_copies(std::size_t count) {
  std::vector<Copy>& copies = m_running->copies;
  for (std::size_t i = 0; i < count; ++i) {
    if (copies[i].valid)
      std::memcpy(copies[i].to, copies[i].from, copies[i].bytes);
    else
      std::memset(copies[i].to, 0, copies[i].bytes);
  }
  copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(count));
}

// ---- as kernels call it -------------------------------------------------------------------------

void* dynamic_shared_memory() {
  return Engine::one().running().block->memory->data();
}

int block_barrier(BarrierKind kind, int predicate) {
  return Engine::one().block_barrier(kind, predicate);
}

void grid_barrier() {
  Engine::one().grid_barrier();
}

void warp_meet(unsigned mask, void* slot, Combine combine, const char* operation) {
  Engine::one().warp_meet(mask, slot, combine, operation);
}

unsigned lane() {
  return Engine::one().running().lane;
}

unsigned cluster_rank() {
  return Engine::one().running().block->rank;
}

unsigned cluster_blocks() {
  return static_cast<unsigned>(Engine::one().running().block->cluster->blocks.size());
}

void cluster_arrive() {
  Engine::one().cluster_arrive();
}

void cluster_wait() {
  Engine::one().cluster_wait();
}

const void* map_shared(const volatile void* local, unsigned rank) {
  return Engine::one().map_shared(local, rank);
}

void store_release(int* flag, int value) {
  *flag = value;
  Engine::one().memory_event(true);
}

int load_acquire(const int* flag) {
  Engine::one().poll();
  return *flag;
}

int add_release(int* flag, int value) {
  return atomic(flag, [&](int before) { return before + value; });
}

void spin_until_at_least(const int* flag, int value) {
  if (*flag < value)
    Engine::one().spin(flag, value);
}

void pause() {
  Engine::one().poll();
}

void memory_event(bool changed) {
  Engine::one().memory_event(changed);
}

void copy_start(void* shared, const void* source, int bytes, bool valid) {
  Engine::one().copy_start(shared, source, static_cast<std::size_t>(bytes), valid);
}

void copy_commit() {
  Engine::one().copy_commit();
}

void copy_wait(int pending_groups) {
  Engine::one().copy_wait(static_cast<std::size_t>(pending_groups));
}

void Vote::combine(void* const* slots, unsigned) {
  unsigned ballot = 0;
  for (unsigned i = 0; i < 32; ++i)
    if (slots[i] != nullptr && static_cast<const Vote*>(slots[i])->predicate != 0)
      ballot |= 1u << i;
  for (int i = 0; i < 32; ++i)
    if (slots[i] != nullptr)
      static_cast<Vote*>(slots[i])->ballot = ballot;
}

unsigned ballot(unsigned mask, int predicate, const char* operation) {
  Vote slot{predicate, 0};
  warp_meet(mask, &slot, Vote::combine, operation);
  return slot.ballot;
}

void check_matrix_row(const void* row) {
  const Thread& thread = Engine::one().running();
  if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0)
    throw Fault(name(thread) + " called ldmatrix with an address that is not a multiple of 16");
  if (!thread.block->memory->holds(row, 16) && !StaticMemory::holds(row, 16))
    throw Fault(name(thread) +
                " called ldmatrix with an address outside its block's shared memory");
}

} // namespace bunraku_emulator
