// What the commands have in common that run a model by themselves, without a server.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "core/base/status.h"
#include "core/kernels/kernels.h"
#include "core/kernels/thread_pool.h"
#include "core/model/model.h"

namespace lockstep {

struct ModelOptions {
  std::string model;  // path, or empty: the embedded one
  size_t threads = 1;
  std::string isa = "auto";
  KvType kv_type = KvType::kF16;
};

// Loads the model and gives it to `run`, whose thread may call Forward. Returns the exit code: 0,
// or 2, with a line "lockstep COMMAND: ..." on stderr, if the model, an option or `run` failed.
int RunWithModel(const char* command, const ModelOptions& options,
                 const std::function<Status(const Model& model, ThreadPool& pool)>& run);

}  // namespace lockstep
