// How core/jinja gives up: thrown wherever it stands, caught in ChatTemplate::Parse and Render,
// which make an Error of it. Nothing else in core/jinja throws, and nothing outside sees it.
#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>

#include "core/base/status.h"

namespace lockstep::jinja {

struct Failure {
  std::string message;
  int line = 0;                       // where the template fails; 0: not known where it was thrown
  bool by_template = false;           // the template called raise_exception: the message is its own
  std::optional<Error> refusal = {};  // of memory: the message is not used
};

// The line is left at 0: most code does not know it, and Render asks the run for it.
template <class... Arguments>
[[noreturn]] void Throw(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
  throw Failure{fmt::format(format, std::forward<Arguments>(arguments)...)};
}

}  // namespace lockstep::jinja
