// How an operator's folder adds itself to the modules _native and _cuda: one file with one
// BUNRAKU_BINDINGS block, found by name by the build. Adding an operator touches nothing here.
#pragma once

#include <cstdint>
#include <vector>

#include <pybind11/pybind11.h>

namespace bunraku_kernels {

using Bind = void (*)(pybind11::module_&);

inline std::vector<Bind>& bindings() {
  static std::vector<Bind> list;
  return list;
}

struct AddBindings {
  explicit AddBindings(Bind bind) { bindings().push_back(bind); }
};

// The memory of a tensor whose address Python passes as a number (Tensor.data_ptr()).
template <typename T> T* at(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

} // namespace bunraku_kernels

#define BUNRAKU_BINDINGS(module)                                                                   \
  static void bind_operator(pybind11::module_& module);                                            \
  static const bunraku_kernels::AddBindings add_operator(&bind_operator);                          \
  static void bind_operator(pybind11::module_& module)
