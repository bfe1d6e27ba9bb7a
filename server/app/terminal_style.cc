// What a terminal can show is asked of the environment each time: that is seldom, and costs nothing
// beside writing.
#include "server/app/terminal_style.h"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace lockstep {
namespace {

std::string_view Environment(const char* name) {
  const char* const value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): see the header
  return value == nullptr ? std::string_view() : value;
}

}  // namespace

bool TakesSequences(int descriptor) {
  const std::string_view kind = Environment("TERM");
  return isatty(descriptor) == 1 && !kind.empty() && kind != "dumb";
}

bool TakesStyles(int descriptor) {
  return TakesSequences(descriptor) && Environment("NO_COLOR").empty();
}

}  // namespace lockstep
