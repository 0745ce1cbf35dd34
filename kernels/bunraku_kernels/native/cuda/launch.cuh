// Launching kernels without <<<>>>, so that one host function serves nvcc and the emulator. Nothing
// here allocates or synchronises: all of it is allowed while a CUDA graph is captured.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

namespace bunraku::cuda {

namespace launch_detail {

inline const char* remedy(cudaError_t error) {
  switch (error) {
  case cudaErrorNoKernelImageForDevice:
  case cudaErrorInvalidDeviceFunction:
    return "this build holds no code for this GPU: rebuild for its architecture, or choose another "
           "impl";
  case cudaErrorCooperativeLaunchTooLarge:
    return "more blocks than the GPU holds at once: use fewer, see resident_blocks()";
  case cudaErrorInvalidClusterSize:
    return "use a cluster of 1, 2, 4 or 8 blocks (16 on GPUs that allow it) that divides the grid";
  case cudaErrorNotSupported:
    return "this GPU lacks the feature (clusters need compute capability 9.0): choose another impl";
  case cudaErrorInvalidValue:
  case cudaErrorInvalidConfiguration:
  case cudaErrorLaunchOutOfResources:
    return "use smaller blocks or less shared memory";
  default:
    return "run again with CUDA_LAUNCH_BLOCKING=1 to find the kernel at fault";
  }
}

} // namespace launch_detail

/// Throws std::runtime_error unless `error` is success; `what` names the call that gave it. The
/// error is cleared, so that no later and innocent call reports it.
inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess)
    return;
  (void)cudaGetLastError();
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorName(error) + " (" +
                           cudaGetErrorString(error) + "); " + launch_detail::remedy(error));
}

/// Lets `kernel` use so much dynamic shared memory: needed beyond 48 KB, harmless below.
template <class... Parameters>
void allow_shared_bytes(void (*kernel)(Parameters...), std::size_t shared_bytes) {
  if (shared_bytes > 48 * 1024)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)),
          "cudaFuncSetAttribute(MaxDynamicSharedMemorySize)");
}

namespace launch_detail {

inline cudaLaunchConfig_t configuration(dim3 grid, dim3 block, std::size_t shared_bytes,
                                        void* stream) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = static_cast<cudaStream_t>(stream);
  return config;
}

inline cudaLaunchAttribute cluster_attribute(unsigned cluster_blocks) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = cluster_blocks;
  attribute.val.clusterDim.y = 1;
  attribute.val.clusterDim.z = 1;
  return attribute;
}

template <class... Parameters>
void allow_cluster(void (*kernel)(Parameters...), unsigned cluster_blocks) {
  if (cluster_blocks > 8)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeNonPortableClusterSizeAllowed, 1),
          "cudaFuncSetAttribute(NonPortableClusterSizeAllowed)");
}

// The one place where CUDA and its emulation part: CUDA takes the arguments' addresses, the
// emulator calls the kernel itself. The launch's own answer is what counts: cudaGetLastError()
// would also blame it for what someone else left unread.
template <class... Parameters, std::size_t... Index>
cudaError_t start(const cudaLaunchConfig_t& config, void (*kernel)(Parameters...),
                  std::tuple<Parameters...>& values, std::index_sequence<Index...>) {
#if defined(BUNRAKU_CUDA_EMULATED)
  return bunraku_emulator::launch(config, reinterpret_cast<const void*>(kernel),
                                  [&] { kernel(std::get<Index>(values)...); });
#else
  void* addresses[] = {static_cast<void*>(&std::get<Index>(values))..., nullptr};
  return cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), addresses);
#endif
}

template <class... Parameters, class... Arguments>
void run(const cudaLaunchConfig_t& config, void (*kernel)(Parameters...), const char* what,
         const Arguments&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "a kernel is launched with one argument for each of its parameters");
  allow_shared_bytes(kernel, config.dynamicSmemBytes);
  std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
  check(start(config, kernel, values, std::index_sequence_for<Parameters...>{}), what);
}

} // namespace launch_detail

/// Launches `kernel` on `stream` (a cudaStream_t; null is the default stream). The arguments are
/// converted to the kernel's parameter types. Throws std::runtime_error if CUDA refuses.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
            void* stream, Arguments... arguments) {
  launch_detail::run(launch_detail::configuration(grid, block, shared_bytes, stream), kernel,
                     "kernel launch", arguments...);
}

/// As launch(), with all blocks of the grid running at once: grid_sync() and waiting for another
/// block's flag are allowed. The grid must fit the GPU, see resident_blocks().
template <class... Parameters, class... Arguments>
void launch_cooperative(void (*kernel)(Parameters...), dim3 grid, dim3 block,
                        std::size_t shared_bytes, void* stream, Arguments... arguments) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  cudaLaunchConfig_t config = launch_detail::configuration(grid, block, shared_bytes, stream);
  config.attrs = &attribute;
  config.numAttrs = 1;
  launch_detail::run(config, kernel, "cooperative kernel launch", arguments...);
}

/// As launch(), in clusters of `cluster_blocks` blocks along x (compute capability 9.0 or later),
/// which run at once and reach each other's shared memory. It must divide grid.x; more than 8 is
/// allowed on some GPUs only.
template <class... Parameters, class... Arguments>
void launch_cluster(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
                    unsigned cluster_blocks, void* stream, Arguments... arguments) {
  cudaLaunchAttribute attribute = launch_detail::cluster_attribute(cluster_blocks);
  cudaLaunchConfig_t config = launch_detail::configuration(grid, block, shared_bytes, stream);
  config.attrs = &attribute;
  config.numAttrs = 1;
  launch_detail::allow_cluster(kernel, cluster_blocks);
  launch_detail::run(config, kernel, "cluster kernel launch", arguments...);
}

/// How many blocks of `kernel` the whole current device holds at once: the largest cooperative
/// grid.
template <class... Parameters>
int resident_blocks(void (*kernel)(Parameters...), int block_threads, std::size_t shared_bytes) {
  int device = 0, processors = 0, per_processor = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device),
        "cudaDeviceGetAttribute(MultiProcessorCount)");
  allow_shared_bytes(kernel, shared_bytes);
  check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(
            &per_processor, reinterpret_cast<const void*>(kernel), block_threads, shared_bytes),
        "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  return processors * per_processor;
}

/// How many clusters of `kernel` the whole current device holds at once; 0 if it has no room for
/// one, or no clusters at all.
template <class... Parameters>
int resident_clusters(void (*kernel)(Parameters...), int block_threads, std::size_t shared_bytes,
                      unsigned cluster_blocks) {
  int device = 0, major = 0, clusters = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "cudaDeviceGetAttribute(ComputeCapabilityMajor)");
  if (major < 9)
    return 0;
  cudaLaunchAttribute attribute = launch_detail::cluster_attribute(cluster_blocks);
  cudaLaunchConfig_t config = launch_detail::configuration(
      dim3(cluster_blocks), dim3(static_cast<unsigned>(block_threads)), shared_bytes, nullptr);
  config.attrs = &attribute;
  config.numAttrs = 1;
  allow_shared_bytes(kernel, shared_bytes);
  launch_detail::allow_cluster(kernel, cluster_blocks);
  check(cudaOccupancyMaxActiveClusters(&clusters, reinterpret_cast<const void*>(kernel), &config),
        "cudaOccupancyMaxActiveClusters");
  return clusters;
}

} // namespace bunraku::cuda
