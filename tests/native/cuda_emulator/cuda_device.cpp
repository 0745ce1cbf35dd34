#include "cuda_device.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <string>

#include "cuda_emulator.hpp"

namespace bunraku_emulator {
namespace {

struct KernelAttributes {
  std::size_t shared_bytes = 48 * 1024;
  bool large_clusters = false;
};

std::mutex attributes_mutex;
std::map<const void*, KernelAttributes> attributes_by_kernel;

KernelAttributes attributes_of(const void* kernel) {
  const std::lock_guard<std::mutex> lock(attributes_mutex);
  return attributes_by_kernel[kernel];
}

unsigned blocks_per_processor(unsigned block_threads, std::size_t shared_bytes) {
  if (block_threads == 0 || block_threads > 1024 || shared_bytes > most_shared_bytes())
    return 0;
  const bool small = compute_capability() == 86;
  const unsigned most_threads = small ? 1536 : 2048, most_blocks = small ? 16 : 32;
  const unsigned by_threads = most_threads / ((block_threads + 31) / 32 * 32);
  const auto by_shared =
      static_cast<unsigned>((most_shared_bytes() + 1024) / (shared_bytes + 1024));
  return std::min({by_threads, by_shared, most_blocks});
}

unsigned volume(dim3 size) {
  return size.x * size.y * size.z;
}

Grouping grouping_of(const cudaLaunchConfig_t& config) {
  Grouping grouping;
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = config.attrs[i];
    if (attribute.id == cudaLaunchAttributeCooperative)
      grouping.cooperative = attribute.val.cooperative != 0;
    else if (attribute.id == cudaLaunchAttributeClusterDimension)
      grouping.cluster_blocks = attribute.val.clusterDim.x;
  }
  return grouping;
}

} // namespace

int compute_capability() {
  const char* text = std::getenv("BUNRAKU_EMULATOR_SM");
  const std::string value = text == nullptr || *text == '\0' ? "90" : text;
  if (value != "80" && value != "86" && value != "90" && value != "100")
    throw Fault("BUNRAKU_EMULATOR_SM is '" + value + "': use 80, 86, 90 or 100");
  return std::stoi(value);
}

std::size_t most_shared_bytes() {
  const int capability = compute_capability();
  return (capability == 80 ? 163 : capability == 86 ? 99 : 227) * std::size_t{1024};
}

cudaError_t examine(const cudaLaunchConfig_t& config, const void* kernel, Grouping* grouping) {
  const dim3 grid = config.gridDim, block = config.blockDim;
  *grouping = grouping_of(config);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0 ||
      grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535 || block.z > 64 ||
      std::size_t{block.x} * block.y * block.z > 1024)
    return cudaErrorInvalidConfiguration;
  const KernelAttributes attributes = attributes_of(kernel);
  if (config.dynamicSmemBytes > attributes.shared_bytes)
    return cudaErrorInvalidValue;
  const unsigned per_processor = blocks_per_processor(volume(block), config.dynamicSmemBytes);
  if (grouping->cluster_blocks > 0) {
    if (compute_capability() < 90)
      return cudaErrorNotSupported;
    const unsigned most = attributes.large_clusters ? 16 : 8;
    if (grouping->cluster_blocks > most || grid.x % grouping->cluster_blocks != 0 ||
        grouping->cluster_blocks > cluster_processors * per_processor)
      return cudaErrorInvalidClusterSize;
  }
  if (grouping->cooperative && volume(grid) > processors * per_processor)
    return cudaErrorCooperativeLaunchTooLarge;
  return cudaSuccess;
}

} // namespace bunraku_emulator

using namespace bunraku_emulator;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
  case cudaSuccess:
    return "cudaSuccess";
  case cudaErrorInvalidValue:
    return "cudaErrorInvalidValue";
  case cudaErrorInvalidConfiguration:
    return "cudaErrorInvalidConfiguration";
  case cudaErrorNotSupported:
    return "cudaErrorNotSupported";
  case cudaErrorInvalidClusterSize:
    return "cudaErrorInvalidClusterSize";
  case cudaErrorCooperativeLaunchTooLarge:
    return "cudaErrorCooperativeLaunchTooLarge";
  case cudaErrorMemoryAllocation:
    return "cudaErrorMemoryAllocation";
  default:
    return "another CUDA error";
  }
}

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : "refused by the CUDA emulator";
}

cudaError_t cudaGetLastError() {
  return cudaSuccess;
}

cudaError_t cudaPeekAtLastError() {
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device != 0)
    return cudaErrorInvalidDevice;
  switch (attribute) {
  case cudaDevAttrMultiProcessorCount:
    *value = static_cast<int>(processors);
    return cudaSuccess;
  case cudaDevAttrComputeCapabilityMajor:
    *value = compute_capability() / 10;
    return cudaSuccess;
  case cudaDevAttrComputeCapabilityMinor:
    *value = compute_capability() % 10;
    return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerBlockOptin:
    *value = static_cast<int>(most_shared_bytes());
    return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerBlock:
    *value = 48 * 1024;
    return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
    *value = static_cast<int>(most_shared_bytes() + 1024);
    return cudaSuccess;
  case cudaDevAttrMaxThreadsPerBlock:
    *value = 1024;
    return cudaSuccess;
  case cudaDevAttrWarpSize:
    *value = 32;
    return cudaSuccess;
  case cudaDevAttrCooperativeLaunch:
    *value = 1;
    return cudaSuccess;
  case cudaDevAttrClusterLaunch:
    *value = compute_capability() >= 90;
    return cudaSuccess;
  default:
    return cudaErrorInvalidValue;
  }
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize &&
      (value < 0 || static_cast<std::size_t>(value) > most_shared_bytes()))
    return cudaErrorInvalidValue;
  const std::lock_guard<std::mutex> lock(attributes_mutex);
  KernelAttributes& attributes = attributes_by_kernel[kernel];
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize)
    attributes.shared_bytes = static_cast<std::size_t>(value);
  else if (attribute == cudaFuncAttributeNonPortableClusterSizeAllowed)
    attributes.large_clusters = value != 0;
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*,
                                                          int block_threads,
                                                          std::size_t shared_bytes) {
  *blocks = static_cast<int>(
      blocks_per_processor(static_cast<unsigned>(std::max(block_threads, 0)), shared_bytes));
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveClusters(int* clusters, const void*,
                                           const cudaLaunchConfig_t* config) {
  const unsigned cluster_blocks = std::max(grouping_of(*config).cluster_blocks, 1u);
  const unsigned per_processor =
      blocks_per_processor(volume(config->blockDim), config->dynamicSmemBytes);
  *clusters = static_cast<int>(cluster_processors * per_processor / cluster_blocks);
  return cudaSuccess;
}

// Freshly allocated device memory holds anything: here NaN, so that reading it shows.
cudaError_t cudaMalloc(void** address, std::size_t bytes) {
  *address = ::operator new(std::max(bytes, std::size_t{1}), std::align_val_t{256}, std::nothrow);
  if (*address == nullptr)
    return cudaErrorMemoryAllocation;
  std::memset(*address, 0xFF, bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  ::operator delete(address, std::align_val_t{256});
  return cudaSuccess;
}

cudaError_t cudaMemset(void* address, int byte, std::size_t bytes) {
  std::memset(address, byte, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* address, int byte, std::size_t bytes, cudaStream_t) {
  return cudaMemset(address, byte, bytes);
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  return cudaMemcpy(to, from, bytes, kind);
}

cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  return cudaSuccess;
}
