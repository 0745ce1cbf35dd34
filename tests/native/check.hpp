// The smallest test kit: a failed check says where, and the program ends with 1.
#pragma once

#include <cstdio>

namespace check_kit {
inline int failures = 0;
inline int report() {
  if (failures != 0)
    std::fprintf(stderr, "%d checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
} // namespace check_kit

#define CHECK(condition, ...)                                                                      \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      ++check_kit::failures;                                                                       \
      std::fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                         \
      std::fprintf(stderr, __VA_ARGS__);                                                           \
      std::fputc('\n', stderr);                                                                    \
    }                                                                                              \
  } while (false)
