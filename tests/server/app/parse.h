// A command line and an environment, parsed: what the tests of flags have in common.
#pragma once

#include <cstdlib>
#include <vector>

#include "server/app/parse_options.h"

namespace lockstep {

inline ParsedOptions Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "lockstep");
  return ParseOptions(static_cast<int>(arguments.size()), arguments.data());
}

// An environment variable for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }

 private:
  const char* name_;
};

}  // namespace lockstep
