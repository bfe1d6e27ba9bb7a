// How a fuzz target says that what must hold does not.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace lockstep {

// The target's file comes first, by which tests/fuzz/run finds the line.
inline void Check(bool holds, const char* what, const char* where = __builtin_FILE()) {
  if (holds) return;
  std::fprintf(stderr, "%s: %s\n", where, what);
  std::abort();
}

}  // namespace lockstep
