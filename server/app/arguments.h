// The arguments as the command line's library reads them in one way only. It takes what follows
// for the value of a flag that has an empty one, --api-key="" --strict, and the next flag for that
// of one that has none; and it has no -c=64. For one thread, as command_line.h.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace lockstep {

// Without the program's name, in order. REQUIRES: all flags and commands were declared. Throws
// CLI::Error, which names a flag whose value is missing.
std::vector<std::string> ReadArguments(const CLI::App& app, int argc, const char* const* argv);

}  // namespace lockstep
