// What `bunraku bench` needs: the clock around each block, the machine's peak, the activations.
#include <chrono>
#include <string>

#include <pybind11/numpy.h>

#include "bindings.hpp"
#include "core/fma_peak.hpp"
#include "core/isa.hpp"
#include "core/wavenet_fast.hpp"

namespace py = pybind11;

namespace bunraku {
namespace {

using Samples = py::array_t<float, py::array::c_style | py::array::forcecast>;

// Runs `signal` through the stream in whole blocks, as a callback would; nanoseconds of each call.
py::array_t<std::int64_t> time_blocks(std::uintptr_t stream_address, const Samples& signal,
                                      std::uint32_t block_frames) {
  using Clock = std::chrono::steady_clock;
  auto* stream = reinterpret_cast<bk_stream*>(stream_address);
  const py::ssize_t blocks = block_frames > 0 ? signal.size() / block_frames : 0;
  py::array_t<std::int64_t> nanoseconds(blocks);
  py::array_t<float> output(static_cast<py::ssize_t>(block_frames));
  std::int64_t* spent = nanoseconds.mutable_data();
  const float* in = signal.data();
  float* out = output.mutable_data();
  bk_status status = BK_OK;
  {
    py::gil_scoped_release released;
    for (py::ssize_t b = 0; b < blocks && status == BK_OK; ++b, in += block_frames) {
      const Clock::time_point start = Clock::now();
      status = bk_stream_process(stream, &in, &out, block_frames);
      spent[b] = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
    }
  }
  raise_unless_ok(status, "the stream refused a block: open it with this block size");
  return nanoseconds;
}

py::array_t<float> activate(const std::string& isa, int code, const Samples& parameters,
                            const Samples& values) {
  const WaveNetKernels* kernels = wavenet_kernels(choose_isa(isa.c_str()));
  py::array_t<float> out(values.size());
  kernels->activate(static_cast<ActivationCode>(code), parameters.data(), values.data(),
                    out.mutable_data(), static_cast<int>(values.size()));
  return out;
}

} // namespace

void bind_bench(py::module_& module) {
  module.def("time_blocks", &time_blocks, py::arg("stream_address"), py::arg("signal"),
             py::arg("block_frames"),
             "Nanoseconds of each bk_stream_process call over a mono signal, int64 [blocks].");
  module.def(
      "fma_peak_gflops",
      [](const std::string& isa) { return fma_peak_gflops(choose_isa(isa.c_str())); },
      py::arg("isa"), "GFLOP/s of one short run of fused multiply-adds on registers.");
  module.def("fast_activation", &activate, py::arg("isa"), py::arg("code"), py::arg("parameters"),
             py::arg("values"), "An activation as the fast kernels compute it, for tests.");
}

} // namespace bunraku
