// The `struct_size` rule of bunraku.h: programs built against an older or newer header still work.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "core/stage.hpp"

namespace bunraku {

constexpr std::uint32_t kMaxStructSize = 4096;

// No struct's size is anything but a multiple of its alignment, so no field is ever read in part:
// half a pointer would be a wild one.
template <class Struct> bool plausible_struct_size(std::uint32_t size) noexcept {
  return size >= 2 * sizeof size && size <= kMaxStructSize && size % alignof(Struct) == 0;
}

// What the caller gave over the defaults. Throws Error(BK_ERROR_INVALID_ARGUMENT).
template <class Struct> Struct read_struct(const Struct* given, Struct defaults, const char* name) {
  std::uint32_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (!plausible_struct_size<Struct>(size))
    throw Error(BK_ERROR_INVALID_ARGUMENT, std::string(name) + ".struct_size is " +
                                               std::to_string(size) + "; set it to sizeof(" + name +
                                               ")");
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  if (size > sizeof(Struct) && std::any_of(bytes + sizeof(Struct), bytes + size,
                                           [](unsigned char byte) { return byte != 0; }))
    throw Error(BK_ERROR_UNSUPPORTED, std::string(name) +
                                          " asks for something this release does not know; "
                                          "update bunraku");
  std::memcpy(static_cast<void*>(&defaults), given, std::min<std::size_t>(size, sizeof(Struct)));
  return defaults;
}

// Fill in as much as the caller's struct holds; struct_size stays the caller's.
template <class Struct> bk_status write_struct(Struct* target, Struct values) noexcept {
  std::uint32_t size = 0;
  std::memcpy(&size, target, sizeof size);
  if (!plausible_struct_size<Struct>(size))
    return BK_ERROR_INVALID_ARGUMENT;
  values.struct_size = size;
  std::memcpy(static_cast<void*>(target), &values, std::min<std::size_t>(size, sizeof(Struct)));
  return BK_OK;
}

} // namespace bunraku
