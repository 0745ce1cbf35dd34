#include <pybind11/stl.h>

#include "bindings.hpp"
#include "wavenet_sample/wavenet_sample_launch.hpp"

namespace py = pybind11;
using namespace bunraku_kernels;

namespace {

SampleShape shape_of(int residual, int skip, int hidden, int outputs, int layers, int classes,
                     int lanes) {
  return {residual, skip, hidden, outputs, layers, classes, lanes};
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
      [](int residual, int skip, int hidden, int outputs, int layers, int classes, int lanes,
         int batch, int transport, int blocks, int pipelines, int group_streams, int capacity) {
        return plan_wavenet_sample(
            shape_of(residual, skip, hidden, outputs, layers, classes, lanes), batch,
            {static_cast<SampleTransport>(transport), blocks, pipelines, group_streams, capacity});
      },
      py::arg("residual"), py::arg("skip"), py::arg("hidden"), py::arg("outputs"),
      py::arg("layers"), py::arg("classes"), py::arg("lanes"), py::arg("batch"),
      py::arg("transport") = 0, py::arg("blocks") = 0, py::arg("pipelines") = 0,
      py::arg("group_streams") = 0, py::arg("capacity") = 0,
      "For the current device; zeros let the planner choose. See SampleWishes.");
  module.def(
      "wavenet_sample_bytes",
      [](int residual, int skip, int hidden, int outputs, int layers, int classes, int lanes) {
        return packed_layout(shape_of(residual, skip, hidden, outputs, layers, classes, lanes))
            .bytes;
      },
      py::arg("residual"), py::arg("skip"), py::arg("hidden"), py::arg("outputs"),
      py::arg("layers"), py::arg("classes"), py::arg("lanes"), "Size of the packed weights.");
  module.def(
      "pack_wavenet_sample",
      [](int residual, int skip, int hidden, int outputs, int layers, int classes, int lanes,
         const std::vector<std::uintptr_t>& tensors, std::uintptr_t packed) {
        if (tensors.size() != 13)
          throw py::value_error("13 tensor addresses are wanted, in the order of WaveNetWeights");
        const auto t = [&](std::size_t i) { return at<const float>(tensors[i]); };
        pack_wavenet_sample(
            shape_of(residual, skip, hidden, outputs, layers, classes, lanes),
            {t(0), t(1), t(2), t(3), t(4), t(5), t(6), t(7), t(8), t(9), t(10), t(11), t(12)},
            at<void>(packed));
      },
      py::arg("residual"), py::arg("skip"), py::arg("hidden"), py::arg("outputs"),
      py::arg("layers"), py::arg("classes"), py::arg("lanes"), py::arg("tensors"),
      py::arg("packed"), "Packs float32 tensors in host memory; see SampleWeights.");
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
