#include "engine.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim; // NOLINT(bugprone-throwing-static-initialization): dim3 does not throw

namespace bunraku_emulator {
namespace {

// Resumptions of threads that poll while nothing else happens, before they are said to hang.
constexpr std::size_t most_idle_polls = 10'000'000;

uint3 index_in(dim3 size, std::size_t number) {
  return {static_cast<unsigned>(number % size.x), static_cast<unsigned>(number / size.x % size.y),
          static_cast<unsigned>(number / size.x / size.y)};
}

std::size_t volume(dim3 size) {
  return std::size_t{size.x} * size.y * size.z;
}

} // namespace

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel, Body body,
                   const void* closure) {
  Grouping grouping;
  const cudaError_t error = examine(config, kernel, &grouping);
  if (error != cudaSuccess)
    return error;
  static std::mutex mutex; // static shared memory is one for all, and so is the engine
  const std::lock_guard<std::mutex> lock(mutex);
  Engine::one().run(config, grouping, body, closure);
  return cudaSuccess;
}

Engine& Engine::one() {
  static Engine engine;
  return engine;
}

void Engine::run(const cudaLaunchConfig_t& config, const Grouping& grouping, Body body,
                 const void* closure) {
  gridDim = config.gridDim;
  blockDim = config.blockDim;
  m_shared_bytes = config.dynamicSmemBytes;
  m_grouping = grouping;
  m_body = body;
  m_closure = closure;
  const Order order = Order::chosen();
  Dice dice(order.seed);
  const std::vector<std::vector<uint3>> all = batches(dice, order);
  prepare_threads(all.front().size() * volume(blockDim));
  for (const std::vector<uint3>& batch : all) {
    m_ready.start(m_thread_count, {order.kind, dice.next()});
    run_at_once(batch);
  }
}

// Anew for each launch: a fault left fibers where they stood, and a launch may come from another
// thread of the operating system.
void Engine::prepare_threads(std::size_t count) {
  m_thread_count = count;
  while (m_threads.size() < count)
    m_threads.emplace_back();
  for (std::size_t i = 0; i < count; ++i)
    m_threads[i].context.prepare(fiber_entry);
}

std::vector<std::vector<uint3>> Engine::batches(Dice& dice, Order order) const {
  const std::size_t blocks = volume(gridDim);
  const std::size_t size =
      m_grouping.cooperative ? blocks : std::max(m_grouping.cluster_blocks, 1u);
  std::vector<std::vector<uint3>> result(blocks / size);
  for (std::size_t i = 0; i < blocks; ++i)
    result[i / size].push_back(index_in(gridDim, i));
  if (order.kind == Order::Kind::reverse)
    std::reverse(result.begin(), result.end());
  else if (order.kind == Order::Kind::random)
    for (std::size_t i = result.size(); i > 1; --i)
      std::swap(result[i - 1], result[dice.below(i)]);
  return result;
}

void Engine::run_at_once(const std::vector<uint3>& blocks) {
  set_up(blocks);
  StaticMemory::poison();
  if (Thread* first = next(); first != nullptr) {
    set_running(*first);
    Context::change(m_caller, first->context);
  }
  m_running = &m_nobody;
  if (m_error != nullptr)
    std::rethrow_exception(std::exchange(m_error, nullptr));
  if (m_unfinished != 0)
    throw Fault(standstill(m_blocks, m_threads));
  check_end();
}

void Engine::set_up(const std::vector<uint3>& blocks) {
  const std::size_t block_threads = volume(blockDim), block_warps = (block_threads + 31) / 32;
  const std::size_t cluster_blocks = std::max(m_grouping.cluster_blocks, 1u);
  m_unfinished = m_thread_count;
  m_grid_arrived = m_idle_polls = 0;
  m_error = nullptr;
  m_spinning.clear();
  while (m_memories.size() < blocks.size())
    m_memories.emplace_back();
  m_warps.assign(blocks.size() * block_warps, {});
  m_clusters.assign(blocks.size() / cluster_blocks, {});
  m_blocks.assign(blocks.size(), {});
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    Block& block = m_blocks[i];
    block.index = blocks[i];
    block.memory = &m_memories[i];
    block.memory->start(m_shared_bytes);
    block.cluster = &m_clusters[i / cluster_blocks];
    block.rank = static_cast<unsigned>(i % cluster_blocks);
    block.threads = block.running = static_cast<unsigned>(block_threads);
    block.first_thread = i * block_threads;
    block.cluster->blocks.push_back(&block);
    block.cluster->running += block.threads;
    set_up_threads(block);
  }
}

void Engine::set_up_threads(Block& block) {
  for (unsigned i = 0; i < block.threads; ++i) {
    Thread& thread = m_threads[block.first_thread + i];
    thread.index = index_in(blockDim, i);
    thread.number = block.first_thread + i;
    thread.lane = i % 32;
    thread.block = &block;
    thread.warp =
        &m_warps[block.first_thread / block.threads * ((block.threads + 31) / 32) + i / 32];
    thread.warp->lanes[thread.lane] = &thread;
    thread.warp->existing |= 1u << thread.lane;
    thread.cluster_arrived = false;
    thread.copies.clear();
    thread.copy_groups.clear();
    thread.open_copies = 0;
    make_able(thread);
  }
}

void Engine::check_end() const {
  if (alone())
    return;
  for (const Block& block : m_blocks)
    if (!block.memory->poisoned())
      throw Fault("the shared memory of block " + name(block.index) +
                  " was written after the block had ended: end with cluster_sync()");
  if (!StaticMemory::poisoned())
    throw Fault("a cooperative or cluster kernel wrote static __shared__ memory: here that is one "
                "for all blocks, use dynamic_shared_memory()");
}

// ---- one thread ---------------------------------------------------------------------------------

void Engine::fiber_entry() {
  Engine& engine = one();
  engine.m_running->context.arrived();
  for (;;) { // a fiber serves one thread after the other
    try {
      engine.run_thread();
    } catch (...) {
      engine.m_error = std::current_exception();
    }
    if (engine.m_error != nullptr)
      Context::change(engine.m_running->context, engine.m_caller);
    engine.go_on();
  }
}

void Engine::run_thread() {
  Block& block = *m_running->block;
  if (!block.started)
    start_block(block);
  m_body(m_closure);
  finish_thread();
}

void Engine::start_block(Block& block) {
  block.started = true;
  if (!alone() && !block.memory->poisoned())
    throw Fault("the shared memory of block " + name(block.index) +
                " was written before the block had started: begin with cluster_sync()");
}

void Engine::finish_thread() {
  Thread& thread = *m_running;
  finish_copies(thread.copies.size());
  thread.state = State::done;
  Cluster& cluster = *thread.block->cluster;
  --m_unfinished;
  --cluster.running; // a cluster's barrier does not wait for threads that have ended
  if (thread.cluster_arrived)
    --cluster.arrived;
  complete_cluster(cluster);
  m_idle_polls = 0;
  if (--thread.block->running == 0)
    end_block(*thread.block);
}

void Engine::end_block(Block& block) {
  check_memory(block);
  if (!alone()) // else nobody can reach it
    block.memory->poison();
}

void Engine::check_memory(const Block& block) const {
  std::ptrdiff_t offset = 0;
  if (!block.memory->intact(&offset))
    throw Fault("block " + name(block.index) + " wrote outside its " +
                std::to_string(m_shared_bytes) + " bytes of dynamic shared memory, at offset " +
                std::to_string(offset));
}

// ---- who goes on --------------------------------------------------------------------------------

void Engine::make_able(Thread& thread) {
  thread.state = State::able;
  m_ready.add(thread.number);
}

void Engine::suspend(State state) {
  m_running->state = state;
  go_on();
}

void Engine::go_on() {
  Thread& from = *m_running;
  Thread* to = next();
  if (to == &from)
    return;
  if (to != nullptr)
    set_running(*to);
  Context::change(from.context, to != nullptr ? to->context : m_caller);
}

void Engine::set_running(Thread& thread) {
  m_running = &thread;
  threadIdx = thread.index;
  blockIdx = thread.block->index;
}

Thread* Engine::next() {
  for (;;) {
    const std::size_t number = m_ready.take();
    if (number != ReadySet::none)
      return &m_threads[number];
    if (m_idle_polls > most_idle_polls || !wake_spinning())
      return nullptr;
  }
}

bool Engine::wake_spinning() {
  const auto waits = [this](Thread* thread) {
    if (thread->flag != nullptr && *thread->flag < thread->flag_value)
      return true;
    if (thread->flag == nullptr)
      ++m_idle_polls;
    else
      m_idle_polls = 0;
    make_able(*thread);
    return false;
  };
  const auto end = std::remove_if(m_spinning.begin(), m_spinning.end(),
                                  [&](Thread* thread) { return !waits(thread); });
  const bool woke = end != m_spinning.end();
  m_spinning.erase(end, m_spinning.end());
  return woke;
}

} // namespace bunraku_emulator
