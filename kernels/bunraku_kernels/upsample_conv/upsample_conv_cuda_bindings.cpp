#include "bindings.hpp"
#include "upsample_conv_launch.hpp"

#include <array>

#include <pybind11/stl.h>

namespace py = pybind11;
using namespace bunraku_kernels;

namespace {

using FourStrides = std::array<std::int64_t, 4>;
using Numbers = std::array<float, 3>; // alpha, gain, clamp

Strides strides(const FourStrides& s) {
  return {s[0], s[1], s[2], s[3]};
}

Activated activated(int code, const Numbers& n) {
  return {code, n[0], n[1], n[2]};
}

} // namespace

BUNRAKU_BINDINGS(module) {
  py::class_<PhaseConvArguments>(module, "PhaseConv",
                                 "One call of phase_conv: see upsample_conv_launch.hpp.")
      .def(py::init([](const std::array<std::int64_t, 4>& x_size, const FourStrides& x_stride,
                       const std::array<int, 3>& y_size, const FourStrides& y_stride,
                       const std::array<int, 6>& geometry, int pre_activation, float pre_alpha,
                       int activation, const Numbers& numbers, float eps) {
        PhaseConvArguments a{};
        a.batch = static_cast<int>(x_size[0]);
        a.in_channels = static_cast<int>(x_size[1]);
        a.height = static_cast<int>(x_size[2]);
        a.width = static_cast<int>(x_size[3]);
        a.out_channels = y_size[0];
        a.out_height = y_size[1];
        a.out_width = y_size[2];
        a.up_h = geometry[0];
        a.up_w = geometry[1];
        a.taps_h = geometry[2];
        a.taps_w = geometry[3];
        a.crop_h = geometry[4];
        a.crop_w = geometry[5];
        a.x_stride = strides(x_stride);
        a.y_stride = strides(y_stride);
        a.pre_activation = pre_activation;
        a.pre_alpha = pre_alpha;
        a.after = activated(activation, numbers);
        a.eps = eps;
        return a;
      }))
      .def("statistics_parts", &statistics_parts)
      .def(
          "run",
          [](PhaseConvArguments& a, std::uintptr_t x, std::uintptr_t weights, std::uintptr_t style,
             std::uintptr_t demod, std::uintptr_t bias, std::uintptr_t y, std::uintptr_t parts,
             std::uintptr_t stats, int type, std::uintptr_t stream) {
            a.x = at<const void>(x);
            a.weights = at<const void>(weights);
            a.style = at<const float>(style);
            a.demod = at<const float>(demod);
            a.bias = at<const void>(bias);
            a.y = at<void>(y);
            a.parts = at<float>(parts);
            a.stats = at<float>(stats);
            phase_conv(a, type, at<void>(stream));
          },
          py::arg("x"), py::arg("weights"), py::arg("style"), py::arg("demod"), py::arg("bias"),
          py::arg("y"), py::arg("parts"), py::arg("stats"), py::arg("type"), py::arg("stream"));
  module.def(
      "upsample_conv_normalize",
      [](std::uintptr_t u, std::uintptr_t stats, std::uintptr_t y, int batch, int channels,
         std::int64_t pixels, bool channels_last, int activation, const Numbers& numbers, int type,
         std::uintptr_t stream) {
        const NormalizeArguments a{
            at<const void>(u), at<const float>(stats),        at<void>(y), batch, channels, pixels,
            channels_last,     activated(activation, numbers)};
        normalize(a, type, at<void>(stream));
      },
      py::arg("u"), py::arg("stats"), py::arg("y"), py::arg("batch"), py::arg("channels"),
      py::arg("pixels"), py::arg("channels_last"), py::arg("activation"), py::arg("numbers"),
      py::arg("type"), py::arg("stream"), "Dense u by address; see upsample_conv_launch.hpp.");
}
