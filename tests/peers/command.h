// What the programs have in common that compare us with others: they fail by an exception, whose
// text is the last line that they print.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

template <class T>
T Need(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

// What main returns: `run` is given all arguments, the program's name before the others.
inline int RunCommand(const char* name, int argc, char** argv,
                      void (*run)(const std::vector<std::string>& arguments)) {
  try {
    run({argv, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", name, error.what());
    return 1;
  }
}

}  // namespace lockstep
