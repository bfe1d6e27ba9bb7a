// Ollama's keep_alive: how long a model stays loaded after a request. A pure function.
#pragma once

#include <chrono>
#include <optional>

#include "server/json/json_text.h"

namespace lockstep {

// A number of seconds, or Go's "1h30m"; negative: for good. Nothing where it is neither, which the
// reader of the whole request refuses.
std::optional<std::chrono::milliseconds> ParseKeepAlive(const Json& value);

}  // namespace lockstep
