// `lockstep inspect FILE`: what is in a GGUF file, whether it runs here, and how fast.
#pragma once

#include "server/app/options.h"

namespace lockstep {

// Prints metadata, tensors, totals, and what this machine makes of it. Returns the exit code: 0, or
// 2 with one sentence on stderr if the file is bad or not supported.
int RunInspect(const Options& options);

}  // namespace lockstep
