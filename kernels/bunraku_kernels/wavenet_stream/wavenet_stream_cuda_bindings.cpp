#include "bindings.hpp"
#include "wavenet_stream_launch.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

BUNRAKU_BINDINGS(module) {
  module.def(
      "wavenet_stream",
      [](std::uintptr_t x, std::uintptr_t y, std::uintptr_t weights, std::uintptr_t program,
         std::uintptr_t ring, std::uintptr_t position, std::int64_t streams, std::int64_t frames,
         std::int64_t weight_floats, std::int64_t ring_floats, int array_count, int conv_count,
         int widest_quads, std::uintptr_t stream) {
        const WaveNetStreamArguments arguments{at<const float>(x),
                                               at<float>(y),
                                               at<const float>(weights),
                                               at<const std::int32_t>(program),
                                               at<float>(ring),
                                               at<std::int64_t>(position),
                                               streams,
                                               frames,
                                               weight_floats,
                                               ring_floats,
                                               array_count,
                                               conv_count,
                                               widest_quads};
        wavenet_stream(arguments, at<void>(stream));
      },
      py::arg("x"), py::arg("y"), py::arg("weights"), py::arg("program"), py::arg("ring"),
      py::arg("position"), py::arg("streams"), py::arg("frames"), py::arg("weight_floats"),
      py::arg("ring_floats"), py::arg("array_count"), py::arg("conv_count"),
      py::arg("widest_quads"), py::arg("stream"),
      "One block of every stream, by address; see wavenet_stream_launch.hpp.");
  module.def("wavenet_stream_streams_per_block", &wavenet_stream_streams_per_block,
             py::arg("weight_floats"), py::arg("array_count"), py::arg("conv_count"),
             py::arg("widest_quads"),
             "How many streams a thread block of the current device can hold; 0: none.");
}
