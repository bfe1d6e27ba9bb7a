// `lockstep generate`: one answer to stdout, for pipes and scripts.
#pragma once

#include "server/app/options.h"

namespace lockstep {

// The exit code: 0, 1 if the answer failed, 2 if the model or an option is wrong, 130 if Ctrl-C
// stopped it. stdout has the answer's text and nothing else.
int RunGenerate(const Options& options);

}  // namespace lockstep
