// `lockstep bench` of a model that encodes: how many texts a second it makes vectors of, and how
// long a single one takes.
#pragma once

#include <cstddef>
#include <vector>

#include "core/base/status.h"
#include "core/kernels/thread_pool.h"
#include "core/model/model.h"

namespace lockstep {

struct EmbedBenchOptions {
  std::vector<size_t> lengths;  // tokens of a text; empty: 128
  size_t step_tokens = 512;     // of all texts of a step
  int repeat = 3;               // the median counts
  bool json = false;
};

// Prints a table, or JSON, to stdout. kInvalidArgument for texts longer than the context.
[[nodiscard]] Status RunEmbedBench(const Model& model, ThreadPool& pool,
                                   const EmbedBenchOptions& options);

}  // namespace lockstep
