// `lockstep chat`: a conversation in a terminal.
#pragma once

#include "server/app/options.h"

namespace lockstep {

// Until /quit or the end of the input. The exit code: 0, or 2 if the model or an option is wrong.
int RunChat(const Options& options);

}  // namespace lockstep
