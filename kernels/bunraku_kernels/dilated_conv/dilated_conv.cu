// Each warp carries its own run of frames through the whole layer: z in registers, h in its part of
// shared memory, then residual and skip. Warps share only the weights, which pass through shared
// memory in panels, so that one reading from the second-level cache serves 256 frames.
// Every sum has one owner and one order: results do not depend on timing.
#include "dilated_conv_launch.hpp"

#include <algorithm>

#include "cuda/activation.cuh"
#include "cuda/platform.cuh"
#include "dilated_conv/packing.cuh"
#include "dilated_conv/signal_tile.cuh"

namespace bunraku_kernels {
namespace {

using bunraku::cuda::check;
using bunraku::cuda::launch;

constexpr std::size_t kMostSharedBytes = 160 * 1024; // A100 has 163 KB for a block
constexpr std::size_t kLeastSharedBytes = 99 * 1024; // for a block, of capability 8.0 and later
constexpr int kMostHidden = 256;

template <typename T> constexpr int kUnits = Geometry<T>::kBlocks / 2 * kBlock; // of h, in a group

// What a launch knows beyond its arguments.
struct Plan {
  Packings packings;
  int runs = 0;        // of frames, for each item: one for each thread block
  int first_frame = 0; // of the first run
  int h_rows = 0;      // that a warp holds
};

// ---- inside a kernel ----------------------------------------------------------------------------

template <typename T> struct Place {
  int item, first_frame; // of the warp
  T* panels;             // the block's
  T* tiles;              // the warp's own, kStages of them; the first doubles as scratch
  T* h;
};

template <typename T> __device__ Place<T> place(const Plan& plan, int run, int item) {
  using G = Geometry<T>;
  constexpr int tiles = G::kStages * kPanel * G::kSignalStride;
  const int warp = bunraku::cuda::warp_index();
  T* shared = bunraku::cuda::dynamic_shared_memory<T>();
  T* own = shared + G::kStages * G::panel_elements(G::kBlocks) +
           warp * (tiles + plan.h_rows * G::kSignalStride);
  const int frames = static_cast<int>(blockDim.x) / 32 * G::kFrames;
  return {item, plan.first_frame + run * frames + warp * G::kFrames, shared, own, own + tiles};
}

template <typename T>
__device__ Signal<T> signal_of(const void* data, int channels, int frames, int item) {
  if (data == nullptr)
    return {};
  return {static_cast<const T*>(data) + static_cast<std::int64_t>(item) * channels * frames,
          channels, frames, nullptr, 0};
}

template <typename T> __device__ T* item_of(void* data, int channels, int frames, int item) {
  return static_cast<T*>(data) + static_cast<std::int64_t>(item) * channels * frames;
}

// The sums start as the bias of their rows.
template <typename T, int kBlocks>
__device__ void start(WarpTile<T, kBlocks>& tile, const Packing& packing, int group,
                      const void* bias) {
  set_each(tile, [&](int block, int output, int) {
    const int row = packing.row(group, block, output);
    return bias == nullptr || row < 0 ? 0.0f : to_float(static_cast<const T*>(bias)[row]);
  });
}

template <typename T> __device__ Inputs<T> inputs_of_z(const DilatedConvArguments& a, int item) {
  Inputs<T> inputs;
  inputs.first = signal_of<T>(a.x, a.channels, a.frames, item);
  inputs.taps = a.taps;
  inputs.step = -a.dilation;
  inputs.second = signal_of<T>(a.condition, a.features, a.frames, item);
  const int span = (a.taps - 1) * a.dilation;
  if (a.history != nullptr && span > 0) {
    inputs.first.before = signal_of<T>(a.history, a.channels, span, item).data;
    inputs.first.before_frames = span;
  }
  return inputs;
}

template <typename T, bool kGated>
using PreactivationTile = WarpTile<T, Geometry<T>::kBlocks / (kGated ? 1 : 2)>;

template <typename T, bool kGated>
__global__ void __launch_bounds__(Geometry<T>::kWarps * 32, 2)
    forward_kernel(DilatedConvArguments a, Plan plan) {
  constexpr int blocks = Geometry<T>::kBlocks;
  const Place<T> at = place<T>(plan, static_cast<int>(blockIdx.x) % plan.runs,
                               static_cast<int>(blockIdx.x) / plan.runs);
  const Packing &of_z = plan.packings.item[0], &of_residual = plan.packings.item[1],
                &of_skip = plan.packings.item[2];
  const Inputs<T> inputs = inputs_of_z<T>(a, at.item);
  for (int group = 0; group < of_z.groups(); ++group) {
    PreactivationTile<T, kGated> z;
    start(z, of_z, group, a.bias);
    multiply(z, FromSignals<T>{inputs, at.first_frame, at.tiles}, of_z, group, at.panels);
    WarpTile<T, blocks / 2> h;
    set_each(h, [&](int block, int, int i) {
      if constexpr (kGated)
        return tanhf(z.value(2 * block, i)) * sigmoid(z.value(2 * block + 1, i));
      else
        return activation_value(static_cast<ActivationCode>(a.activation), z.value(block, i),
                                a.alpha);
    });
    if (a.skip_weight == nullptr) {
      T* skip = item_of<T>(a.skip, a.hidden, a.frames, at.item);
      store_signal(h, skip, a.frames, at.first_frame, blocks / 2, at.tiles,
                   [&](int block, int row) {
                     const int unit = group * kUnits<T> + block * kBlock + row;
                     return unit < a.hidden ? unit : -1;
                   });
    }
    if (plan.h_rows > 0)
      set_each(h, [&](int block, int row, int i) {
        const float value = h.value(block, i);
        const int unit = group * kUnits<T> + block * kBlock + row;
        at.h[unit * Geometry<T>::kSignalStride + h.frame(i)] = from_float<T>(value);
        return value;
      });
  }
  // multiply() has a barrier between these writes of h and the reads of other lanes.
  const FromTile<T> from_h{at.h};
  const Signal<T> x = signal_of<T>(a.x, a.channels, a.frames, at.item);
  for (int group = 0; group < of_residual.groups(); ++group) {
    WarpTile<T, blocks> y;
    start(y, of_residual, group, a.residual_bias);
    multiply(y, from_h, of_residual, group, at.panels);
    add_signal(y, x, group * blocks * kBlock, at.first_frame, at.tiles);
    store_signal(y, item_of<T>(a.x_out, a.channels, a.frames, at.item), a.frames, at.first_frame,
                 of_residual.blocks_used(group), at.tiles,
                 [&](int block, int row) { return of_residual.row(group, block, row); });
  }
  for (int group = 0; group < of_skip.groups(); ++group) {
    WarpTile<T, blocks> y;
    start(y, of_skip, group, a.skip_bias);
    multiply(y, from_h, of_skip, group, at.panels);
    store_signal(y, item_of<T>(a.skip, a.skips, a.frames, at.item), a.frames, at.first_frame,
                 of_skip.blocks_used(group), at.tiles,
                 [&](int block, int row) { return of_skip.row(group, block, row); });
  }
}

// Sums of half a group that wait in shared memory while another product has the registers. Each
// lane keeps its own: no barrier.
template <typename T> class Stash {
public:
  using Tile = WarpTile<T, Geometry<T>::kBlocks / 2>;
  static constexpr int kBytes = Geometry<T>::kBlocks / 2 * Tile::kValues * 32 * 4; // of a warp

  __device__ explicit Stash(T* memory)
      : m_own(reinterpret_cast<float*>(memory) + bunraku::cuda::lane_index()) {}
  __device__ float& value(int block, int i) const {
    return m_own[(block * Tile::kValues + i) * 32];
  }
  __device__ void put(Tile& tile) const {
    set_each(tile, [&](int block, int, int i) { return value(block, i) = tile.value(block, i); });
  }
  __device__ void get(Tile& tile) const {
    set_each(tile, [&](int block, int, int i) { return value(block, i); });
  }

private:
  float* m_own;
};

// z becomes dz, and what the stash holds, dh, becomes h.
template <typename T, bool kGated>
__device__ void to_gradient(PreactivationTile<T, kGated>& z, const Stash<T>& stash,
                            const DilatedConvArguments& a) {
#pragma unroll
  for (int block = 0; block < Geometry<T>::kBlocks / 2; ++block)
#pragma unroll
    for (int i = 0; i < Stash<T>::Tile::kValues; ++i) {
      const float dh = stash.value(block, i);
      if constexpr (kGated) {
        float &value = z.value(2 * block, i), &gate = z.value(2 * block + 1, i);
        const float t = tanhf(value), s = sigmoid(gate);
        stash.value(block, i) = t * s;
        value = dh * s * (1.0f - t * t);
        gate = dh * t * s * (1.0f - s);
      } else {
        const auto code = static_cast<ActivationCode>(a.activation);
        float& value = z.value(block, i);
        stash.value(block, i) = activation_value(code, value, a.alpha);
        value = dh * activation_slope(code, value, a.alpha);
      }
    }
}

template <typename T, bool kGated>
__global__ void __launch_bounds__(Geometry<T>::kWarps * 32, 2)
    grad_preactivation_kernel(DilatedConvArguments a, Plan plan) {
  constexpr int half = Geometry<T>::kBlocks / 2;
  const Place<T> at = place<T>(plan, static_cast<int>(blockIdx.x) % plan.runs,
                               static_cast<int>(blockIdx.x) / plan.runs);
  const Packing &of_z = plan.packings.item[0], &of_dh = plan.packings.item[1];
  const Inputs<T> inputs = inputs_of_z<T>(a, at.item);
  Inputs<T> gradients;
  gradients.taps = of_dh.taps;
  gradients.first = signal_of<T>(a.dx_out, a.channels, a.frames, at.item);
  gradients.second = signal_of<T>(a.dskip, a.skips, a.frames, at.item);
  const bool skip_is_h = a.skip_weight == nullptr && a.dskip != nullptr;
  const Stash<T> stash(at.h);
  for (int group = 0; group < of_z.groups(); ++group) {
    WarpTile<T, half> dh;
    set_each(dh, [](int, int, int) { return 0.0f; });
    multiply(dh, FromSignals<T>{gradients, at.first_frame, at.tiles}, of_dh, group, at.panels);
    if (skip_is_h)
      add_signal(dh, gradients.second, group * kUnits<T>, at.first_frame, at.tiles);
    stash.put(dh);
    PreactivationTile<T, kGated> z;
    start(z, of_z, group, a.bias);
    multiply(z, FromSignals<T>{inputs, at.first_frame, at.tiles}, of_z, group, at.panels);
    to_gradient<T, kGated>(z, stash, a);
    const int outputs = kGated ? 2 * a.hidden : a.hidden;
    store_signal(z, item_of<T>(a.dz, outputs, a.frames, at.item), a.frames, at.first_frame,
                 of_z.blocks_used(group), at.tiles,
                 [&](int block, int row) { return of_z.row(group, block, row); });
    if (a.h == nullptr)
      continue;
    WarpTile<T, half> h;
    stash.get(h);
    store_signal(h, item_of<T>(a.h, a.hidden, a.frames, at.item), a.frames, at.first_frame,
                 of_dh.blocks_used(group), at.tiles,
                 [&](int block, int row) { return of_dh.row(group, block, row); });
  }
}

// A thread block gives one group of channels of dx and dhistory, or of dcondition. Blocks for the
// same frames are neighbours, so that they find dz in the cache.
template <typename T>
__global__ void __launch_bounds__(Geometry<T>::kWarps * 32, 2)
    grad_input_kernel(DilatedConvArguments a, Plan plan, int outputs) {
  const Packing &of_x = plan.packings.item[0], &of_condition = plan.packings.item[1];
  const int groups = of_x.groups() + of_condition.groups();
  const int part = static_cast<int>(blockIdx.x) % groups,
            rest = static_cast<int>(blockIdx.x) / groups;
  const Place<T> at = place<T>(plan, rest % plan.runs, rest / plan.runs);
  const bool for_x = part < of_x.groups();
  const Packing& packing = for_x ? of_x : of_condition;
  const int group = for_x ? part : part - of_x.groups();
  Inputs<T> inputs;
  inputs.first = signal_of<T>(a.dz, outputs, a.frames, at.item);
  inputs.taps = packing.taps;
  inputs.step = a.dilation;
  WarpTile<T, Geometry<T>::kBlocks> sum;
  set_each(sum, [](int, int, int) { return 0.0f; });
  multiply(sum, FromSignals<T>{inputs, at.first_frame, at.tiles}, packing, group, at.panels);
  const auto store = [&](void* to, int channels, int frames, int first_frame) {
    if (to != nullptr)
      store_signal(sum, item_of<T>(to, channels, frames, at.item), frames, first_frame,
                   packing.blocks_used(group), at.tiles,
                   [&](int block, int row) { return packing.row(group, block, row); });
  };
  if (!for_x)
    return store(a.dcondition, a.features, a.frames, at.first_frame);
  const int span = (a.taps - 1) * a.dilation;
  if (a.dx_out != nullptr)
    add_signal(sum, signal_of<T>(a.dx_out, a.channels, a.frames, at.item),
               group * Geometry<T>::kBlocks * kBlock, at.first_frame, at.tiles);
  store(a.dx, a.channels, a.frames, at.first_frame);
  store(a.dhistory, a.channels, span, at.first_frame + span);
}

// ---- the matrices of each pass ------------------------------------------------------------------

bool is_gated(const DilatedConvArguments& a) {
  return a.activation < 0;
}

int outputs_of(const DilatedConvArguments& a) {
  return is_gated(a) ? 2 * a.hidden : a.hidden;
}

template <typename T> Packing packing_of_z(const DilatedConvArguments& a) {
  Packing packing;
  packing.first = {a.weight, a.channels, std::int64_t{a.channels} * a.taps, a.taps};
  packing.taps = a.taps;
  packing.tap_stride = 1;
  packing.second = {a.mixin, a.features, a.features, 1};
  packing.outputs = a.hidden;
  packing.gate_rows = is_gated(a) ? a.hidden : 0;
  packing.blocks = Geometry<T>::kBlocks / (is_gated(a) ? 1 : 2);
  return packing;
}

// A matrix [outputs][h], applied to h; none of it if `weight` is null.
template <typename T>
Packing packing_of_mix(const void* weight, int outputs, const DilatedConvArguments& a) {
  Packing packing;
  packing.first = {weight, a.hidden, a.hidden, 1};
  packing.taps = 1;
  packing.outputs = weight == nullptr ? 0 : outputs;
  packing.blocks = Geometry<T>::kBlocks;
  return packing;
}

template <typename T> Packing packing_of_dh(const DilatedConvArguments& a) {
  Packing packing;
  packing.first = {a.residual_weight, a.channels, 1, a.hidden};
  packing.taps = a.residual_weight != nullptr && a.dx_out != nullptr ? 1 : 0;
  const bool skips = a.skip_weight != nullptr && a.dskip != nullptr;
  packing.second = {a.skip_weight, skips ? a.skips : 0, 1, a.hidden};
  packing.outputs = a.hidden;
  packing.blocks = Geometry<T>::kBlocks / 2;
  return packing;
}

template <typename T> Packing packing_of_dx(const DilatedConvArguments& a) {
  Packing packing;
  packing.first = {a.weight, outputs_of(a), a.taps, std::int64_t{a.channels} * a.taps};
  packing.taps = a.taps;
  packing.tap_stride = 1;
  packing.outputs = a.dx != nullptr || a.dhistory != nullptr ? a.channels : 0;
  packing.blocks = Geometry<T>::kBlocks;
  return packing;
}

template <typename T> Packing packing_of_dcondition(const DilatedConvArguments& a) {
  Packing packing;
  packing.first = {a.mixin, outputs_of(a), 1, a.features};
  packing.taps = 1;
  packing.outputs = a.dcondition != nullptr ? a.features : 0;
  packing.blocks = Geometry<T>::kBlocks;
  return packing;
}

// Each in its part of the workspace, whose size in elements it returns.
template <typename T>
std::int64_t set_packings(const DilatedConvArguments& a, DilatedConvPass pass, Packings& packings) {
  Packing(&item)[kMostPackings] = packings.item;
  if (pass == DilatedConvPass::GradInput) {
    item[0] = packing_of_dx<T>(a);
    item[1] = packing_of_dcondition<T>(a);
  } else {
    item[0] = packing_of_z<T>(a);
    const bool forward = pass == DilatedConvPass::Forward;
    item[1] = forward ? packing_of_mix<T>(a.residual_weight, a.channels, a) : packing_of_dh<T>(a);
    if (forward)
      item[2] = packing_of_mix<T>(a.skip_weight, a.skips, a);
  }
  std::int64_t elements = 0;
  for (Packing& packing : item) {
    packing.to = static_cast<T*>(a.workspace) + elements;
    elements += packed_elements<T>(packing);
  }
  return elements;
}

// ---- launches -----------------------------------------------------------------------------------

template <typename T> void pack(const Packings& packings, void* stream) {
  constexpr int threads = 256;
  std::int64_t most = 0;
  for (const Packing& packing : packings.item)
    most = std::max(most, packed_elements<T>(packing));
  const auto blocks =
      static_cast<unsigned>(std::clamp<std::int64_t>((most + threads - 1) / threads, 1, 512));
  launch(pack_weights<T>, dim3(blocks, kMostPackings), dim3(threads), 0, stream, packings);
}

template <typename T> constexpr std::size_t shared_bytes(int warps, int h_rows) {
  using G = Geometry<T>;
  const int own = (G::kStages * kPanel + h_rows) * G::kSignalStride;
  return sizeof(T) * (G::kStages * G::panel_elements(G::kBlocks) + warps * own);
}

std::size_t shared_capacity() {
  int device = 0, bytes = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device),
        "cudaDeviceGetAttribute(MaxSharedMemoryPerBlockOptin)");
  return std::min(static_cast<std::size_t>(bytes), kMostSharedBytes);
}

// As many warps as the frames want and shared memory holds.
template <typename T> int warps_for(int frames, int h_rows) {
  static_assert(shared_bytes<T>(1, kMostHidden) <= kLeastSharedBytes, "one warp fits everywhere");
  const std::size_t capacity = shared_capacity();
  int warps =
      std::min(Geometry<T>::kWarps, (frames + Geometry<T>::kFrames - 1) / Geometry<T>::kFrames);
  while (warps > 1 && shared_bytes<T>(warps, h_rows) > capacity)
    --warps;
  return warps;
}

template <typename T, typename Kernel, typename... More>
void start_kernel(Kernel kernel, const DilatedConvArguments& a, Plan plan, int parts, void* stream,
                  const More&... more) {
  const int frames = a.frames - plan.first_frame;
  const int warps = warps_for<T>(frames, plan.h_rows);
  const int run = warps * Geometry<T>::kFrames;
  plan.runs = (frames + run - 1) / run;
  const std::int64_t grid = a.batch * plan.runs * parts;
  if (grid == 0)
    return;
  if (grid > 0x7fffffff)
    throw std::runtime_error(
        "dilated_conv: the signals are too long for one launch: split the batch");
  pack<T>(plan.packings, stream);
  launch(kernel, dim3(static_cast<unsigned>(grid)), dim3(static_cast<unsigned>(warps) * 32),
         shared_bytes<T>(warps, plan.h_rows), stream, a, plan, more...);
}

template <typename T> void run(const DilatedConvArguments& a, DilatedConvPass pass, void* stream) {
  Plan plan;
  set_packings<T>(a, pass, plan.packings);
  if (pass == DilatedConvPass::Forward) {
    const int groups = plan.packings.item[0].groups();
    plan.h_rows = a.residual_weight != nullptr || a.skip_weight != nullptr ? groups * kUnits<T> : 0;
    return start_kernel<T>(is_gated(a) ? forward_kernel<T, true> : forward_kernel<T, false>, a,
                           plan, 1, stream);
  }
  if (pass == DilatedConvPass::GradPreactivation) {
    constexpr int row_bytes = Geometry<T>::kSignalStride * static_cast<int>(sizeof(T));
    plan.h_rows = (Stash<T>::kBytes + row_bytes - 1) / row_bytes;
    return start_kernel<T>(is_gated(a) ? grad_preactivation_kernel<T, true>
                                       : grad_preactivation_kernel<T, false>,
                           a, plan, 1, stream);
  }
  const int span = a.dhistory != nullptr ? (a.taps - 1) * a.dilation : 0;
  constexpr int width = Geometry<T>::kFrames; // whole tiles, so that frame 0 stays aligned
  plan.first_frame = -(span + width - 1) / width * width;
  const int parts = plan.packings.item[0].groups() + plan.packings.item[1].groups();
  start_kernel<T>(grad_input_kernel<T>, a, plan, parts, stream, outputs_of(a));
}

} // namespace

std::size_t dilated_conv_workspace(const DilatedConvArguments& arguments, DilatedConvPass pass,
                                   int type) {
  std::size_t bytes = 0;
  with_element_type(type, [&](auto tag) {
    using T = typename decltype(tag)::Type;
    Packings packings;
    bytes = sizeof(T) * static_cast<std::size_t>(set_packings<T>(arguments, pass, packings));
  });
  return bytes;
}

void dilated_conv(const DilatedConvArguments& arguments, DilatedConvPass pass, int type,
                  void* stream) {
  if (arguments.batch == 0 || arguments.frames == 0)
    return;
  with_element_type(type,
                    [&](auto tag) { run<typename decltype(tag)::Type>(arguments, pass, stream); });
}

} // namespace bunraku_kernels
