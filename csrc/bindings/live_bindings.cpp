// The live part of bunraku._native: the engine, the bridge for effects in Python, the paced device.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "core/live_engine.hpp"
#include "core/paced_device.hpp"
#include "core/ring_bridge.hpp"
#include "core/stage.hpp"

namespace py = pybind11;

namespace bunraku {
namespace {

using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;

py::dict as_dict(const DurationSummary& summary) {
  py::dict result;
  result["count"] = summary.count;
  result["p50_ns"] = summary.p50_ns;
  result["p99_ns"] = summary.p99_ns;
  result["p999_ns"] = summary.p999_ns;
  result["max_ns"] = summary.max_ns;
  return result;
}

py::dict engine_stats(const LiveEngine& engine) {
  const LiveStats stats = engine.stats();
  py::dict result;
  result["callbacks"] = stats.callbacks;
  result["frames"] = stats.frames;
  result["missed_deadlines"] = stats.missed_deadlines;
  result["input_underflows"] = stats.input_underflows;
  result["input_overflows"] = stats.input_overflows;
  result["output_underflows"] = stats.output_underflows;
  result["output_overflows"] = stats.output_overflows;
  result["capture_dropped_frames"] = stats.capture_dropped_frames;
  result["clipped_samples"] = stats.clipped_samples;
  result["non_finite_samples"] = stats.non_finite_samples;
  result["compute"] = as_dict(stats.compute);
  result["device_round_trip"] = as_dict(stats.device_round_trip);
  return result;
}

py::dict bridge_stats(const RingBridge& bridge) {
  const BridgeStats stats = bridge.stats();
  py::dict result;
  result["blocks"] = stats.blocks;
  result["missed"] = stats.missed;
  result["late"] = stats.late;
  result["not_sent"] = stats.not_sent;
  result["skipped"] = stats.skipped;
  return result;
}

py::dict paced_stats(const PacedDevice& device) {
  const PacedStats stats = device.stats();
  py::dict result;
  result["blocks"] = stats.blocks;
  result["underflows"] = stats.underflows;
  result["lateness"] = as_dict(stats.lateness);
  result["added"] = as_dict(stats.added);
  result["realtime_priority"] = stats.realtime_priority;
  return result;
}

void run_stream(void* stream, const float* const* in, float* const* out,
                std::uint32_t frames) noexcept {
  bk_stream_process(static_cast<bk_stream*>(stream), in, out, frames);
}

// `stream` is a _native.Stream; its address is all the engine needs, and keep_alive holds it.
std::unique_ptr<LiveEngine> make_engine(const py::object& stream, double sample_rate_hz,
                                        int input_channels, int output_channels, RingBridge* bridge,
                                        const std::optional<FloatArray>& source, bool loop_source,
                                        std::uint64_t stop_after_frames, double fade_seconds,
                                        double capture_seconds, double most_delay_seconds) {
  LiveConfig config;
  config.channels = stream.attr("channels").cast<int>();
  config.input_channels = input_channels;
  config.output_channels = output_channels;
  config.max_block_frames = stream.attr("max_block_frames").cast<int>();
  config.sample_rate_hz = sample_rate_hz;
  config.fade_seconds = fade_seconds;
  config.capture_seconds = capture_seconds;
  config.most_delay_seconds = most_delay_seconds;
  config.loop_source = loop_source;
  config.stop_after_frames = stop_after_frames;
  if (source) {
    if (source->ndim() != 2 || source->shape(1) != config.channels || source->shape(0) == 0) {
      throw py::value_error(
          "source must be [frames, channels] with as many channels as the stream");
    }
    config.source.assign(source->data(), source->data() + source->size());
  }
  void* handle = reinterpret_cast<void*>(stream.attr("address").cast<std::uintptr_t>());
  return std::make_unique<LiveEngine>(std::move(config), BlockProcess{handle, &run_stream}, bridge);
}

// One callback from Python, for tests: [frames, input channels] to [frames, output channels].
std::pair<FloatArray, int> call_once(LiveEngine& engine, const FloatArray& in,
                                     unsigned long flags) {
  const LiveConfig& config = engine.config();
  if (in.ndim() != 2 || in.shape(1) != config.input_channels) {
    throw py::value_error("input must be [frames, input_channels]");
  }
  const auto frames = static_cast<unsigned long>(in.shape(0));
  FloatArray out({in.shape(0), static_cast<py::ssize_t>(config.output_channels)});
  const float* from = config.input_channels > 0 ? in.data() : nullptr;
  const int result = bk_live_callback(from, out.mutable_data(), frames, nullptr, flags, &engine);
  return {std::move(out), result};
}

std::pair<std::uint64_t, FloatArray> read_capture(LiveEngine& engine, std::size_t most_frames) {
  const auto wide = static_cast<py::ssize_t>(2 * engine.config().channels);
  FloatArray all({static_cast<py::ssize_t>(most_frames), wide});
  std::uint64_t first_frame = 0;
  const std::size_t frames = engine.read_capture(all.mutable_data(), most_frames, &first_frame);
  return {first_frame, FloatArray(all[py::slice(0, static_cast<py::ssize_t>(frames), 1)])};
}

std::pair<float, float> as_pair(const Meter& meter) {
  return {meter.peak, meter.rms};
}

// Waits without the GIL; the audio thread cannot wake anyone, so the worker looks now and then.
std::optional<std::pair<std::uint64_t, FloatArray>> take_block(RingBridge& bridge,
                                                               double timeout_s) {
  const auto channels = static_cast<py::ssize_t>(bridge.channels());
  const auto frames = static_cast<py::ssize_t>(bridge.block_frames());
  FloatArray block({channels, frames});
  float* data = block.mutable_data();
  std::uint64_t sequence = 0;
  bool taken = false;
  {
    const py::gil_scoped_release without_gil;
    const double period_s = static_cast<double>(frames) / bridge.sample_rate_hz();
    const std::chrono::duration<double> pause(std::min(period_s / 16.0, 0.0005));
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
    while (!(taken = bridge.take(&sequence, data)) && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(pause);
    }
  }
  if (!taken) {
    return std::nullopt;
  }
  return std::pair{sequence, std::move(block)};
}

bool put_block(RingBridge& bridge, std::uint64_t sequence, const FloatArray& block) {
  if (block.ndim() != 2 || block.shape(0) != bridge.channels() ||
      block.shape(1) != bridge.block_frames()) {
    throw py::value_error("block must be [" + std::to_string(bridge.channels()) + ", " +
                          std::to_string(bridge.block_frames()) + "]");
  }
  return bridge.put(sequence, block.data());
}

// Audio thread's half, for tests: [channels, frames] in, what would be played out.
FloatArray exchange_block(RingBridge& bridge, const FloatArray& block) {
  if (block.ndim() != 2 || block.shape(0) != bridge.channels()) {
    throw py::value_error("block must be [channels, frames]");
  }
  FloatArray out({block.shape(0), block.shape(1)});
  std::memcpy(out.mutable_data(), block.data(), static_cast<std::size_t>(block.nbytes()));
  float* planes[BK_MAX_CHANNELS] = {};
  for (py::ssize_t c = 0; c < block.shape(0); ++c) {
    planes[c] = out.mutable_data(c, 0);
  }
  bridge.exchange(planes, static_cast<int>(block.shape(1)));
  return out;
}

void bind_bridge(py::module_& m) {
  py::class_<RingBridge>(m, "RingBridge",
                         "Carries blocks to a worker thread and back, `depth_blocks` late.")
      .def(py::init<int, int, double, int>(), py::arg("channels"), py::arg("block_frames"),
           py::arg("sample_rate_hz"), py::arg("depth_blocks") = 1)
      .def_readonly_static("MOST_DEPTH_BLOCKS", &RingBridge::kMostDepthBlocks)
      .def_property_readonly("channels", &RingBridge::channels)
      .def_property_readonly("block_frames", &RingBridge::block_frames)
      .def_property_readonly("depth_blocks", &RingBridge::depth_blocks)
      .def_property_readonly("latency_frames", &RingBridge::latency_frames)
      .def_property_readonly("sample_rate_hz", &RingBridge::sample_rate_hz)
      .def("take", &take_block, py::arg("timeout_s"),
           "Worker thread: (sequence, block [channels, frames]), or None after the timeout.")
      .def("put", &put_block, py::arg("sequence"), py::arg("block"),
           "Worker thread: the result; False when the audio thread no longer reads.")
      .def("exchange", &exchange_block, py::arg("block"), "The audio thread's half, for tests.")
      .def("stats", &bridge_stats);
}

void bind_engine(py::module_& m) {
  py::class_<LiveEngine>(m, "LiveEngine", "One performance, run by a device's callback.")
      .def(py::init(&make_engine), py::arg("stream"), py::kw_only(), py::arg("sample_rate_hz"),
           py::arg("input_channels"), py::arg("output_channels"), py::arg("bridge") = nullptr,
           py::arg("source") = py::none(), py::arg("loop_source") = false,
           py::arg("stop_after_frames") = 0, py::arg("fade_seconds") = 0.010,
           py::arg("capture_seconds") = 0.0, py::arg("most_delay_seconds") = 0.0,
           py::keep_alive<1, 2>(), py::keep_alive<1, 6>())
      .def_property_readonly(
          "callback_address",
          [](const LiveEngine&) { return reinterpret_cast<std::uintptr_t>(&bk_live_callback); })
      .def_property_readonly(
          "user_address",
          [](LiveEngine& engine) { return reinterpret_cast<std::uintptr_t>(&engine); })
      .def_property_readonly("finished", &LiveEngine::finished)
      .def_property_readonly("channels", [](const LiveEngine& e) { return e.config().channels; })
      .def("request_stop", &LiveEngine::request_stop)
      .def("rearm", &LiveEngine::rearm)
      .def("set_output_delay", &LiveEngine::set_output_delay, py::arg("frames"))
      .def("set_muted", &LiveEngine::set_muted, py::arg("muted"))
      .def_property_readonly("output_delay_frames", &LiveEngine::output_delay_frames)
      .def(
          "clock_point",
          [](const LiveEngine& engine) {
            const ClockPoint point = engine.clock_point();
            return std::pair{point.frame, point.time_ns};
          },
          "(first frame of the latest callback, monotonic nanoseconds when it began; 0: none yet)")
      .def("call", &call_once, py::arg("input"), py::arg("flags") = 0,
           "Run the callback once from this thread, for tests: (output, 0 continue or 1 complete).")
      .def("read_capture", &read_capture, py::arg("most_frames"),
           "(number of the first frame, [frames, 2 x channels]: input beside output), played one"
           " after the other; ends before frames that did not fit. Nothing new: (0, no frames).")
      .def(
          "read_input_meter", [](LiveEngine& e) { return as_pair(e.read_input_meter()); },
          "(peak since the last reading, root mean square over about 0.3 s)")
      .def("read_output_meter", [](LiveEngine& e) { return as_pair(e.read_output_meter()); })
      .def("stats", &engine_stats);
}

} // namespace

void bind_live(py::module_& m) {
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) {
        std::rethrow_exception(pointer);
      }
    } catch (const Error& error) {
      try {
        raise_unless_ok(error.status(), error.what());
      } catch (py::error_already_set& python_error) {
        python_error.restore();
      }
    }
  });
  py::class_<DurationHistogram>(m, "DurationHistogram",
                                "Quantiles of durations, at most 1.6 % too high. One thread adds.")
      .def(py::init<>())
      .def("add", &DurationHistogram::add, py::arg("duration_ns"))
      .def("summary",
           [](const DurationHistogram& histogram) { return as_dict(histogram.summary()); });
  bind_bridge(m);
  bind_engine(m);
  py::class_<PacedDevice>(m, "PacedDevice", "Calls an engine at the pace a sound card would.")
      .def(py::init([](LiveEngine& engine, int block_frames, bool paced) {
             return std::make_unique<PacedDevice>(engine, PacedDevice::Config{block_frames, paced});
           }),
           py::arg("engine"), py::arg("block_frames"), py::arg("paced") = true,
           py::keep_alive<1, 2>())
      .def("start", &PacedDevice::start)
      .def("stop", &PacedDevice::stop, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("running", &PacedDevice::running)
      .def("stats", &paced_stats);
}

} // namespace bunraku
