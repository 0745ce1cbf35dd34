// Host side of wavenet_sample.cu.
#pragma once

#include <cstdint>

#include "wavenet_sample/cuda/plan.hpp"
#include "wavenet_sample/network.hpp"

namespace bunraku_kernels {

// Fills packed_layout(shape).bytes at `packed`, in host memory.
void pack_wavenet_sample(const SampleShape& shape, const WaveNetTensors& tensors, void* packed);

enum class SampleTransport : int { Auto = 0, Cluster = 1, Grid = 2 };

// 0: the planner chooses. Results do not depend on any of them, to the bit.
struct SampleWishes {
  SampleTransport transport;
  int blocks; // of a pipeline
  int pipelines;
  int group_streams; // 1, 2 or 4
  int capacity;      // bytes of shared memory a block may use
};

struct SampleLaunchPlan {
  SampleShape shape;
  PackedLayout layout;
  Partition partition;
  PipelineStreams streams; // of a pipeline
  InboxMap inbox;
  SampleTransport transport;
  int pipelines;
  int capacity;
  int shared_bytes;           // of the largest block
  std::int64_t missing_bytes; // of weights read from global memory in each sample, all blocks
  std::int64_t scratch_bytes; // grid: of device memory for the inboxes
};

// For the current device. Throws std::invalid_argument where the sizes do not fit it.
SampleLaunchPlan plan_wavenet_sample(const SampleShape& shape, int batch,
                                     const SampleWishes& wishes);

struct SampleArguments {
  const void* packed;
  const float* condition; // [batch][frames][layers][2 * residual]
  float* history;         // [batch][sum of dilations][residual]
  float* last;            // [batch][2]
  std::int64_t* time;     // [batch]
  const std::int64_t* stream;
  const int* dilations;      // [layers], device
  const int* history_starts; // [layers], device: sum of the dilations before
  void* samples;             // [batch][frames], int32 or float
  void* scratch;             // plan.scratch_bytes
  int batch;
  int frames;
  int history_frames; // sum of dilations
  int distribution;   // WaveNetOutput
  float temperature;
  std::uint64_t seed;
};

// Runs on `stream`, which may be capturing. Throws std::runtime_error.
void wavenet_sample(const SampleLaunchPlan& plan, const SampleArguments& arguments, void* stream);

} // namespace bunraku_kernels
