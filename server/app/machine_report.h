// What a person can expect of a model on this machine, before it is loaded.
#pragma once

#include "core/model/model.h"
#include "server/app/options.h"

namespace lockstep {

// Prints the model's size, the context that a server with these options has room for, and how many
// tokens a second memory and processor allow, which it measures (MeasureSpeed).
void PrintMachineReport(ModelFile file, Options options);

}  // namespace lockstep
