// `lockstep bench`: how many tokens per second a model reads and writes on this machine, or of how
// many texts it makes vectors.
#pragma once

#include <cstddef>
#include <vector>

#include "core/engine/scheduler.h"
#include "server/app/model_command.h"

namespace lockstep {

struct BenchOptions : ModelOptions {
  std::vector<size_t> prompt{512};    // tokens read, one prompt at a time; 0: no such test
  std::vector<size_t> generate{128};  // tokens written by each stream; 0: no such test
  std::vector<size_t> batch{1};       // streams that are decoded together
  std::vector<size_t> depth{0};       // tokens in the context of each stream before it starts
  std::vector<size_t> embed;          // tokens of a text, of a model that encodes; empty: 128
  size_t prefill_tokens = SchedulerOptions().prefill_tokens;  // of a prompt, in one step
  int repeat = 3;                                             // the median counts
  bool json = false;
};

// Prints a table, or JSON, to stdout. Returns the exit code: 2, with a line on stderr, if the model
// or an option cannot be used.
int RunBench(const BenchOptions& options);

}  // namespace lockstep
