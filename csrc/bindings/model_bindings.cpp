// Model and Stream, through the public C ABI, so that every Python test exercises it.
#include <memory>
#include <string>
#include <vector>

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "core/crc32.hpp"

namespace py = pybind11;

namespace bunraku {
namespace {

const char* error_class(bk_status status) {
  switch (status) {
  case BK_ERROR_INVALID_ARGUMENT:
  case BK_ERROR_IO:
    return "UserInputError";
  case BK_ERROR_FORMAT:
  case BK_ERROR_UNSUPPORTED:
    return "ModelFormatError";
  default:
    return "NativeCoreError";
  }
}

using Samples = py::array_t<float, py::array::c_style | py::array::forcecast>;

struct ReleaseModel {
  void operator()(bk_model* model) const { bk_model_release(model); }
};

struct CloseStream {
  void operator()(bk_stream* stream) const { bk_stream_close(stream); }
};

class PyModel {
public:
  PyModel(const void* data, std::size_t size_bytes, const std::string& isa, bool force_general) {
    const bk_load_config config = load_config(isa, force_general);
    bk_model* model = nullptr;
    raise_unless_ok(bk_model_load_memory(data, size_bytes, &config, &model));
    m_model.reset(model);
  }

  PyModel(const std::string& path, const std::string& isa, bool force_general) {
    const bk_load_config config = load_config(isa, force_general);
    bk_model* model = nullptr;
    raise_unless_ok(bk_model_load_file(path.c_str(), &config, &model));
    m_model.reset(model);
  }

  bk_model* handle() const { return m_model.get(); }

  bk_model_info info() const {
    bk_model_info info{};
    info.struct_size = sizeof info;
    raise_unless_ok(bk_model_get_info(handle(), &info));
    return info;
  }

  py::list params() const {
    py::list list;
    for (std::uint32_t i = 0; i < info().param_count; ++i) {
      bk_param_info param{};
      param.struct_size = sizeof param;
      raise_unless_ok(bk_model_get_param_info(handle(), i, &param));
      list.append(py::dict(py::arg("name") = param.name, py::arg("unit") = param.unit,
                           py::arg("minimum") = param.minimum, py::arg("maximum") = param.maximum,
                           py::arg("initial") = param.initial));
    }
    return list;
  }

private:
  static bk_load_config load_config(const std::string& isa, bool force_general) {
    bk_load_config config{};
    config.struct_size = sizeof config;
    config.force_general = force_general ? 1 : 0;
    config.isa = isa.empty() ? nullptr : isa.c_str();
    return config;
  }

  std::unique_ptr<bk_model, ReleaseModel> m_model;
};

class PyStream {
public:
  PyStream(const PyModel& model, std::uint32_t channels, double sample_rate_hz,
           std::uint32_t max_block_frames, std::uint32_t crossfade_frames, float size)
      : m_channels(channels), m_max_block_frames(max_block_frames) {
    bk_stream_config config{};
    config.struct_size = sizeof config;
    config.channels = channels;
    config.sample_rate_hz = sample_rate_hz;
    config.max_block_frames = max_block_frames;
    config.crossfade_frames = crossfade_frames;
    config.size = size;
    bk_stream* stream = nullptr;
    bk_status status;
    {
      py::gil_scoped_release released;
      status = bk_stream_open(model.handle(), &config, &stream);
    }
    raise_unless_ok(status);
    m_stream.reset(stream);
  }

  // Any number of frames: longer signals are cut into blocks of max_block_frames.
  py::array_t<float> process(const Samples& in) {
    if (in.ndim() != 2 || in.shape(0) != static_cast<py::ssize_t>(m_channels))
      raise_unless_ok(
          BK_ERROR_INVALID_ARGUMENT,
          ("process() takes an array of shape [" + std::to_string(m_channels) +
           ", frames] for this stream; reshape it or open the stream with other channels")
              .c_str());
    const auto frames = static_cast<std::size_t>(in.shape(1));
    py::array_t<float> out({static_cast<py::ssize_t>(m_channels), in.shape(1)});
    const float* source = in.data();
    float* sink = out.mutable_data();
    bk_status status = BK_OK;
    {
      py::gil_scoped_release released;
      status = process_blocks(source, sink, frames);
    }
    raise_unless_ok(status, "the stream refused a block: please report this");
    return out;
  }

  void set_param(std::uint32_t index, float value) {
    raise_unless_ok(bk_stream_set_param(handle(), index, value),
                    ("parameter " + std::to_string(index) + " does not exist or " +
                     std::to_string(value) + " is outside its range; Model.params lists them")
                        .c_str());
  }

  float get_param(std::uint32_t index) const {
    float value = 0.0f;
    raise_unless_ok(
        bk_stream_get_param(handle(), index, &value),
        ("parameter " + std::to_string(index) + " does not exist; Model.params lists them")
            .c_str());
    return value;
  }

  void swap(const PyModel& model) {
    bk_status status;
    {
      py::gil_scoped_release released;
      status = bk_stream_swap(handle(), model.handle());
    }
    raise_unless_ok(status);
  }

  bool swap_pending() { return bk_stream_swap_pending(handle()) != 0; }
  void reset() { raise_unless_ok(bk_stream_reset(handle())); }
  std::uint32_t latency_frames() const { return bk_stream_latency_frames(handle()); }
  std::uintptr_t address() const { return reinterpret_cast<std::uintptr_t>(handle()); }
  std::uint32_t channels() const { return m_channels; }
  std::uint32_t max_block_frames() const { return m_max_block_frames; }

private:
  bk_stream* handle() const { return m_stream.get(); }

  bk_status process_blocks(const float* source, float* sink, std::size_t frames) {
    const float* in[BK_MAX_CHANNELS];
    float* out[BK_MAX_CHANNELS];
    for (std::size_t done = 0; done < frames;) {
      const std::size_t block = std::min<std::size_t>(frames - done, m_max_block_frames);
      for (std::uint32_t channel = 0; channel < m_channels; ++channel) {
        in[channel] = source + channel * frames + done;
        out[channel] = sink + channel * frames + done;
      }
      const bk_status status =
          bk_stream_process(handle(), in, out, static_cast<std::uint32_t>(block));
      if (status != BK_OK)
        return status;
      done += block;
    }
    return BK_OK;
  }

  std::uint32_t m_channels;
  std::uint32_t m_max_block_frames;
  std::unique_ptr<bk_stream, CloseStream> m_stream;
};

} // namespace

void raise_unless_ok(bk_status status, const char* message) {
  if (status == BK_OK)
    return;
  std::string text = message != nullptr ? message : bk_last_error();
  if (text.empty())
    text = bk_status_string(status);
  const py::object kind = py::module_::import("bunraku.errors").attr(error_class(status));
  PyErr_SetString(kind.ptr(), text.c_str());
  throw py::error_already_set();
}

void bind_model(py::module_& module) {
  module.def("abi_version", &bk_abi_version, "The version of the C ABI this library implements.");
  module.def("version", &bk_version_string, "The release of the core.");
  module.def("isa_list", &bk_isa_list,
             "Instruction sets usable here, best first, comma-separated.");
  module.def(
      "crc32",
      [](const py::bytes& data) {
        const std::string_view view = data;
        return crc32(view.data(), view.size());
      },
      py::arg("data"), "CRC-32 of the flat model file (zlib's).");

  py::class_<PyModel>(module, "Model", "An immutable model; shared by any number of streams.")
      .def(py::init([](const py::bytes& data, const std::string& isa, bool force_general) {
             const std::string_view view = data;
             return std::make_unique<PyModel>(view.data(), view.size(), isa, force_general);
           }),
           py::arg("data"), py::kw_only(), py::arg("isa") = "", py::arg("force_general") = false,
           "Load the bytes of a flat model file.")
      .def_static(
          "from_file",
          [](const std::string& path, const std::string& isa, bool force_general) {
            return std::make_unique<PyModel>(path, isa, force_general);
          },
          py::arg("path"), py::kw_only(), py::arg("isa") = "", py::arg("force_general") = false,
          "Load a flat model file.")
      .def_property_readonly("name",
                             [](const PyModel& model) { return std::string(model.info().name); })
      .def_property_readonly("isa",
                             [](const PyModel& model) { return std::string(model.info().isa); })
      .def_property_readonly("sample_rate_hz",
                             [](const PyModel& model) { return model.info().sample_rate_hz; })
      .def_property_readonly(
          "receptive_field_frames",
          [](const PyModel& model) { return model.info().receptive_field_frames; })
      .def_property_readonly("fast_path",
                             [](const PyModel& model) { return model.info().fast_path == 1; })
      .def_property_readonly("flop_per_frame",
                             [](const PyModel& model) { return model.info().flop_per_frame; })
      .def_property_readonly("params", &PyModel::params,
                             "One dict for each parameter: name, unit, minimum, maximum, initial.")
      .def_property_readonly("info", [](const PyModel& model) {
        const bk_model_info info = model.info();
        return py::dict(py::arg("name") = info.name, py::arg("isa") = info.isa,
                        py::arg("sample_rate_hz") = info.sample_rate_hz,
                        py::arg("receptive_field_frames") = info.receptive_field_frames,
                        py::arg("fast_path") = info.fast_path == 1,
                        py::arg("flop_per_frame") = info.flop_per_frame,
                        py::arg("params") = model.params());
      });

  py::class_<PyStream>(module, "Stream", "The state of one performance.")
      .def(py::init<const PyModel&, std::uint32_t, double, std::uint32_t, std::uint32_t, float>(),
           py::arg("model"), py::kw_only(), py::arg("channels") = 1,
           py::arg("sample_rate_hz") = 0.0, py::arg("max_block_frames") = 512,
           py::arg("crossfade_frames") = 0, py::arg("size") = 1.0f)
      .def("process", &PyStream::process, py::arg("block"),
           "float32 [channels, frames] to float32 [channels, frames].")
      .def("set_param", &PyStream::set_param, py::arg("index"), py::arg("value"))
      .def("get_param", &PyStream::get_param, py::arg("index"))
      .def("swap", &PyStream::swap, py::arg("model"),
           "Crossfade to another model; raises NativeCoreError while the last swap is in progress.")
      .def("swap_pending", &PyStream::swap_pending)
      .def("reset", &PyStream::reset)
      .def_property_readonly("latency_frames", &PyStream::latency_frames)
      .def_property_readonly("channels", &PyStream::channels)
      .def_property_readonly("max_block_frames", &PyStream::max_block_frames)
      .def_property_readonly("address", &PyStream::address,
                             "The bk_stream* as a number, for the live engine.");
}

} // namespace bunraku
