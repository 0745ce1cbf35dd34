#include "frame/frame_arguments.hpp"
#include "frame/frame_launch.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

BUNRAKU_BINDINGS(module) {
  module.def(
      "frame_to_tensor",
      [](const py::tuple& frame, const py::tuple& out, const py::tuple& scale,
         const py::tuple& shift, int frames, bool bgr, bool antialias, std::uintptr_t stream) {
        const FrameToTensorArguments arguments{pixels(frame), planes(out), affine(scale, shift),
                                               frames,        bgr,         antialias};
        frame_to_tensor(arguments, at<void>(stream));
      },
      py::arg("frame"), py::arg("out"), py::arg("scale"), py::arg("shift"), py::arg("frames"),
      py::arg("bgr"), py::arg("antialias"), py::arg("stream"),
      "Interleaved bytes to normalised planes; the tuples are the structs of frame_memory.hpp.");
  module.def(
      "tensor_to_frame",
      [](const py::tuple& y, const py::object& mask, const py::tuple& original,
         const py::tuple& out, const py::tuple& scale, const py::tuple& shift, int frames, bool bgr,
         bool antialias, std::uintptr_t stream) {
        const TensorToFrameArguments arguments{
            planes(y), planes(mask), pixels(original), pixels(out), affine(scale, shift),
            frames,    bgr,          antialias};
        tensor_to_frame(arguments, at<void>(stream));
      },
      py::arg("y"), py::arg("mask"), py::arg("original"), py::arg("out"), py::arg("scale"),
      py::arg("shift"), py::arg("frames"), py::arg("bgr"), py::arg("antialias"), py::arg("stream"),
      "Planes to interleaved bytes, blended over the original by the mask, which may be None.");
}
