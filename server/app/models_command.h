// The server of several models: a parent that listens, and a process for each model in use.
#pragma once

#include <csignal>

#include "server/app/options.h"

namespace lockstep {

// Serves until a signal; the exit code. REQUIRES: options.models.several(); called by the only
// thread there is, with the signals blocked.
int ServeModels(const Options& options, const sigset_t& signals);

}  // namespace lockstep
