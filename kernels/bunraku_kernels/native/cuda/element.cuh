// The number types that kernels take, their codes (dtypes.py), and vectors of 16 bytes of them.
#pragma once

#include <stdexcept>

#include "cuda/platform.cuh"

namespace bunraku_kernels {

using namespace bunraku::cuda;

enum class ElementType : int { Float32 = 0, Float16 = 1, BFloat16 = 2 };

__host__ __device__ inline float to_float(float value) {
  return value;
}
__host__ __device__ inline float to_float(__half value) {
  return __half2float(value);
}
__host__ __device__ inline float to_float(__nv_bfloat16 value) {
  return __bfloat162float(value);
}

template <typename T> __host__ __device__ inline T from_float(float value);
template <> __host__ __device__ inline float from_float<float>(float value) {
  return value;
}
template <> __host__ __device__ inline __half from_float<__half>(float value) {
  return __float2half(value);
}
template <> __host__ __device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float value) {
  return __float2bfloat16(value);
}

// 16 bytes, loaded and stored by one instruction.
template <typename T> struct alignas(16) Vector16 {
  static constexpr int kLanes = 16 / static_cast<int>(sizeof(T));
  T lane[kLanes];
};

template <typename T> struct TypeTag {
  using Type = T;
};

// Calls body(TypeTag<T>{}) for the type of that code.
template <typename Body> void with_element_type(int type, Body&& body) {
  switch (static_cast<ElementType>(type)) {
  case ElementType::Float32:
    return body(TypeTag<float>{});
  case ElementType::Float16:
    return body(TypeTag<__half>{});
  case ElementType::BFloat16:
    return body(TypeTag<__nv_bfloat16>{});
  }
  throw std::runtime_error("an element type that no kernel takes");
}

} // namespace bunraku_kernels
