#include "frame/frame_arguments.hpp"
#include "frame/frame_native.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

namespace {

Taps taps(const py::object& object) {
  if (object.is_none())
    return {};
  const auto t = object.cast<py::tuple>();
  return {at<const std::int32_t>(t[0].cast<std::uintptr_t>()),
          at<const float>(t[1].cast<std::uintptr_t>()), t[2].cast<int>()};
}

} // namespace

BUNRAKU_BINDINGS(module) {
  module.def(
      "frame_to_tensor",
      [](const py::tuple& frame, const py::tuple& out, const py::tuple& rows,
         const py::tuple& columns, const py::tuple& scale, const py::tuple& shift, int frames,
         bool bgr) {
        const ToTensor job{pixels(frame),        planes(out), taps(rows), taps(columns),
                           affine(scale, shift), frames,      bgr};
        const py::gil_scoped_release released;
        run_to_tensor(job);
      },
      py::arg("frame"), py::arg("out"), py::arg("rows"), py::arg("columns"), py::arg("scale"),
      py::arg("shift"), py::arg("frames"), py::arg("bgr"),
      "Interleaved bytes to normalised planes; the tuples are the structs of frame_memory.hpp and "
      "Taps.");
  module.def(
      "tensor_to_frame",
      [](const py::tuple& y, const py::object& mask, const py::tuple& original,
         const py::tuple& out, const py::tuple& rows, const py::tuple& columns,
         const py::object& mask_rows, const py::object& mask_columns, const py::tuple& scale,
         const py::tuple& shift, int frames, bool bgr) {
        const ToFrame job{planes(y),
                          planes(mask),
                          pixels(original),
                          pixels(out),
                          taps(rows),
                          taps(columns),
                          taps(mask_rows),
                          taps(mask_columns),
                          affine(scale, shift),
                          frames,
                          bgr};
        const py::gil_scoped_release released;
        run_to_frame(job);
      },
      py::arg("y"), py::arg("mask"), py::arg("original"), py::arg("out"), py::arg("rows"),
      py::arg("columns"), py::arg("mask_rows"), py::arg("mask_columns"), py::arg("scale"),
      py::arg("shift"), py::arg("frames"), py::arg("bgr"),
      "Planes to interleaved bytes, blended over the original by the mask, which may be None.");
}
