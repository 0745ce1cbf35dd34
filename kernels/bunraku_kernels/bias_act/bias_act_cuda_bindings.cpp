#include "bias_act_launch.hpp"
#include "bindings.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

BUNRAKU_BINDINGS(module) {
  module.def(
      "bias_act",
      [](std::uintptr_t x, std::uintptr_t b, std::uintptr_t dy, std::uintptr_t ddx,
         std::uintptr_t out, std::int64_t count, std::int64_t channels, std::int64_t stride,
         float alpha, float gain, float clamp, int order, int activation, int type,
         std::uintptr_t stream) {
        const BiasActArguments arguments{at<const void>(x),
                                         at<const void>(b),
                                         at<const void>(dy),
                                         at<const void>(ddx),
                                         at<void>(out),
                                         count,
                                         channels,
                                         stride,
                                         alpha,
                                         gain,
                                         clamp,
                                         order,
                                         activation};
        bias_act(arguments, type, at<void>(stream));
      },
      py::arg("x"), py::arg("b"), py::arg("dy"), py::arg("ddx"), py::arg("out"), py::arg("count"),
      py::arg("channels"), py::arg("stride"), py::arg("alpha"), py::arg("gain"), py::arg("clamp"),
      py::arg("order"), py::arg("activation"), py::arg("type"), py::arg("stream"),
      "Bias, activation, gain and clamp of dense tensors given by address; see "
      "bias_act_launch.hpp.");
}
