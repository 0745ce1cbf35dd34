// The CUDA emulator does what CUDA documents, and finds what kernels do wrong: a missing barrier
// changes the result in some order of the threads, and the rest stops the launch with a reason.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>
#include <vector>

#include "check.hpp"
#include "cuda/async_copy.cuh"
#include "cuda/cluster.cuh"
#include "cuda/warp.cuh"
#include "emulator_orders.hpp"

using namespace bunraku::cuda;
using emulator_orders::fault_of;
using emulator_orders::in_each;
using emulator_orders::wrong_in;

namespace {

bool holds(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// ---- barriers, atomics, shared memory -----------------------------------------------------------

__global__ void reversed_in_blocks(const int* in, int* out) {
  __shared__ int tile[96];
  const unsigned first = blockIdx.x * blockDim.x;
  tile[threadIdx.x] = in[first + threadIdx.x];
  __syncthreads();
  out[first + threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}

void test_barrier() {
  std::vector<int> in(960), out(960);
  std::iota(in.begin(), in.end(), 0);
  in_each([&](const char* order) {
    launch(reversed_in_blocks, 10, 96, 0, nullptr, in.data(), out.data());
    for (int i = 0; i < 960; ++i)
      CHECK(out[i] == i / 96 * 96 + 95 - i % 96, "%s: [%d] is %d", order, i, out[i]);
  });
}

__global__ void barrier_votes(int* out) {
  const int rank = thread_rank();
  const int any = __syncthreads_or(rank == 37), none = __syncthreads_or(rank == 99);
  const int all = __syncthreads_and(rank >= 0), some = __syncthreads_and(rank != 5);
  const int count = __syncthreads_count(rank % 3 == 0);
  out[rank] = (any != 0) + 2 * (none != 0) + 4 * (all != 0) + 8 * (some != 0) + 16 * count;
}

void test_barrier_votes() {
  std::vector<int> out(64);
  in_each([&](const char* order) {
    launch(barrier_votes, 1, dim3(8, 4, 2), 0, nullptr, out.data());
    for (int i = 0; i < 64; ++i)
      CHECK(out[i] == 1 + 4 + 16 * 22, "%s: thread %d has %d", order, i, out[i]);
  });
}

__global__ void counts(float* sum, int* number, unsigned* most, int* swaps, __half2* pair) {
  atomicAdd(sum, 0.5f);
  const int mine = atomicAdd(number, 1);
  atomicMax(most, static_cast<unsigned>(mine));
  while (atomicCAS(swaps, 0, 1) != 0) { // a lock: one holder at a time
  }
  const __half2 before = *pair;
  *pair = __hadd2(before, __floats2half2_rn(1.0f, 2.0f));
  atomicExch(swaps, 0);
}

void test_atomics() {
  in_each([&](const char* order) {
    float sum = 0.0f;
    int number = 0, swaps = 0;
    unsigned most = 0;
    __half2 pair = __floats2half2_rn(0.0f, 0.0f);
    launch(counts, 4, 64, 0, nullptr, &sum, &number, &most, &swaps, &pair);
    CHECK(sum == 128.0f && number == 256 && most == 255u && swaps == 0, "%s", order);
    CHECK(__low2float(pair) == 256.0f && __high2float(pair) == 512.0f, "%s", order);
  });
}

__global__ void reads_what_none_wrote(float* out) {
  __shared__ float fixed[32];
  out[threadIdx.x] = fixed[threadIdx.x];
  out[32 + threadIdx.x] = dynamic_shared_memory<float>()[threadIdx.x];
  fixed[threadIdx.x] = dynamic_shared_memory<float>()[threadIdx.x] = 1.0f; // not for the next block
}

void test_shared_memory_is_poisoned() {
  std::vector<float> out(64);
  launch(reads_what_none_wrote, 2, 32, 128, nullptr, out.data());
  for (float value : out)
    CHECK(std::isnan(value), "%g", value);
}

// ---- warps --------------------------------------------------------------------------------------

__global__ void shuffles(int* out) {
  const int lane = lane_index();
  out[lane] = __shfl_sync(full_warp, lane, 33);
  out[32 + lane] = __shfl_up_sync(full_warp, lane, 3);
  out[64 + lane] = __shfl_down_sync(full_warp, lane, 5, 8);
  out[96 + lane] = __shfl_xor_sync(full_warp, lane, 9);
  out[128 + lane] = static_cast<int>(__shfl_sync(full_warp, 1.5 * lane, lane / 2) * 2.0);
  const __half half = __shfl_xor_sync(full_warp, __float2half(static_cast<float>(lane)), 1);
  out[160 + lane] = static_cast<int>(__half2float(half));
  if (lane < 16)
    out[192 + lane] = __shfl_xor_sync(0x0000ffffu, lane, 1);
  else
    out[192 + lane] = __shfl_xor_sync(0xffff0000u, lane, 3);
  out[224 + lane] = static_cast<int>(__ballot_sync(full_warp, lane % 2));
  out[256 + lane] =
      (__any_sync(full_warp, lane == 7) ? 1 : 0) + (__all_sync(full_warp, lane < 31) ? 2 : 0);
}

void test_shuffles() {
  std::vector<int> out(288);
  in_each([&](const char* order) {
    launch(shuffles, 1, 32, 0, nullptr, out.data());
    for (int i = 0; i < 32; ++i) {
      CHECK(out[i] == 1, "%s: lane %d", order, i);
      CHECK(out[32 + i] == (i < 3 ? i : i - 3), "%s: lane %d", order, i);
      CHECK(out[64 + i] == (i % 8 < 3 ? i + 5 : i), "%s: lane %d", order, i);
      CHECK(out[96 + i] == (i ^ 9), "%s: lane %d", order, i);
      CHECK(out[128 + i] == 3 * (i / 2), "%s: lane %d", order, i);
      CHECK(out[160 + i] == (i ^ 1), "%s: lane %d", order, i);
      CHECK(out[192 + i] == (i < 16 ? i ^ 1 : i ^ 3), "%s: lane %d", order, i);
      CHECK(out[224 + i] == static_cast<int>(0xaaaaaaaau), "%s: lane %d", order, i);
      CHECK(out[256 + i] == 1, "%s: lane %d", order, i);
    }
  });
}

// ---- clusters, grids, flags ---------------------------------------------------------------------

__global__ void pass_to_next(int* out) {
  int* mine = dynamic_shared_memory<int>();
  const unsigned next = (cluster_rank() + 1) % cluster_blocks();
  cluster_sync();
  map_shared(mine, next)[threadIdx.x] = static_cast<int>(blockIdx.x * 100 + threadIdx.x);
  cluster_arrive();
  cluster_wait();
  out[blockIdx.x * blockDim.x + threadIdx.x] = mine[threadIdx.x];
}

void test_clusters() {
  std::vector<int> out(12 * 64);
  in_each([&](const char* order) {
    launch_cluster(pass_to_next, 12, 64, 256, 4, nullptr, out.data());
    for (int block = 0; block < 12; ++block)
      for (int i = 0; i < 64; ++i) {
        const int from = block / 4 * 4 + (block + 3) % 4;
        CHECK(out[block * 64 + i] == from * 100 + i, "%s: block %d", order, block);
      }
  });
}

__global__ void largest_cluster(unsigned* blocks) {
  cluster_sync();
  if (threadIdx.x == 0)
    atomicAdd(blocks, cluster_blocks());
}

void test_largest_cluster() {
  unsigned blocks = 0;
  launch_cluster(largest_cluster, 16, 512, 0, 16, nullptr, &blocks);
  CHECK(blocks == 256u, "%u", blocks);
}

__global__ void diffuse(int* values, int* scratch, int rounds) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x, n = gridDim.x * blockDim.x;
  for (int round = 0; round < rounds; ++round) {
    scratch[i] = values[i] + values[(i + 1) % n];
    grid_sync();
    values[i] = scratch[i] % 1000;
    grid_sync();
  }
}

void test_grid_barrier() {
  std::vector<int> expected(4 * 96), other(expected.size());
  std::iota(expected.begin(), expected.end(), 0);
  std::vector<int> start = expected;
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < expected.size(); ++i)
      other[i] = (expected[i] + expected[(i + 1) % expected.size()]) % 1000;
    expected = other;
  }
  in_each([&](const char* order) {
    std::vector<int> values = start, scratch(start.size());
    launch_cooperative(diffuse, 4, 96, 0, nullptr, values.data(), scratch.data(), 5);
    CHECK(values == expected, "%s", order);
  });
}

__global__ void flags_in_the_cluster(int* out) {
  int* mailbox = dynamic_shared_memory<int>(); // [0] the flag, [1...] a message
  if (threadIdx.x == 0)
    mailbox[0] = 0;
  cluster_sync();
  const unsigned rank = cluster_rank(), last = cluster_blocks() - 1;
  if (rank > 0)
    spin_until_at_least<Scope::cluster>(mailbox, static_cast<int>(blockDim.x));
  const int value = rank > 0 ? mailbox[1 + threadIdx.x] : static_cast<int>(threadIdx.x);
  if (rank < last) {
    int* next = map_shared(mailbox, rank + 1);
    next[1 + (threadIdx.x + 1) % blockDim.x] = value + 1;
    add_release<Scope::cluster>(next, 1);
  } else {
    out[threadIdx.x] = value;
  }
  cluster_sync();
}

void test_flags_in_distributed_memory() {
  in_each([&](const char* order) {
    std::vector<int> out(64, -1);
    launch_cluster(flags_in_the_cluster, 4, 64, 65 * 4, 4, nullptr, out.data());
    for (int i = 0; i < 64; ++i)
      CHECK(out[i] == (i + 61) % 64 + 3, "%s: [%d] is %d", order, i, out[i]);
  });
}

// ---- asynchronous copies ------------------------------------------------------------------------

template <bool wait> __global__ void copied(const float* in, float* out) {
  float* tile = dynamic_shared_memory<float>();
  const unsigned i = threadIdx.x;
  for (unsigned k = 0; k < 5; ++k)
    tile[64 * k + i] = 7.0f; // what the copies replace is gone as soon as they start
  __syncthreads();
  cp_async16(tile + 4 * i, in + 4 * i, i % 2 == 0);
  cp_async_commit();
  cp_async4(tile + 256 + i, in + i);
  cp_async_commit();
  if (wait)
    cp_async_wait<1>();
  __syncthreads();
  for (unsigned k = 0; k < 4; ++k)
    out[64 * k + i] = tile[255 - (64 * k + i)];
  out[256 + i] = tile[256 + i]; // under way still
  cp_async_wait<0>();
  out[320 + i] = tile[256 + i];
}

void test_copies() {
  std::vector<float> in(256), out(384);
  std::iota(in.begin(), in.end(), 1.0f);
  in_each([&](const char* order) {
    launch(copied<true>, 1, 64, 320 * 4, nullptr, in.data(), out.data());
    for (int i = 0; i < 256; ++i) {
      const int from = 255 - i;
      CHECK(out[i] == (from / 4 % 2 == 0 ? in[from] : 0.0f), "%s: [%d] is %g", order, i, out[i]);
    }
    for (int i = 0; i < 64; ++i)
      CHECK(std::isnan(out[256 + i]) && out[320 + i] == in[i], "%s: %d", order, i);
    launch(copied<false>, 1, 64, 320 * 4, nullptr, in.data(), out.data());
    CHECK(
        std::any_of(out.begin(), out.begin() + 256, [](float value) { return std::isnan(value); }),
        "%s: a copy read before the wait is not there", order);
  });
}

// ---- the order of the threads -------------------------------------------------------------------

__global__ void sign_in(int* next, int* order) {
  order[(*next)++] = thread_rank();
}

std::vector<int> order_of_threads(const char* order) {
  emulator_orders::choose(order);
  std::vector<int> signed_in(128);
  int next = 0;
  launch(sign_in, 1, 128, 0, nullptr, &next, signed_in.data());
  emulator_orders::choose("forward");
  return signed_in;
}

void test_order_of_threads() {
  std::vector<int> up(128);
  std::iota(up.begin(), up.end(), 0);
  const std::vector<int> down(up.rbegin(), up.rend()), random = order_of_threads("random:1");
  CHECK(order_of_threads("forward") == up, "forward");
  CHECK(order_of_threads("reverse") == down, "reverse");
  CHECK(random != up && random != down && random != order_of_threads("random:2"), "random");
  CHECK(random == order_of_threads("random:1"), "a seed repeats");
  CHECK(std::is_permutation(random.begin(), random.end(), up.begin()), "all threads, once each");
}

// ---- the hunt: right kernels are right in every order, wrong ones are not -----------------------

// A sum by halves over several warps. `before` is the barrier between a write and its reading,
// `after` the one that keeps the next round's write from coming before this round's reading.
template <bool before, bool after> __global__ void repeated_sum(const int* in, int* out) {
  int* cells = dynamic_shared_memory<int>();
  int sum = 0;
  for (int round = 0; round < 3; ++round) {
    cells[threadIdx.x] = in[threadIdx.x] + round;
    if (before)
      __syncthreads();
    for (unsigned i = 0; i < blockDim.x; ++i)
      sum += cells[i];
    if (after)
      __syncthreads();
  }
  out[threadIdx.x] = sum;
}

template <bool before, bool after> bool repeated_sum_is_right() {
  std::vector<int> in(128), out(128);
  std::iota(in.begin(), in.end(), 0);
  launch(repeated_sum<before, after>, 1, 128, 512, nullptr, in.data(), out.data());
  const int expected = 3 * (127 * 64) + 128 * (0 + 1 + 2);
  return std::all_of(out.begin(), out.end(), [&](int sum) { return sum == expected; });
}

// Each warp writes its row and reads another's; the warps go their own way between shuffles.
template <bool barrier> __global__ void rows_of_warps(int* out) {
  int* rows = dynamic_shared_memory<int>();
  const int warp = warp_index(), warps = block_threads() / warp_lanes;
  const int total = warp_sum(warp * 100 + lane_index());
  rows[thread_rank()] = total;
  if (barrier)
    __syncthreads();
  else
    __syncwarp();
  out[thread_rank()] = rows[(warp + 1) % warps * warp_lanes + lane_index()];
}

template <bool barrier> bool rows_are_right() {
  std::vector<int> out(128);
  launch(rows_of_warps<barrier>, 1, 128, 512, nullptr, out.data());
  for (int i = 0; i < 128; ++i)
    if (out[static_cast<std::size_t>(i)] != 32 * ((i / 32 + 1) % 4 * 100) + 496)
      return false;
  return true;
}

// Each block of 64 waits for the one before, computes, and hands on; the even ones wait by the
// helper, the odd ones by a loop of their own.
template <bool barrier> __global__ void hand_over(int* data, int* flags, int rounds) {
  const int block = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);
  int* previous = flags + (block + blocks - 1) % blocks;
  for (int round = 0; round < rounds; ++round) {
    if (block % 2 == 0)
      spin_until_at_least<Scope::device>(previous, block == 0 ? round : round + 1);
    else
      while (load_acquire<Scope::device>(previous) < round + 1) {
      }
    const int step = round * blocks + block;
    const int* from = data + step % 2 * 64; // another warp wrote what is read
    data[(step + 1) % 2 * 64 + static_cast<int>(threadIdx.x)] = 3 * from[threadIdx.x ^ 33] + block;
    if (barrier)
      __syncthreads();
    if (threadIdx.x == 0)
      store_release<Scope::device>(flags + block, round + 1);
    __syncthreads();
  }
}

template <bool barrier> bool hand_over_is_right() {
  std::vector<int> data(128, 1), expected(64, 1), flags(3, 0);
  for (int step = 0; step < 6; ++step) {
    const std::vector<int> before = expected;
    for (std::size_t i = 0; i < 64; ++i)
      expected[i] = 3 * before[i ^ 33] + step % 3;
  }
  launch_cooperative(hand_over<barrier>, 3, 64, 0, nullptr, data.data(), flags.data(), 2);
  return std::equal(expected.begin(), expected.end(), data.begin());
}

void test_missing_barriers_show() {
  CHECK((wrong_in(repeated_sum_is_right<true, true>) == 0), "the right kernel");
  CHECK((wrong_in(repeated_sum_is_right<false, true>) > 0), "read before written");
  CHECK((wrong_in(repeated_sum_is_right<true, false>) > 0), "written before read");
  CHECK(wrong_in(rows_are_right<true>) == 0, "the right kernel");
  CHECK(wrong_in(rows_are_right<false>) > 0, "a warp's barrier in place of the block's");
  CHECK(wrong_in(hand_over_is_right<true>) == 0, "the right kernel");
  CHECK(wrong_in(hand_over_is_right<false>) > 0, "a flag stored before the block's other threads");
  // Whoever waits for a flag may go on the moment it is stored: block 0 then overtakes block 2.
  CHECK(!hand_over_is_right<false>(), "in the forward order too");
}

// ---- faults -------------------------------------------------------------------------------------

enum class Wrong {
  divergent_barriers,
  ended_threads,
  different_barriers,
  past_the_end,
  before_the_start,
  lane_not_in_mask,
  lanes_not_there,
  lanes_apart,
  different_operations,
  misaligned_copy,
  copy_elsewhere,
  grid_barrier,
  flag_without_writer,
  poll_without_end,
  trap,
};

__global__ void wrong_kernel(Wrong wrong, int* flag) {
  const int i = static_cast<int>(threadIdx.x);
  float* shared = dynamic_shared_memory<float>(); // 64 of them
  switch (wrong) {
  case Wrong::divergent_barriers:
    if (i < 20)
      __syncthreads();
    else
      __syncwarp(i < 32 ? 0xfff00000u : full_warp);
    return;
  case Wrong::ended_threads:
    if (i >= 60)
      return;
    return __syncthreads();
  case Wrong::different_barriers:
    if (i < 20)
      return __syncthreads();
    return (void)__syncthreads_or(1);
  case Wrong::past_the_end:
    shared[i + 1] = 1.0f;
    return;
  case Wrong::before_the_start:
    shared[i - 1] = 1.0f;
    return;
  case Wrong::lane_not_in_mask:
    return __syncwarp(0x0000ffffu);
  case Wrong::lanes_not_there: // launched with 48 threads
    return (void)warp_sum(i);
  case Wrong::lanes_apart:
    if (i != 5)
      __syncwarp();
    return;
  case Wrong::different_operations:
    return (void)(i < 7 ? __ballot_sync(full_warp, 1)
                        : static_cast<unsigned>(__any_sync(full_warp, 1)));
  case Wrong::misaligned_copy:
    return cp_async16(shared + i, shared);
  case Wrong::copy_elsewhere:
    return cp_async4(flag, flag);
  case Wrong::grid_barrier:
    return grid_sync();
  case Wrong::flag_without_writer:
    return spin_until_at_least<Scope::device>(flag, 7);
  case Wrong::poll_without_end:
    while (load_acquire<Scope::device>(flag) < 7) {
    }
    return;
  case Wrong::trap:
    return __trap();
  }
}

std::string wrong_kernel_says(Wrong wrong, unsigned threads = 64) {
  int flag = 3;
  return fault_of([&] { launch(wrong_kernel, 2, threads, 256, nullptr, wrong, &flag); });
}

void check_fault(Wrong wrong, const char* part, unsigned threads = 64) {
  in_each([&](const char* order) {
    const std::string fault = wrong_kernel_says(wrong, threads);
    CHECK(holds(fault, part), "%s: wanted '%s', got '%s'", order, part, fault.c_str());
    CHECK(!holds(fault, "\n"), "%s: one line", order);
  });
}

void test_faults() {
  check_fault(Wrong::divergent_barriers, "20 of 64 threads wait at __syncthreads");
  check_fault(Wrong::ended_threads, "4 of 64 threads ended");
  check_fault(Wrong::different_barriers, "while others wait at __syncthreads");
  check_fault(Wrong::past_the_end, "outside its 256 bytes of dynamic shared memory, at offset 256");
  check_fault(Wrong::before_the_start, "of dynamic shared memory, at offset -");
  check_fault(Wrong::lane_not_in_mask, "which lacks its own lane");
  check_fault(Wrong::lanes_not_there, "lanes that the block does not have", 48);
  check_fault(Wrong::lanes_apart, "31 of 64 threads wait at __syncwarp with mask 0xffffffff");
  check_fault(Wrong::different_operations, "lanes of one mask must call the same");
  check_fault(Wrong::misaligned_copy, "not a multiple of its 16 bytes");
  check_fault(Wrong::copy_elsewhere, "outside its block's shared memory");
  check_fault(Wrong::grid_barrier, "needs launch_cooperative");
  check_fault(Wrong::flag_without_writer, "wait for a flag to reach 7 (it is 3)");
  check_fault(Wrong::trap, "__trap");
  CHECK(holds(wrong_kernel_says(Wrong::poll_without_end), "polling memory that does not change"),
        "a poll that nothing ends");
  test_barrier(); // the emulator goes on after a fault
}

__global__ void wrong_cluster(int which, int* out) {
  __shared__ int fixed[4];
  int* mine = dynamic_shared_memory<int>();
  if (which == 0) { // no barrier before the neighbour has started
    *map_shared(mine, 1 - cluster_rank()) = 1;
    return cluster_sync();
  }
  cluster_sync();
  if (which == 1 && cluster_rank() == 0 && threadIdx.x == 0) { // the neighbour may have ended
    spin_until_at_least<Scope::device>(out, 32);
    *map_shared(mine, 1) = 1;
  }
  if (which == 1 && cluster_rank() == 1)
    add_release<Scope::device>(out, 1);
  if (which == 2) {
    fixed[cluster_rank()] = 1;
    __syncthreads();
    atomicAdd(out, fixed[0]);
  }
  if (which == 3)
    (void)map_shared(out, 0);
  if (which == 4)
    (void)map_shared(mine, 2);
  if (which == 5) {
    cluster_arrive();
    cluster_arrive();
  }
}

void test_cluster_faults() {
  const char* parts[] = {
      "before the block had started", "after the block had ended", "static __shared__",
      "outside its dynamic shared",   "the cluster has 2 blocks",  "twice"};
  in_each([&](const char* order) {
    for (int which = 0; which < 6; ++which) {
      int out = 0;
      const std::string fault =
          fault_of([&] { launch_cluster(wrong_cluster, 2, 32, 64, 2, nullptr, which, &out); });
      // Whether a block has ended when its neighbour writes to it is for the order to say.
      CHECK(holds(fault, parts[which]) || (which == 1 && fault.empty()), "%s: %d: %s", order, which,
            fault.c_str());
    }
  });
  int out = 0;
  emulator_orders::choose("reverse");
  CHECK(!fault_of([&] { launch_cluster(wrong_cluster, 2, 32, 64, 2, nullptr, 1, &out); }).empty(),
        "some order shows it");
  emulator_orders::choose("forward");
}

// ---- what CUDA refuses --------------------------------------------------------------------------

__global__ void nothing(int) {}

void check_refused(const std::string& error, const char* name) {
  CHECK(holds(error, name), "wanted %s, got '%s'", name, error.c_str());
}

void test_refusals() {
  const auto run = [](dim3 grid, dim3 block, std::size_t bytes) {
    return fault_of([&] { launch(nothing, grid, block, bytes, nullptr, 0L); });
  };
  CHECK(run(1, 1024, 227 * 1024).empty(), "the largest block");
  check_refused(run(0, 32, 0), "cudaErrorInvalidConfiguration");
  check_refused(run(1, 1025, 0), "cudaErrorInvalidConfiguration");
  check_refused(run(dim3(1, 65536), 1, 0), "cudaErrorInvalidConfiguration");
  check_refused(run(1, 32, 228 * 1024), "cudaErrorInvalidValue");
  const auto run_cluster = [](unsigned blocks, unsigned cluster) {
    return fault_of([&] { launch_cluster(nothing, blocks, 32, 0, cluster, nullptr, 0); });
  };
  check_refused(run_cluster(6, 4), "cudaErrorInvalidClusterSize");
  check_refused(run_cluster(32, 32), "cudaErrorInvalidClusterSize");
  CHECK(resident_blocks(nothing, 1024, 0) == 8, "two on each of four processors");
  CHECK(fault_of([] { launch_cooperative(nothing, 8, 1024, 0, nullptr, 0); }).empty(), "they fit");
  check_refused(fault_of([] { launch_cooperative(nothing, 9, 1024, 0, nullptr, 0); }),
                "cudaErrorCooperativeLaunchTooLarge");
  setenv("BUNRAKU_EMULATOR_SM", "80", 1);
  check_refused(run_cluster(4, 4), "cudaErrorNotSupported");
  check_refused(run(1, 32, 164 * 1024), "cudaErrorInvalidValue");
  CHECK(resident_clusters(nothing, 32, 0, 4) == 0, "no clusters before 9.0");
  setenv("BUNRAKU_EMULATOR_SM", "86", 1);
  CHECK(run(1, 32, 99 * 1024).empty(), "the largest block of 8.6");
  check_refused(run(1, 32, 100 * 1024), "cudaErrorInvalidValue");
  setenv("BUNRAKU_EMULATOR_SM", "75", 1);
  check_refused(run(1, 32, 64 * 1024), "use 80, 86, 90 or 100");
  unsetenv("BUNRAKU_EMULATOR_SM");
  emulator_orders::choose("backwards");
  check_refused(run(1, 32, 0), "use forward, reverse or random:SEED");
  emulator_orders::choose("forward");
}

void test_launches_from_several_threads() {
  std::vector<int> in(960);
  std::iota(in.begin(), in.end(), 0);
  std::vector<std::vector<int>> outs(4, std::vector<int>(960));
  std::vector<std::thread> threads;
  for (std::vector<int>& out : outs)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i)
        launch(reversed_in_blocks, 10, 96, 0, nullptr, in.data(), out.data());
    });
  for (std::thread& thread : threads)
    thread.join();
  for (const std::vector<int>& out : outs)
    CHECK(out[0] == 95 && out[959] == 864, "%d %d", out[0], out[959]);
}

} // namespace

int main() {
  test_barrier();
  test_barrier_votes();
  test_atomics();
  test_shared_memory_is_poisoned();
  test_shuffles();
  test_clusters();
  test_largest_cluster();
  test_grid_barrier();
  test_flags_in_distributed_memory();
  test_copies();
  test_order_of_threads();
  test_missing_barriers_show();
  test_faults();
  test_cluster_faults();
  test_refusals();
  test_launches_from_several_threads();
  return check_kit::report();
}
