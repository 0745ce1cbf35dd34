#include <array>

#include <pybind11/stl.h>

#include "bindings.hpp"
#include "wavenet_stream/wavenet_stream_launch.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

namespace {

using SizeList = std::array<std::int64_t, 5>; // Layout.sizes

WaveNetStreamSizes sizes_of(const SizeList& list) {
  return {list[0], list[1], static_cast<std::int32_t>(list[2]), static_cast<std::int32_t>(list[3]),
          static_cast<std::int32_t>(list[4])};
}

} // namespace

BUNRAKU_BINDINGS(module) {
  module.def(
      "wavenet_stream",
      [](std::uintptr_t x, std::uintptr_t y, std::uintptr_t weights, std::uintptr_t program,
         std::uintptr_t ring, std::uintptr_t position, std::int64_t streams, std::int64_t frames,
         const SizeList& sizes, std::uintptr_t stream) {
        const WaveNetStreamArguments arguments{at<const float>(x),
                                               at<float>(y),
                                               at<const float>(weights),
                                               at<const std::int32_t>(program),
                                               at<float>(ring),
                                               at<std::int64_t>(position),
                                               streams,
                                               frames,
                                               sizes_of(sizes)};
        wavenet_stream(arguments, at<void>(stream));
      },
      py::arg("x"), py::arg("y"), py::arg("weights"), py::arg("program"), py::arg("ring"),
      py::arg("position"), py::arg("streams"), py::arg("frames"), py::arg("sizes"),
      py::arg("stream"), "One block of every stream, by address; sizes as in WaveNetStreamSizes.");
  module.def(
      "wavenet_stream_streams_per_block",
      [](const SizeList& sizes) { return wavenet_stream_streams_per_block(sizes_of(sizes)); },
      py::arg("sizes"), "How many streams a thread block of the current device can hold; 0: none.");
}
