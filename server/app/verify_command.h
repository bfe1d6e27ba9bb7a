// `lockstep verify`: whether answers in a file are what the model gives.
#pragma once

#include "server/app/options.h"

namespace lockstep {

// The exit code: 0, 1 if an answer differs, 2 if the model, an option or the file is wrong. A line
// to stdout for each answer.
int RunVerify(const Options& options);

}  // namespace lockstep
