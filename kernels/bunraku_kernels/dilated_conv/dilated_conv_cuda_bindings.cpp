#include "bindings.hpp"
#include "dilated_conv_launch.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

namespace {

using Arguments = DilatedConvArguments;

template <auto kMember> void set_address(Arguments& arguments, std::uintptr_t address) {
  arguments.*kMember = at<void>(address);
}

} // namespace

#define ADDRESS(name)                                                                              \
  .def_property(#name, py::cpp_function(), py::cpp_function(&set_address<&Arguments::name>))

BUNRAKU_BINDINGS(module) {
  py::class_<Arguments>(module, "DilatedConvArguments", py::module_local(),
                        "Addresses and sizes; see dilated_conv_launch.hpp.")
      .def(py::init<>())
      // clang-format off
      ADDRESS(x) ADDRESS(weight) ADDRESS(bias) ADDRESS(condition) ADDRESS(mixin) ADDRESS(history)
      ADDRESS(residual_weight) ADDRESS(residual_bias) ADDRESS(skip_weight) ADDRESS(skip_bias)
      ADDRESS(x_out) ADDRESS(skip) ADDRESS(dx_out) ADDRESS(dskip) ADDRESS(dz) ADDRESS(h)
      ADDRESS(dx) ADDRESS(dhistory) ADDRESS(dcondition) ADDRESS(workspace)
      // clang-format on
      .def_readwrite("batch", &Arguments::batch)
      .def_readwrite("frames", &Arguments::frames)
      .def_readwrite("channels", &Arguments::channels)
      .def_readwrite("features", &Arguments::features)
      .def_readwrite("hidden", &Arguments::hidden)
      .def_readwrite("skips", &Arguments::skips)
      .def_readwrite("taps", &Arguments::taps)
      .def_readwrite("dilation", &Arguments::dilation)
      .def_readwrite("activation", &Arguments::activation)
      .def_readwrite("alpha", &Arguments::alpha);
  module.def(
      "dilated_conv_workspace",
      [](const Arguments& arguments, int pass, int type) {
        return dilated_conv_workspace(arguments, static_cast<DilatedConvPass>(pass), type);
      },
      py::arg("arguments"), py::arg("pass"), py::arg("type"), "Bytes for packed weights.");
  module.def(
      "dilated_conv",
      [](const Arguments& arguments, int pass, int type, std::uintptr_t stream) {
        dilated_conv(arguments, static_cast<DilatedConvPass>(pass), type, at<void>(stream));
      },
      py::arg("arguments"), py::arg("pass"), py::arg("type"), py::arg("stream"),
      "One pass of a WaveNet layer: 0 forward, 1 gradient of z, 2 gradients of what went in.");
}
