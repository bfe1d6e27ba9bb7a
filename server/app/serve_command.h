// `lockstep serve`: from options to a server that answers until a signal ends it.
#pragma once

#include "server/app/options.h"

namespace lockstep {

// Returns the exit code: 0 after a clean shutdown, 1 if the machine does not allow it (memory,
// address), 2 if a flag or the model file is wrong.
int RunServe(Options options);

// `lockstep probe`: 0 if the server at the options' address answers with a 2xx, else 1.
int RunProbe(const Options& options);

}  // namespace lockstep
