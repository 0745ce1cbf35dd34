// WaveNet sampling, one frame after the other, on one core: the C++ behind `wavenet_sample`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/aligned_buffer.hpp"
#include "wavenet_sample/cpu/packed_bytes.hpp"
#include "wavenet_sample/cpu/plan.hpp"

namespace bunraku_kernels {

struct WaveNetShape {
  WaveNetOutput output;
  int residual;
  int skip;
  int hidden;
  int outputs;
  std::vector<int> dilations;
};

// Instruction sets that the kernels have here, best first: "avx512ext" (AVX-512 with products of
// bfloat16 and of bytes), "avx512", "avx2", "portable".
std::vector<std::string> wavenet_sample_isas();

// Of the instruction set that PackedWaveNet would take for `isa`.
ReadBytesFn wavenet_sample_reader(const std::string& isa);

// Weights in the order in which they are read. Immutable; shared by any number of threads.
class PackedWaveNet {
public:
  // `isa` empty: $BUNRAKU_ISA when set, else the best. Throws std::invalid_argument for one that is
  // not at hand.
  PackedWaveNet(WaveNetShape shape, const WaveNetTensors& tensors, WeightType type,
                const std::string& isa);
  PackedWaveNet(const PackedWaveNet&) = delete;
  PackedWaveNet& operator=(const PackedWaveNet&) = delete;

  const WaveNetShape& shape() const noexcept { return m_shape; }
  const std::string& isa() const noexcept { return m_isa; }
  const SamplePlan& plan() const noexcept { return m_plan; }
  const WeightFormat& format() const noexcept { return m_format; }
  RunSamplesFn run() const noexcept { return m_run; }
  int padded(int channels) const noexcept; // to whole registers
  // Bytes of weights that a frame of a single stream reads on average: past products are made for
  // several frames at once.
  double bytes_per_frame() const noexcept;

private:
  void pack_layers(const WaveNetTensors& tensors);
  void pack_ends(const WaveNetTensors& tensors);
  MatrixPlan pack(const float* weights, int rows, int columns, bool gated);
  const float* pad(const float* values, int rows, int columns);
  std::size_t packed_size() const noexcept;
  std::size_t matrix_size(int rows, int columns) const noexcept;
  std::byte* take(std::size_t size) noexcept;

  WaveNetShape m_shape;
  std::string m_isa;
  int m_lanes = 0;
  WeightFormat m_format{};
  RunSamplesFn m_run = nullptr;
  PackedBytes m_bytes;
  std::size_t m_taken = 0;
  std::vector<SampleLayerPlan> m_layers;
  SamplePlan m_plan{};
};

// Scratch for `batch` streams of one model; for one call at a time.
class SampleWorkspace {
public:
  SampleWorkspace(const PackedWaveNet& model, int batch);
  int batch() const noexcept { return m_batch; }
  const SampleWork& work() const noexcept { return m_work; }
  float* uniforms() noexcept { return m_uniforms; }
  int frames_at_once() const noexcept { return m_frames_at_once; }

private:
  int m_batch;
  int m_frames_at_once;
  bunraku::AlignedBuffer m_memory;
  float* m_uniforms = nullptr;
  std::vector<int> m_slots;
  std::vector<LayerScratch> m_layers;
  SampleWork m_work{};
};

// State tensors as wavenet_sample/state.py documents them, updated in place.
struct SampleRequest {
  const float* condition; // [batch][frames][layers][2 * residual]
  float* history;
  float* last;
  std::int64_t* time;
  const std::int64_t* stream;
  void* samples;         // [batch][frames]: int32 codes or float values
  float* log_likelihood; // null: choose `samples`; else they are given, and this is [batch][frames]
  std::int64_t frames;
  int batch;
  float temperature;
  std::uint64_t seed;
};

// No allocation, no lock, no system call. `workspace` was made for this model and batch.
void run_wavenet(const PackedWaveNet& model, SampleWorkspace& workspace,
                 const SampleRequest& request) noexcept;

} // namespace bunraku_kernels
