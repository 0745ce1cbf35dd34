// The names that CUDA gives to every kernel: qualifiers, built-in variables, barriers, warp
// functions, atomics, arithmetic, and the few calls of the runtime that launch code makes. Include
// cuda_emulator.hpp.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <limits>

// ---- qualifiers ---------------------------------------------------------------------------------

#undef __host__
#undef __device__
#undef __global__
#undef __shared__
#undef __constant__
#undef __launch_bounds__
#undef __grid_constant__
#undef __cluster_dims__
#undef __maxnreg__
#define __host__
#define __device__
#define __global__
#define __constant__
#define __launch_bounds__(...)
#define __grid_constant__
#define __maxnreg__(count)

// Static shared memory is a static variable: one block runs at a time (cooperative and cluster
// launches, where that is not so, are stopped if they touch it). All of it lies in one section, so
// that each block can start with it poisoned. GCC refuses one section for both ordinary and
// template functions; a name that ends in an assembler comment differs for it alone.
#define BUNRAKU_EMULATOR_TEXT_OF(number) #number
#define BUNRAKU_EMULATOR_TEXT(number) BUNRAKU_EMULATOR_TEXT_OF(number)
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define __shared__                                                                                 \
  static __attribute__((                                                                           \
      section("bunraku_shared,\"aw\",@nobits#" BUNRAKU_EMULATOR_TEXT(__COUNTER__))))
#else
#define __shared__ static __attribute__((section("bunraku_shared")))
#endif

// ---- built-in variables -------------------------------------------------------------------------

extern uint3 threadIdx, blockIdx; // of the thread that runs now
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

// ---- barriers and fences ------------------------------------------------------------------------

inline void __syncthreads() {
  bunraku_emulator::block_barrier(bunraku_emulator::BarrierKind::sync, 0);
}
inline int __syncthreads_or(int predicate) {
  return bunraku_emulator::block_barrier(bunraku_emulator::BarrierKind::any, predicate);
}
inline int __syncthreads_and(int predicate) {
  return bunraku_emulator::block_barrier(bunraku_emulator::BarrierKind::all, predicate);
}
inline int __syncthreads_count(int predicate) {
  return bunraku_emulator::block_barrier(bunraku_emulator::BarrierKind::count, predicate);
}
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  bunraku_emulator::warp_meet(mask, nullptr, nullptr, "__syncwarp");
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) {
  bunraku_emulator::pause();
}
[[noreturn]] inline void __trap() {
  throw bunraku_emulator::Fault("the kernel called __trap()");
}

// ---- warp functions -----------------------------------------------------------------------------

namespace bunraku_emulator {

// The first lane of the segment of `width` lanes that the calling lane is in.
inline int segment(int width) {
  return static_cast<int>(lane()) / width * width;
}

} // namespace bunraku_emulator

template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  const int lane = bunraku_emulator::segment(width) + (source & (width - 1));
  return bunraku_emulator::shuffle(mask, value, lane, "__shfl_sync");
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int mine = static_cast<int>(bunraku_emulator::lane());
  const int source = mine - static_cast<int>(delta);
  const bool inside = source >= bunraku_emulator::segment(width);
  return bunraku_emulator::shuffle(mask, value, inside ? source : mine, "__shfl_up_sync");
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  const int mine = static_cast<int>(bunraku_emulator::lane());
  const int source = mine + static_cast<int>(delta);
  const bool inside = source < bunraku_emulator::segment(width) + width;
  return bunraku_emulator::shuffle(mask, value, inside ? source : mine, "__shfl_down_sync");
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  const int mine = static_cast<int>(bunraku_emulator::lane());
  const int source = mine ^ lane_mask;
  const bool inside = source < bunraku_emulator::segment(width) + width;
  return bunraku_emulator::shuffle(mask, value, inside ? source : mine, "__shfl_xor_sync");
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return bunraku_emulator::ballot(mask, predicate, "__ballot_sync");
}
inline int __any_sync(unsigned mask, int predicate) {
  return bunraku_emulator::ballot(mask, predicate, "__any_sync") != 0;
}
inline int __all_sync(unsigned mask, int predicate) {
  return bunraku_emulator::ballot(mask, predicate, "__all_sync") == mask;
}

// ---- atomics ------------------------------------------------------------------------------------

// std::common_type keeps the value from taking part in deduction, as CUDA's plain overloads do.
template <class T> T atomicAdd(T* address, std::common_type_t<T> value) {
  return bunraku_emulator::atomic(address, [&](T before) { return T(before + value); });
}
inline __half2 atomicAdd(__half2* address, __half2 value) {
  return bunraku_emulator::atomic(address, [&](__half2 before) { return __hadd2(before, value); });
}
inline __nv_bfloat162 atomicAdd(__nv_bfloat162* address, __nv_bfloat162 value) {
  return bunraku_emulator::atomic(address,
                                  [&](__nv_bfloat162 before) { return __hadd2(before, value); });
}
template <class T> T atomicSub(T* address, std::common_type_t<T> value) {
  return bunraku_emulator::atomic(address, [&](T before) { return T(before - value); });
}
template <class T> T atomicMax(T* address, std::common_type_t<T> value) {
  return bunraku_emulator::atomic(address,
                                  [&](T before) { return before < value ? value : before; });
}
template <class T> T atomicMin(T* address, std::common_type_t<T> value) {
  return bunraku_emulator::atomic(address,
                                  [&](T before) { return value < before ? value : before; });
}
template <class T> T atomicAnd(T* address, std::common_type_t<T> value) {
  return bunraku_emulator::atomic(address, [&](T before) { return before & value; });
}
template <class T> T atomicOr(T* address, std::common_type_t<T> value) {
  return bunraku_emulator::atomic(address, [&](T before) { return before | value; });
}
template <class T> T atomicXor(T* address, std::common_type_t<T> value) {
  return bunraku_emulator::atomic(address, [&](T before) { return before ^ value; });
}
template <class T> T atomicExch(T* address, std::common_type_t<T> value) {
  return bunraku_emulator::atomic(address, [&](T) { return value; });
}
template <class T>
T atomicCAS(T* address, std::common_type_t<T> expected, std::common_type_t<T> value) {
  return bunraku_emulator::atomic(address,
                                  [&](T before) { return before == expected ? value : before; });
}
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return bunraku_emulator::atomic(
      address, [&](unsigned before) { return before >= limit ? 0u : before + 1u; });
}

// ---- loads and stores with a cache hint ---------------------------------------------------------

template <class T> T __ldg(const T* address) {
  return *address;
}
template <class T> T __ldca(const T* address) {
  return *address;
}
template <class T> T __ldcg(const T* address) {
  return *address;
}
template <class T> T __ldcs(const T* address) {
  return *address;
}
template <class T> T __ldlu(const T* address) {
  return *address;
}
template <class T> T __ldcv(const T* address) {
  return *address;
}
template <class T> void __stcg(T* address, std::common_type_t<T> value) {
  *address = value;
}
template <class T> void __stcs(T* address, std::common_type_t<T> value) {
  *address = value;
}
template <class T> void __stwb(T* address, std::common_type_t<T> value) {
  *address = value;
}

// ---- bits and integers --------------------------------------------------------------------------

namespace bunraku_emulator {

template <class To, class From> To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From), "the bits stay, so does their number");
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

} // namespace bunraku_emulator

inline int __float_as_int(float value) {
  return bunraku_emulator::bits_as<int>(value);
}
inline unsigned __float_as_uint(float value) {
  return bunraku_emulator::bits_as<unsigned>(value);
}
inline float __int_as_float(int value) {
  return bunraku_emulator::bits_as<float>(value);
}
inline float __uint_as_float(unsigned value) {
  return bunraku_emulator::bits_as<float>(value);
}
inline int __popc(unsigned value) {
  return __builtin_popcount(value);
}
inline int __popcll(unsigned long long value) {
  return __builtin_popcountll(value);
}
inline int __clz(int value) {
  return value == 0 ? 32 : __builtin_clz(static_cast<unsigned>(value));
}
inline int __ffs(int value) {
  return __builtin_ffs(value);
}
inline unsigned __brev(unsigned value) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i)
    reversed |= (value >> i & 1u) << (31 - i);
  return reversed;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32);
}
inline int __mulhi(int a, int b) {
  return static_cast<int>(static_cast<long long>(a) * b >> 32);
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const unsigned long long bytes = static_cast<unsigned long long>(b) << 32 | a;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned choice = selector >> (4 * i);
    const unsigned byte = static_cast<unsigned>(bytes >> (8 * (choice & 7u))) & 0xffu;
    const unsigned sign = byte >> 7 ? 0xffu : 0u;
    result |= (choice & 8u ? sign : byte) << (8 * i);
  }
  return result;
}
inline int __dp4a(int a, int b, int sum) {
  for (int i = 0; i < 4; ++i)
    sum += static_cast<signed char>(a >> (8 * i)) * static_cast<signed char>(b >> (8 * i));
  return sum;
}

// ---- arithmetic: exact where CUDA is approximate ------------------------------------------------

namespace bunraku_emulator {

inline float exp10_of(float x) {
  return std::exp2(x * 3.32192809488736234787f);
}
inline float rsqrt_of(float x) {
  return 1.0f / std::sqrt(x);
}
inline double rsqrt_of(double x) {
  return 1.0 / std::sqrt(x);
}
inline float sinpi_of(float x) {
  return static_cast<float>(std::sin(3.14159265358979323846 * std::remainder(double{x}, 2.0)));
}
inline float cospi_of(float x) {
  return static_cast<float>(std::cos(3.14159265358979323846 * std::remainder(double{x}, 2.0)));
}
inline void sincos_of(float x, float* sine, float* cosine) {
  *sine = std::sin(x);
  *cosine = std::cos(x);
}

} // namespace bunraku_emulator

// Macros, because the C library's own headers declare some of these names, and newer ones the rest.
#define __expf(x) (std::exp(float(x)))
#define __exp10f(x) (::bunraku_emulator::exp10_of(float(x)))
#define __logf(x) (std::log(float(x)))
#define __log2f(x) (std::log2(float(x)))
#define __log10f(x) (std::log10(float(x)))
#define __powf(x, y) (std::pow(float(x), float(y)))
#define __sinf(x) (std::sin(float(x)))
#define __cosf(x) (std::cos(float(x)))
#define __tanf(x) (std::tan(float(x)))
#define __tanhf(x) (std::tanh(float(x)))
#define __sincosf(x, sine, cosine) (::bunraku_emulator::sincos_of(x, sine, cosine))
#define rsqrtf(x) (::bunraku_emulator::rsqrt_of(float(x)))
#define rsqrt(x) (::bunraku_emulator::rsqrt_of(x))
#define sinpif(x) (::bunraku_emulator::sinpi_of(float(x)))
#define cospif(x) (::bunraku_emulator::cospi_of(float(x)))

inline float __fdividef(float a, float b) {
  return a / b;
}
inline float fdividef(float a, float b) {
  return a / b;
}
inline float __saturatef(float x) {
  return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; // NaN becomes 0
}
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __fmaf_rn(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float __frcp_rn(float x) {
  return 1.0f / x;
}
inline float __fsqrt_rn(float x) {
  return std::sqrt(x);
}
inline float __frsqrt_rn(float x) {
  return bunraku_emulator::rsqrt_of(x);
}

namespace bunraku_emulator {

// A float outside the integers' range becomes the nearest of them, NaN becomes 0.
template <class Integer> Integer saturated(float x) {
  if (std::isnan(x))
    return 0;
  if (x <= static_cast<float>(std::numeric_limits<Integer>::min()))
    return std::numeric_limits<Integer>::min();
  if (x >= static_cast<float>(std::numeric_limits<Integer>::max()))
    return std::numeric_limits<Integer>::max();
  return static_cast<Integer>(x);
}

} // namespace bunraku_emulator

inline int __float2int_rn(float x) {
  return bunraku_emulator::saturated<int>(std::nearbyint(x));
}
inline int __float2int_rz(float x) {
  return bunraku_emulator::saturated<int>(std::trunc(x));
}
inline int __float2int_rd(float x) {
  return bunraku_emulator::saturated<int>(std::floor(x));
}
inline int __float2int_ru(float x) {
  return bunraku_emulator::saturated<int>(std::ceil(x));
}
inline unsigned __float2uint_rn(float x) {
  return bunraku_emulator::saturated<unsigned>(std::nearbyint(x));
}
inline unsigned __float2uint_rz(float x) {
  return bunraku_emulator::saturated<unsigned>(std::trunc(x));
}
inline float __int2float_rn(int x) {
  return static_cast<float>(x);
}
inline float __uint2float_rn(unsigned x) {
  return static_cast<float>(x);
}

#define BUNRAKU_EMULATOR_MIN_MAX(type)                                                             \
  inline type min(type a, type b) {                                                                \
    return std::min(a, b);                                                                         \
  }                                                                                                \
  inline type max(type a, type b) {                                                                \
    return std::max(a, b);                                                                         \
  }
BUNRAKU_EMULATOR_MIN_MAX(int)
BUNRAKU_EMULATOR_MIN_MAX(unsigned)
BUNRAKU_EMULATOR_MIN_MAX(long)
BUNRAKU_EMULATOR_MIN_MAX(unsigned long)
BUNRAKU_EMULATOR_MIN_MAX(long long)
BUNRAKU_EMULATOR_MIN_MAX(unsigned long long)
#undef BUNRAKU_EMULATOR_MIN_MAX
inline float min(float a, float b) {
  return std::fmin(a, b);
}
inline float max(float a, float b) {
  return std::fmax(a, b);
}
inline double min(double a, double b) {
  return std::fmin(a, b);
}
inline double max(double a, double b) {
  return std::fmax(a, b);
}

// ---- the runtime's calls: device memory is the host's, streams run at once ----------------------

const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value);
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel,
                                                          int block_threads,
                                                          std::size_t shared_bytes);
cudaError_t cudaOccupancyMaxActiveClusters(int* clusters, const void* kernel,
                                           const cudaLaunchConfig_t* config);
cudaError_t cudaMalloc(void** address, std::size_t bytes);
cudaError_t cudaFree(void* address);
cudaError_t cudaMemset(void* address, int byte, std::size_t bytes);
cudaError_t cudaMemsetAsync(void* address, int byte, std::size_t bytes, cudaStream_t stream);
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaDeviceSynchronize();
