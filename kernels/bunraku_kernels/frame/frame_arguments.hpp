// The tuples of memory.py as the structs of frame_memory.hpp, for the bindings of both modules.
#pragma once

#include "bindings.hpp"
#include "frame/frame_memory.hpp"

namespace bunraku_kernels {

inline Pixels pixels(const pybind11::tuple& t) {
  return {at<std::uint8_t>(t[0].cast<std::uintptr_t>()), t[1].cast<std::int64_t>(),
          t[2].cast<std::int64_t>(), t[3].cast<int>(), t[4].cast<int>()};
}

inline Planes planes(const pybind11::object& object) {
  if (object.is_none())
    return {};
  const auto t = object.cast<pybind11::tuple>();
  return {at<void>(t[0].cast<std::uintptr_t>()),
          t[1].cast<bool>(),
          t[2].cast<bool>(),
          t[3].cast<int>(),
          t[4].cast<int>(),
          t[5].cast<int>()};
}

inline Affine affine(const pybind11::tuple& scale, const pybind11::tuple& shift) {
  Affine made{};
  for (std::size_t c = 0; c < 3; ++c) {
    made.scale[c] = scale[c].cast<float>();
    made.shift[c] = shift[c].cast<float>();
  }
  return made;
}

} // namespace bunraku_kernels
