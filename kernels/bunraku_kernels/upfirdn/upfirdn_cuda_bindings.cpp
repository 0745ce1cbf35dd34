#include <array>

#include <pybind11/stl.h>

#include "bindings.hpp"
#include "upfirdn_launch.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

using Pair = std::array<int, 2>; // x, y

BUNRAKU_BINDINGS(module) {
  module.def(
      "upfirdn",
      [](std::uintptr_t x, std::uintptr_t f, std::uintptr_t b, std::uintptr_t dy,
         std::uintptr_t ddx, std::uintptr_t out, std::int64_t images, int channels, Pair size,
         Pair out_size, Pair up, Pair down, Pair before, Pair taps, bool separable, bool flip,
         bool channels_last, float scale, int order, int activation, float alpha, float gain,
         float clamp, int type, std::uintptr_t stream) {
        UpfirdnArguments a{};
        a.x = at<const void>(x);
        a.f = at<const float>(f);
        a.b = at<const void>(b);
        a.dy = at<const void>(dy);
        a.ddx = at<const void>(ddx);
        a.out = at<void>(out);
        a.images = images;
        a.channels = channels;
        a.width = size[0], a.height = size[1];
        a.out_width = out_size[0], a.out_height = out_size[1];
        a.up_x = up[0], a.up_y = up[1];
        a.down_x = down[0], a.down_y = down[1];
        a.before_x = before[0], a.before_y = before[1];
        a.taps_x = taps[0], a.taps_y = taps[1];
        a.separable = separable;
        a.flip = flip;
        a.channels_last = channels_last;
        a.scale = scale;
        a.order = order;
        a.activation = activation;
        a.alpha = alpha;
        a.gain = gain;
        a.clamp = clamp;
        upfirdn(a, type, at<void>(stream));
      },
      py::arg("x"), py::arg("f"), py::arg("b"), py::arg("dy"), py::arg("ddx"), py::arg("out"),
      py::arg("images"), py::arg("channels"), py::arg("size"), py::arg("out_size"), py::arg("up"),
      py::arg("down"), py::arg("before"), py::arg("taps"), py::arg("separable"), py::arg("flip"),
      py::arg("channels_last"), py::arg("scale"), py::arg("order"), py::arg("activation"),
      py::arg("alpha"), py::arg("gain"), py::arg("clamp"), py::arg("type"), py::arg("stream"),
      "Upsample, filter, downsample, with bias and activation; see upfirdn_launch.hpp.");
}
