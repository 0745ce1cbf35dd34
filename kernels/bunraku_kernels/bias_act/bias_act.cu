// Memory decides: each thread moves 16 bytes of every tensor at a time, and finds the channel once
// for those 16 bytes where the layout allows it, because two integer divisions for each element
// would take longer than the loads.
#include "bias_act_launch.hpp"

#include <algorithm>

#include "cuda/activation.cuh"
#include "cuda/element.cuh"
#include "cuda/platform.cuh"

namespace bunraku_kernels {
namespace {

constexpr int kThreads = 256;

enum class Bias { None, OneForVector, RunForVector, ByElement };

template <typename T> struct Tensors {
  const T* x;
  const T* b;
  const T* dy;
  const T* ddx;
  T* out;
};

__device__ float apply(const BiasActArguments& a, float u, float dy, float ddx) {
  const Activation f{static_cast<ActivationCode>(a.activation), a.alpha, a.gain, a.clamp};
  return activated(f, a.order, u, dy, ddx);
}

template <typename T, Bias kBias>
__global__ void __launch_bounds__(kThreads)
    bias_act_vectors(BiasActArguments a, Tensors<T> t, std::int64_t vectors) {
  using Vector = Vector16<T>;
  constexpr int lanes = Vector::kLanes;
  const auto first = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const auto step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t v = first; v < vectors; v += step) {
    const Vector x = reinterpret_cast<const Vector*>(t.x)[v];
    Vector dy{}, ddx{}, out;
    if (a.order >= 1)
      dy = reinterpret_cast<const Vector*>(t.dy)[v];
    if (a.order == 2)
      ddx = reinterpret_cast<const Vector*>(t.ddx)[v];
    float bias[lanes] = {};
    if (kBias == Bias::OneForVector) {
      const float one = to_float(t.b[(v * lanes / a.stride) % a.channels]);
      for (int i = 0; i < lanes; ++i)
        bias[i] = one;
    } else if (kBias == Bias::RunForVector) {
      const Vector run = *reinterpret_cast<const Vector*>(t.b + (v * lanes) % a.channels);
      for (int i = 0; i < lanes; ++i)
        bias[i] = to_float(run.lane[i]);
    }
#pragma unroll
    for (int i = 0; i < lanes; ++i)
      out.lane[i] = from_float<T>(
          apply(a, to_float(x.lane[i]) + bias[i], to_float(dy.lane[i]), to_float(ddx.lane[i])));
    reinterpret_cast<Vector*>(t.out)[v] = out;
  }
}

// Sizes or addresses that 16 bytes do not divide.
template <typename T>
__global__ void __launch_bounds__(kThreads) bias_act_elements(BiasActArguments a, Tensors<T> t) {
  const auto first = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const auto step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = first; i < a.count; i += step) {
    const float bias = t.b == nullptr ? 0.0f : to_float(t.b[(i / a.stride) % a.channels]);
    const float dy = a.order >= 1 ? to_float(t.dy[i]) : 0.0f;
    const float ddx = a.order == 2 ? to_float(t.ddx[i]) : 0.0f;
    t.out[i] = from_float<T>(apply(a, to_float(t.x[i]) + bias, dy, ddx));
  }
}

template <typename T> Bias bias_layout(const BiasActArguments& a) {
  constexpr int lanes = Vector16<T>::kLanes;
  if (a.b == nullptr)
    return Bias::None;
  if (a.stride % lanes == 0)
    return Bias::OneForVector;
  if (a.stride == 1 && a.channels % lanes == 0 && reinterpret_cast<std::uintptr_t>(a.b) % 16 == 0)
    return Bias::RunForVector;
  return Bias::ByElement;
}

template <typename T> bool in_vectors(const BiasActArguments& a) {
  const auto addresses =
      reinterpret_cast<std::uintptr_t>(a.x) | reinterpret_cast<std::uintptr_t>(a.dy) |
      reinterpret_cast<std::uintptr_t>(a.ddx) | reinterpret_cast<std::uintptr_t>(a.out);
  return a.count % Vector16<T>::kLanes == 0 && addresses % 16 == 0 &&
         bias_layout<T>(a) != Bias::ByElement;
}

unsigned blocks_for(std::int64_t items) {
  constexpr std::int64_t most = 1 << 20; // beyond that threads loop
  return static_cast<unsigned>(std::min<std::int64_t>((items + kThreads - 1) / kThreads, most));
}

template <typename T> void run(const BiasActArguments& a, void* stream) {
  const Tensors<T> t{static_cast<const T*>(a.x), static_cast<const T*>(a.b),
                     static_cast<const T*>(a.dy), static_cast<const T*>(a.ddx),
                     static_cast<T*>(a.out)};
  if (!in_vectors<T>(a))
    return launch(bias_act_elements<T>, dim3(blocks_for(a.count)), dim3(kThreads), 0, stream, a, t);
  const std::int64_t vectors = a.count / Vector16<T>::kLanes;
  const auto start = [&](auto kernel) {
    launch(kernel, dim3(blocks_for(vectors)), dim3(kThreads), 0, stream, a, t, vectors);
  };
  switch (bias_layout<T>(a)) {
  case Bias::OneForVector:
    return start(bias_act_vectors<T, Bias::OneForVector>);
  case Bias::RunForVector:
    return start(bias_act_vectors<T, Bias::RunForVector>);
  default:
    return start(bias_act_vectors<T, Bias::None>);
  }
}

} // namespace

void bias_act(const BiasActArguments& arguments, int type, void* stream) {
  if (arguments.count == 0)
    return;
  with_element_type(type, [&](auto tag) { run<typename decltype(tag)::Type>(arguments, stream); });
}

} // namespace bunraku_kernels
