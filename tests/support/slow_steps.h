// A pacer for tests of what guesses: with it nothing depends on how fast the machine is.
#pragma once

#include "core/engine/step_pacer.h"

namespace lockstep {

// Where a step takes so long that any guess is worth its time.
inline StepPacer SlowSteps() {
  StepPacer pacer(512);
  for (size_t i = 0; i < 200; ++i) {
    StepStats step;
    step.seconds = 1000;
    step.decoding = 1;
    step.drafted = i % 5;
    pacer.Observe(step);
  }
  return pacer;
}

}  // namespace lockstep
