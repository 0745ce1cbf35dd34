// Running something under each order of threads that the CUDA emulator knows.
#pragma once

#include <cstdlib>
#include <exception>
#include <string>

namespace emulator_orders {

constexpr const char* all[] = {"forward",  "reverse",  "random:1", "random:2",
                               "random:3", "random:4", "random:5", "random:6"};

inline void choose(const char* order) {
  setenv("BUNRAKU_EMULATOR_ORDER", order, 1);
}

template <class Test> void in_each(const Test& test) {
  for (const char* order : all) {
    choose(order);
    test(order);
  }
  choose("forward");
}

/// In how many of the orders `right()` is false.
template <class Right> int wrong_in(const Right& right) {
  int wrong = 0;
  in_each([&](const char*) { wrong += !right(); });
  return wrong;
}

/// What `launch` throws, or "".
template <class Launch> std::string fault_of(const Launch& launch) {
  try {
    launch();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

} // namespace emulator_orders
