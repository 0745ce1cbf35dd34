#include <memory>
#include <mutex>
#include <utility>

#include <pybind11/stl.h>

#include "wavenet_sample/cpu/read_bandwidth.hpp"
#include "wavenet_sample/cpu/sampler.hpp"
#include "wavenet_sample/tensor_addresses.hpp"

namespace py = pybind11;

namespace bunraku_kernels {
namespace {

// A model and the workspaces of its calls. A call borrows one: the first call of a batch size makes
// it, and so does every further call that runs at the same time.
class Sampler {
public:
  Sampler(WaveNetShape shape, const WaveNetTensors& tensors, WeightType type,
          const std::string& isa)
      : m_model(std::move(shape), tensors, type, isa) {}

  const PackedWaveNet& model() const noexcept { return m_model; }

  void run(const SampleRequest& request) {
    std::unique_ptr<SampleWorkspace> workspace = borrow(request.batch);
    run_wavenet(m_model, *workspace, request);
    const std::lock_guard<std::mutex> lock(m_mutex);
    m_idle.push_back(std::move(workspace));
  }

  std::size_t idle_workspaces() {
    const std::lock_guard<std::mutex> lock(m_mutex);
    return m_idle.size();
  }

private:
  std::unique_ptr<SampleWorkspace> borrow(int batch) {
    const std::lock_guard<std::mutex> lock(m_mutex);
    for (std::unique_ptr<SampleWorkspace>& idle : m_idle)
      if (idle->batch() == batch) {
        std::swap(idle, m_idle.back());
        std::unique_ptr<SampleWorkspace> found = std::move(m_idle.back());
        m_idle.pop_back();
        return found;
      }
    m_idle.reserve(m_idle.size() + 1);
    return std::make_unique<SampleWorkspace>(m_model, batch);
  }

  PackedWaveNet m_model;
  std::mutex m_mutex;
  std::vector<std::unique_ptr<SampleWorkspace>> m_idle;
};

std::unique_ptr<Sampler> make_sampler(int output, int residual, int skip, int hidden, int outputs,
                                      std::vector<int> dilations,
                                      const std::vector<std::uintptr_t>& tensors, int weight_type,
                                      const std::string& isa) {
  return std::make_unique<Sampler>(WaveNetShape{static_cast<WaveNetOutput>(output), residual, skip,
                                                hidden, outputs, std::move(dilations)},
                                   tensors_at(tensors), static_cast<WeightType>(weight_type), isa);
}

} // namespace
} // namespace bunraku_kernels

BUNRAKU_BINDINGS(module) {
  using namespace bunraku_kernels;
  py::class_<Sampler>(module, "WaveNetSampler",
                      "Packed weights; shapes, types and ranges are checked by weights.py.")
      .def(py::init(&make_sampler), py::arg("output"), py::arg("residual"), py::arg("skip"),
           py::arg("hidden"), py::arg("outputs"), py::arg("dilations"), py::arg("tensors"),
           py::arg("weight_type"), py::arg("isa"))
      .def_property_readonly("isa", [](const Sampler& s) { return s.model().isa(); })
      .def_property_readonly("bytes_per_frame",
                             [](const Sampler& s) { return s.model().bytes_per_frame(); })
      .def_property_readonly("idle_workspaces", &Sampler::idle_workspaces)
      .def(
          "run",
          [](Sampler& sampler, std::uintptr_t condition, std::uintptr_t history,
             std::uintptr_t last, std::uintptr_t time, std::uintptr_t stream,
             std::uintptr_t samples, std::uintptr_t log_likelihood, int batch, std::int64_t frames,
             float temperature, std::uint64_t seed) {
            SampleRequest request{};
            request.condition = at<const float>(condition);
            request.history = at<float>(history);
            request.last = at<float>(last);
            request.time = at<std::int64_t>(time);
            request.stream = at<const std::int64_t>(stream);
            request.samples = at<void>(samples);
            request.log_likelihood = at<float>(log_likelihood);
            request.frames = frames;
            request.batch = batch;
            request.temperature = temperature;
            request.seed = seed;
            sampler.run(request);
          },
          py::arg("condition"), py::arg("history"), py::arg("last"), py::arg("time"),
          py::arg("stream"), py::arg("samples"), py::arg("log_likelihood"), py::arg("batch"),
          py::arg("frames"), py::arg("temperature"), py::arg("seed"),
          py::call_guard<py::gil_scoped_release>(),
          "Samples, or scores given samples where log_likelihood is not null. Addresses of dense "
          "tensors; see SampleRequest.");
  module.def("wavenet_sample_isas", &wavenet_sample_isas,
             "Instruction sets that WaveNetSampler can use here, best first.");
  module.def("read_bandwidth", &read_bandwidth, py::arg("bytes"), py::arg("isa"),
             py::call_guard<py::gil_scoped_release>(),
             "GB/s at which one core reads `bytes` again and again: the best of short runs.");
}
