// The parts of bunraku._native; each has a file of its own.
#pragma once

#include <pybind11/pybind11.h>

#include "bunraku/bunraku.h"

namespace bunraku {

void bind_model(pybind11::module_& module); // model_bindings.cpp
void bind_live(pybind11::module_& module);  // live_bindings.cpp
void bind_bench(pybind11::module_& module); // bench_bindings.cpp

// Raises the class of bunraku.errors that fits `status`; BK_OK passes.
void raise_unless_ok(bk_status status, const char* message = nullptr);

} // namespace bunraku
