// The command line and the LOCKSTEP_* environment, checked. For one thread.
#pragma once

#include <optional>
#include <string>

#include "server/app/options.h"

namespace lockstep {

// Either options, or what to print and the exit code: 0 for --help and --version, 2 with a sentence
// that names the flag for anything wrong.
struct ParsedOptions {
  std::optional<Options> options;
  int exit_code = 0;
  std::string output;
};

ParsedOptions ParseOptions(int argc, const char* const* argv);

}  // namespace lockstep
