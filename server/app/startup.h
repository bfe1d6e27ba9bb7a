// All that the routes need of the core, built from the options.
#pragma once

#include <chrono>
#include <memory>

#include "core/base/status.h"
#include "core/engine/draft_model.h"
#include "core/engine/encode_scheduler.h"
#include "core/engine/prefix_archiver.h"
#include "core/engine/prefix_store.h"
#include "core/engine/scheduler.h"
#include "core/engine/session_pool.h"
#include "core/engine/step_turns.h"
#include "core/kernels/kernels.h"
#include "core/kernels/thread_pool.h"
#include "core/model/model.h"
#include "server/app/options.h"
#include "server/events/kv_event_publisher.h"
#include "server/generation/embedding_service.h"
#include "server/generation/generation_service.h"
#include "server/host/memory_plan.h"

namespace lockstep {

// A model that encodes, on its own or beside one that generates. The members stand in the order in
// which they are built: each uses only those in front of it, and is destroyed before them.
struct Encoder {
  std::unique_ptr<const Model> model;
  std::unique_ptr<EncodeScheduler> scheduler;
  std::unique_ptr<ModelEmbeddingService> service;
};

// Its members stand in the order of building, too. What no model was given for is null.
struct Engine {
  MemoryPlan memory;
  std::unique_ptr<StepTurns> turns;  // where there are two models
  Encoder encoder;
  std::unique_ptr<const Model> model;
  std::unique_ptr<const Model> small_model;  // that guesses, where there is one
  std::unique_ptr<DraftModel> draft_model;
  std::unique_ptr<SessionPool> sessions;
  std::unique_ptr<BlockArchive> archive;
  std::unique_ptr<PrefixArchiver> archiver;
  std::unique_ptr<KvEventPublisher> kv_events;
  std::unique_ptr<PrefixStore> prefixes;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<GenerationService> service;  // never null

  void AnnounceDrain();
  // Does what Scheduler::Drain does, for each scheduler that there is.
  bool Drain(std::chrono::milliseconds timeout);
};

// Who is told what the schedulers do; both may be null.
struct EngineObservers {
  SchedulerObserver* scheduler = nullptr;
  EncodeObserver* encoder = nullptr;
};

// The table that --isa names. kInvalidArgument if there is none that runs here.
[[nodiscard]] Result<const KernelTable*> FindKernels(const std::string& isa);

// Loads the models and starts their schedulers. What memory cannot hold is refused before the
// weights are read. The observers, the kernels and the pool must outlive the engine. `memory` gets
// what is planned for requests, and must outlive the engine too.
[[nodiscard]] Result<Engine> StartEngine(const Options& options, const KernelTable& kernels,
                                         ThreadPool& pool, const EngineObservers& observers,
                                         const LoadProgress& progress, MemoryBudget& memory);

}  // namespace lockstep
