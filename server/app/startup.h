// All that the routes need of the core, built from the options.
#pragma once

#include <memory>

#include "core/base/status.h"
#include "core/engine/prefix_store.h"
#include "core/engine/scheduler.h"
#include "core/engine/session_pool.h"
#include "core/kernels/kernels.h"
#include "core/kernels/thread_pool.h"
#include "core/model/model.h"
#include "server/app/options.h"
#include "server/generation/generation_service.h"
#include "server/host/memory_plan.h"

namespace lockstep {

// The members stand in the order in which they are built. Each uses only those in front of it, and
// is destroyed before them.
struct Engine {
  MemoryPlan memory;
  std::unique_ptr<const Model> model;
  std::unique_ptr<SessionPool> sessions;
  std::unique_ptr<PrefixStore> prefixes;  // may be null
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<SchedulerService> service;
};

// The table that --isa names. kInvalidArgument if there is none that runs here.
[[nodiscard]] Result<const KernelTable*> FindKernels(const std::string& isa);

// Loads the model and starts the scheduler. What memory cannot hold is refused before the weights
// are read. `observer` may be null; it, the kernels and the pool must outlive the engine.
// `memory` gets what is planned for requests, and must outlive the engine too.
[[nodiscard]] Result<Engine> StartEngine(const Options& options, const KernelTable& kernels,
                                         ThreadPool& pool, SchedulerObserver* observer,
                                         const LoadProgress& progress, MemoryBudget& memory);

}  // namespace lockstep
