// How the blocks of a pipeline reach each other: through the cluster's distributed shared memory,
// or through global memory in a cooperative grid. Either kind of launch has all its blocks running,
// so waiting for another block's flag is sound.
#pragma once

#include "cuda/cluster.cuh"
#include "cuda/platform.cuh"

namespace bunraku_kernels {

using namespace bunraku::cuda;

struct ClusterTransport {
  static constexpr bool kSharedInbox = true;
  static constexpr Scope kScope = Scope::cluster;

  // No block may write to another before that one has started and cleared its inbox.
  static __device__ void start() { cluster_sync(); }
  // Nor may a block leave while others can still write to it.
  static __device__ void finish() { cluster_sync(); }
  static __device__ float* inbox_of(int block, float* own_shared, float*, int) {
    return map_shared(own_shared, static_cast<unsigned>(block));
  }
};

struct GridTransport {
  static constexpr bool kSharedInbox = false;
  static constexpr Scope kScope = Scope::device;

  static __device__ void start() { __syncthreads(); } // the host cleared the inboxes
  static __device__ void finish() {}
  static __device__ float* inbox_of(int block, float*, float* pipeline_inboxes, int words) {
    return pipeline_inboxes + static_cast<std::int64_t>(block) * words;
  }
};

} // namespace bunraku_kernels
