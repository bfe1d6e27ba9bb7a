// What the programs have in common that compare us with others: they fail by an exception, whose
// text is the last line that they print.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdio>
#include <fstream>
#include <span>
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

inline void WriteFile(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error(path + ": cannot write it");
}

// As they lie in memory.
template <class T>
void WriteFile(const std::string& path, const std::vector<T>& values) {
  WriteFile(path, std::as_bytes(std::span(values)));
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
