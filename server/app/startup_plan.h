// The files that a server is given, and what is decided by them before any weight is read.
#pragma once

#include <cstddef>
#include <optional>

#include "core/base/status.h"
#include "core/engine/draft_model.h"
#include "core/engine/encode_scheduler.h"
#include "core/model/model.h"
#include "server/app/options.h"
#include "server/host/memory_plan.h"

namespace lockstep {

// What guesses for a model with this configuration.
DraftModelOptions DraftOptionsFor(const Options& options, const ModelConfig& config,
                                  const ModelConfig& draft);

// The models' files that were given: what generates, what encodes, what guesses for the first.
struct Files {
  std::optional<ModelFile> model, encoder, draft;
  // The configuration of the model's own block that guesses ahead, where no draft was given.
  std::optional<ModelConfig> mtp;
};

// Refuses what cannot be one server. Errors are ModelFile::Open's and kInvalidArgument.
[[nodiscard]] Result<Files> OpenFiles(const Options& options);

struct Plan {
  EncodeOptions encode;
  MemoryPlan memory;
};

// Errors are PlanMemory's, and kInvalidArgument for a context that is more than the model's.
[[nodiscard]] Result<Plan> PlanWithin(const MemoryLimit& limit, const Options& options,
                                      const Files& files);

// What there is to plan with: the machine's or its control groups', and no more than --memory.
MemoryLimit MemoryLimitOf(const Options& options);

// How much of `whole` the models of the options are to plan with where others are loaded beside
// them: `part`, or less if that has all they can use, or more if a part is too small for a context
// of 4,096 tokens. Opens the files and reads no weights. Errors are OpenFiles' and PlanWithin's.
[[nodiscard]] Result<size_t> MemoryNeed(const Options& options, const MemoryLimit& whole,
                                        size_t part);

}  // namespace lockstep
