// A tile through the network: arrays, their layers and heads.
#pragma once

#include "cuda/activation.cuh"
#include "cuda/platform.cuh"
#include "wavenet_stream/stream_products.cuh"

namespace bunraku_kernels::wavenet_stream_detail {

template <ActivationCode kCode> __device__ __forceinline__ float4 activated(float4 z, float alpha) {
  return make_float4(activation_value(kCode, z.x, alpha), activation_value(kCode, z.y, alpha),
                     activation_value(kCode, z.z, alpha), activation_value(kCode, z.w, alpha));
}

template <ActivationCode kCode, int kRows>
__device__ __forceinline__ void activate_all(float4 (&z)[kRows], float alpha) {
#pragma unroll
  for (int j = 0; j < kRows; ++j)
    z[j] = activated<kCode>(z[j], alpha);
}

// The choice is outside of the loop, which is unrolled to keep z in registers.
template <int kRows>
__device__ __forceinline__ void activate(float4 (&z)[kRows], int code, float alpha) {
  switch (static_cast<ActivationCode>(code)) {
  case ActivationCode::Linear:
    return;
  case ActivationCode::Relu:
    return activate_all<ActivationCode::Relu>(z, alpha);
  case ActivationCode::Lrelu:
    return activate_all<ActivationCode::Lrelu>(z, alpha);
  case ActivationCode::Tanh:
    return activate_all<ActivationCode::Tanh>(z, alpha);
  case ActivationCode::Sigmoid:
    return activate_all<ActivationCode::Sigmoid>(z, alpha);
  case ActivationCode::Silu:
    return activate_all<ActivationCode::Silu>(z, alpha);
  case ActivationCode::Softplus:
    return activate_all<ActivationCode::Softplus>(z, alpha);
  case ActivationCode::Elu:
    return activate_all<ActivationCode::Elu>(z, alpha);
  }
}

// The head of an array on its sum of skips, which lies in warp.hidden.
template <int kQuads, int kTile>
__device__ __forceinline__ void run_head(Warp& warp, const Share<kQuads, kTile>& share, int index,
                                         float4 (&sum)[Share<kQuads, kTile>::kRows]) {
  const WaveNetConvEntry head = warp.convs[index];
  const float* bias = warp.weights + head.weights + head.taps * 16 * head.quads * kQuads;
  set_all(sum, load(bias + 4 * share.quad));
  convolve<kQuads, kTile>(warp, share, head, warp.hidden, head.quads, sum);
  warp.remember(index, warp.hidden);
}

// What the first layer of an array hears.
template <int kQuads, int kTile>
__device__ __forceinline__ void run_rechannel(Warp& warp, const Share<kQuads, kTile>& share,
                                              int index, float4 (&x)[Share<kQuads, kTile>::kRows]) {
  constexpr int rows_of_lane = Share<kQuads, kTile>::kRows;
  const WaveNetArrayEntry array = warp.arrays[index];
  const float* matrix = warp.weights + array.rechannel + 4 * share.quad;
  set_all(x, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
  if (index == 0) {
    const float4 w = load(matrix);
#pragma unroll
    for (int j = 0; j < rows_of_lane; ++j)
      add_product(x[j], warp.shared[warp.input + share.row(j)], w);
    return;
  }
  int rows[rows_of_lane];
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j)
    rows[j] = warp.signal + share.row(j) * row_floats(array.input_quads);
  accumulate(x, warp.shared, rows, matrix, array.input_quads, 4 * kQuads);
}

template <int kQuads, int kTile>
__device__ __forceinline__ void put(const Warp& warp, const Share<kQuads, kTile>& share, int place,
                                    const float4 (&values)[Share<kQuads, kTile>::kRows]) {
  float* to = warp.shared + place + 4 * share.quad;
#pragma unroll
  for (int j = 0; j < Share<kQuads, kTile>::kRows; ++j)
    if (share.owns(j))
      store(to + share.row(j) * row_floats(kQuads), values[j]);
}

template <int kQuads, int kTile>
__device__ __forceinline__ void run_layer(Warp& warp, const Share<kQuads, kTile>& share, int index,
                                          bool heard, float4 (&skip)[Share<kQuads, kTile>::kRows]) {
  constexpr int rows_of_lane = Share<kQuads, kTile>::kRows, width = 4 * kQuads;
  const WaveNetConvEntry conv = warp.convs[index];
  const float* bias = warp.weights + conv.weights + conv.taps * width * width + 4 * share.quad;
  const float* mixin = bias + width;
  const float* one_by_one = mixin + width;
  float4 z[rows_of_lane];
  set_all(z, load(bias));
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j)
    add_product(z[j], warp.shared[warp.input + share.row(j)], load(mixin));
  convolve<kQuads, kTile>(warp, share, conv, warp.signal, kQuads, z);
  warp.remember(index, warp.signal);
  activate(z, conv.activation, conv.alpha);
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j)
    skip[j] = sum_of(skip[j], z[j]);
  if (!heard)
    return;
  put<kQuads, kTile>(warp, share, warp.hidden, z);
  __syncwarp();
  int rows[rows_of_lane];
#pragma unroll
  for (int j = 0; j < rows_of_lane; ++j) {
    const int row = share.row(j) * row_floats(kQuads);
    rows[j] = warp.hidden + row;
    z[j] = sum_of(load(warp.shared + warp.signal + row + 4 * share.quad),
                  load(one_by_one + width * width));
  }
  accumulate(z, warp.shared, rows, one_by_one, kQuads, width);
  put<kQuads, kTile>(warp, share, warp.signal, z);
  __syncwarp();
}

template <int kQuads, int kTile> __device__ void run_array(Warp& warp, int index) {
  const WaveNetArrayEntry array = warp.arrays[index];
  const Share<kQuads, kTile> share(warp.lane, warp.frames);
  float4 skip[Share<kQuads, kTile>::kRows];
  {
    float4 x[Share<kQuads, kTile>::kRows];
    run_rechannel<kQuads, kTile>(warp, share, index, x);
    if (index == 0)
      set_all(skip, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    else
      run_head<kQuads, kTile>(warp, share, array.first_conv - 1, skip);
    __syncwarp();
    put<kQuads, kTile>(warp, share, warp.signal, x);
    __syncwarp();
  }
  const int end = array.first_conv + array.layer_count;
  const int last = warp.conv_count - 2; // whose 1x1 nobody hears
  for (int conv = array.first_conv; conv < end; ++conv)
    run_layer<kQuads, kTile>(warp, share, conv, conv != last, skip);
  put<kQuads, kTile>(warp, share, warp.hidden, skip);
  __syncwarp();
}

template <int kTile> __device__ void run_tile(Warp& warp, int array_count, float* y) {
  for (int a = 0; a < array_count; ++a) {
    switch (warp.arrays[a].quads) {
    case 1:
      run_array<1, kTile>(warp, a);
      break;
    case 2:
      run_array<2, kTile>(warp, a);
      break;
    case 3:
      run_array<3, kTile>(warp, a);
      break;
    default:
      run_array<4, kTile>(warp, a);
    }
  }
  const Share<1, kTile> share(warp.lane, warp.frames);
  float4 sum[Share<1, kTile>::kRows];
  run_head<1, kTile>(warp, share, warp.conv_count - 1, sum);
#pragma unroll
  for (int j = 0; j < Share<1, kTile>::kRows; ++j)
    if (share.owns(j))
      y[share.row(j)] = sum[j].x;
  __syncwarp();
}

} // namespace bunraku_kernels::wavenet_stream_detail
