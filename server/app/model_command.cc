// These commands plan no memory and keep no log: whoever runs them watches them, and what goes
// wrong is one line on stderr.
#include "server/app/model_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "core/kernels/dispatch.h"
#include "core/kernels/float_mode.h"
#include "server/app/progress.h"

namespace lockstep {
namespace {

Result<std::unique_ptr<const Model>> LoadShown(const std::string& path, const KernelTable& kernels,
                                               ThreadPool& pool) {
  Progress progress("Loading the model");
  return LoadModel(path, kernels, pool,
                   [&progress](size_t done, size_t total) { progress.Update(done, total); });
}

Status LoadAndRun(const ModelOptions& options,
                  const std::function<Status(const Model&, ThreadPool&)>& run) {
  const KernelTable* kernels = ChooseKernels(options.isa).kernels;
  if (kernels == nullptr) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--isa {}: this processor has no such kernels", options.isa), "isa");
  }
  // This thread computes as well, and must round as the pool's threads do.
  SetComputeFloatMode();
  ThreadPool pool(std::max<size_t>(1, options.threads));
  TRY(const auto model, LoadShown(options.model, *kernels, pool));
  return run(*model, pool);
}

}  // namespace

int RunWithModel(const char* command, const ModelOptions& options,
                 const std::function<Status(const Model&, ThreadPool&)>& run) {
  const Status done = LoadAndRun(options, run);
  if (done) return 0;
  fmt::print(stderr, "lockstep {}: {}\n", command, done.error().message);
  return 2;
}

}  // namespace lockstep
