// bunraku._native: what Python sees of the real-time core.
#include "bindings.hpp"

PYBIND11_MODULE(_native, module) {
  module.doc() = "bunraku's real-time core: models, streams and what carries them live.";
  bunraku::bind_model(module);
  bunraku::bind_live(module);
  bunraku::bind_bench(module);
}
