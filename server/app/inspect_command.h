// `lockstep inspect FILE`: what is in a GGUF file, and whether it runs here.
#pragma once

#include <string>

namespace lockstep {

// Prints metadata, tensors and totals. Returns the exit code: 0, or 2 with one sentence on stderr
// if the file is bad or not supported.
int RunInspect(const std::string& path);

}  // namespace lockstep
