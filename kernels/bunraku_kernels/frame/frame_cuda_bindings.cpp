#include "bindings.hpp"
#include "frame_launch.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

namespace {

DevicePixels pixels(const py::tuple& t) {
  return {at<std::uint8_t>(t[0].cast<std::uintptr_t>()), t[1].cast<std::int64_t>(),
          t[2].cast<std::int64_t>(), t[3].cast<int>(), t[4].cast<int>()};
}

DevicePlanes planes(const py::object& object) {
  if (object.is_none())
    return {};
  const auto t = object.cast<py::tuple>();
  return {at<void>(t[0].cast<std::uintptr_t>()),
          t[1].cast<bool>(),
          t[2].cast<bool>(),
          t[3].cast<int>(),
          t[4].cast<int>(),
          t[5].cast<int>()};
}

void fill(float* three, const py::tuple& values) {
  for (std::size_t c = 0; c < 3; ++c)
    three[c] = values[c].cast<float>();
}

} // namespace

BUNRAKU_BINDINGS(module) {
  module.def(
      "frame_to_tensor",
      [](const py::tuple& frame, const py::tuple& out, const py::tuple& scale,
         const py::tuple& shift, int frames, bool bgr, bool antialias, std::uintptr_t stream) {
        FrameToTensorArguments arguments{pixels(frame), planes(out), {},       {},
                                         frames,        bgr,         antialias};
        fill(arguments.scale, scale);
        fill(arguments.shift, shift);
        frame_to_tensor(arguments, at<void>(stream));
      },
      py::arg("frame"), py::arg("out"), py::arg("scale"), py::arg("shift"), py::arg("frames"),
      py::arg("bgr"), py::arg("antialias"), py::arg("stream"),
      "Interleaved bytes to normalised planes; the tuples are the structs of frame_launch.hpp.");
  module.def(
      "tensor_to_frame",
      [](const py::tuple& y, const py::object& mask, const py::tuple& original,
         const py::tuple& out, const py::tuple& scale, const py::tuple& shift, int frames, bool bgr,
         bool antialias, std::uintptr_t stream) {
        TensorToFrameArguments arguments{
            planes(y), planes(mask), pixels(original), pixels(out), {}, {}, frames, bgr, antialias};
        fill(arguments.scale, scale);
        fill(arguments.shift, shift);
        tensor_to_frame(arguments, at<void>(stream));
      },
      py::arg("y"), py::arg("mask"), py::arg("original"), py::arg("out"), py::arg("scale"),
      py::arg("shift"), py::arg("frames"), py::arg("bgr"), py::arg("antialias"), py::arg("stream"),
      "Planes to interleaved bytes, blended over the original by the mask, which may be None.");
}
