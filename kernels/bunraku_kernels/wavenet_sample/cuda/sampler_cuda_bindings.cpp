#include <array>

#include <pybind11/stl.h>

#include "wavenet_sample/cuda/launch.hpp"
#include "wavenet_sample/tensor_addresses.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

namespace {

using SizeList = std::array<int, 7>; // PackedWeights.sizes: the members of SampleShape

SampleShape shape_of(const SizeList& list) {
  return {list[0], list[1], list[2], list[3], list[4], list[5], list[6]};
}

void bind_plan(py::module_& module) {
  py::class_<SampleLaunchPlan>(module, "WaveNetSamplePlan",
                               "How streams, layers and weights are spread over a GPU.")
      .def_property_readonly("transport",
                             [](const SampleLaunchPlan& p) {
                               return p.transport == SampleTransport::Cluster ? "cluster" : "grid";
                             })
      .def_property_readonly("blocks", [](const SampleLaunchPlan& p) { return p.partition.blocks; })
      .def_property_readonly("threads", [](const SampleLaunchPlan& p) { return p.shape.threads(); })
      .def_property_readonly("groups", [](const SampleLaunchPlan& p) { return p.streams.groups; })
      .def_property_readonly("group_streams",
                             [](const SampleLaunchPlan& p) { return p.streams.group_streams; })
      .def_readonly("pipelines", &SampleLaunchPlan::pipelines)
      .def_readonly("shared_bytes", &SampleLaunchPlan::shared_bytes)
      .def_readonly("missing_bytes", &SampleLaunchPlan::missing_bytes)
      .def_readonly("scratch_bytes", &SampleLaunchPlan::scratch_bytes)
      .def("block", [](const SampleLaunchPlan& p, int b) {
        return py::make_tuple(p.partition.layers_of(b), p.partition.out_rows(b),
                              p.partition.end_rows(b));
      });
}

} // namespace

BUNRAKU_BINDINGS(module) {
  bind_plan(module);
  module.def(
      "plan_wavenet_sample",
      [](const SizeList& sizes, int batch, int transport, int blocks, int pipelines,
         int group_streams, int capacity) {
        return plan_wavenet_sample(
            shape_of(sizes), batch,
            {static_cast<SampleTransport>(transport), blocks, pipelines, group_streams, capacity});
      },
      py::arg("sizes"), py::arg("batch"), py::arg("transport") = 0, py::arg("blocks") = 0,
      py::arg("pipelines") = 0, py::arg("group_streams") = 0, py::arg("capacity") = 0,
      "For the current device; zeros let the planner choose. See SampleWishes.");
  module.def(
      "wavenet_sample_bytes",
      [](const SizeList& sizes) { return packed_layout(shape_of(sizes)).bytes; }, py::arg("sizes"),
      "Size of the packed weights.");
  module.def(
      "pack_wavenet_sample",
      [](const SizeList& sizes, const std::vector<std::uintptr_t>& tensors, std::uintptr_t packed) {
        pack_wavenet_sample(shape_of(sizes), tensors_at(tensors), at<void>(packed));
      },
      py::arg("sizes"), py::arg("tensors"), py::arg("packed"),
      "Packs float32 tensors in host memory; see WaveNetTensors.");
  module.def(
      "wavenet_sample",
      [](const SampleLaunchPlan& plan, std::uintptr_t packed, std::uintptr_t condition,
         std::uintptr_t history, std::uintptr_t last, std::uintptr_t time, std::uintptr_t streams,
         std::uintptr_t dilations, std::uintptr_t history_starts, std::uintptr_t samples,
         std::uintptr_t scratch, int batch, int frames, int history_frames, int distribution,
         float temperature, std::uint64_t seed, std::uintptr_t stream) {
        const SampleArguments arguments{at<const void>(packed),
                                        at<const float>(condition),
                                        at<float>(history),
                                        at<float>(last),
                                        at<std::int64_t>(time),
                                        at<const std::int64_t>(streams),
                                        at<const int>(dilations),
                                        at<const int>(history_starts),
                                        at<void>(samples),
                                        at<void>(scratch),
                                        batch,
                                        frames,
                                        history_frames,
                                        distribution,
                                        temperature,
                                        seed};
        wavenet_sample(plan, arguments, at<void>(stream));
      },
      py::arg("plan"), py::arg("packed"), py::arg("condition"), py::arg("history"), py::arg("last"),
      py::arg("time"), py::arg("streams"), py::arg("dilations"), py::arg("history_starts"),
      py::arg("samples"), py::arg("scratch"), py::arg("batch"), py::arg("frames"),
      py::arg("history_frames"), py::arg("distribution"), py::arg("temperature"), py::arg("seed"),
      py::arg("stream"), py::call_guard<py::gil_scoped_release>(),
      "Samples by dense tensors given by address; see SampleArguments.");
}
