// The one door for small files that a person names: keys, tokens, presets, what goes into a chat.
// Stateless.
#pragma once

#include <cstddef>
#include <string>

#include "core/base/status.h"

namespace lockstep {

constexpr size_t kMaxSmallFile = 16 * 1024 * 1024;  // bytes; a person writes no larger one

// All bytes of a regular file, or of a pipe that somebody writes into, as a shell's <(command) is;
// without the byte order mark that some editors begin UTF-8 with.
// kNotFound if it cannot be opened, else kBadFile: it is a directory or a device, which may have no
// end, it has more than max_bytes, or its bytes cannot be had. The message begins with the path in
// quotes; the caller puts the flag or variable before it.
[[nodiscard]] Result<std::string> ReadSmallFile(const std::string& path,
                                                size_t max_bytes = kMaxSmallFile);

}  // namespace lockstep
