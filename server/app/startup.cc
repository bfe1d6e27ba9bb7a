// An engine is built from the bottom up, and what memory cannot hold is refused before the weights
// are read: the file is opened, planned for and loaded as one ModelFile, so that no other file can
// take its place between the plan and the load.
#include "server/app/startup.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/quoted.h"
#include "core/kernels/dispatch.h"
#include "server/app/hub_command.h"
#include "server/app/logging.h"
#include "server/app/prefix_outlets.h"
#include "server/app/startup_plan.h"

namespace lockstep {
namespace {

// Bytes of weights that a thread of a fast machine multiplies in a second for tokens of prompts: by
// this it is judged how long an archive is waited for until the machine has read one.
constexpr double kBytesASecond = 1e11;

// The fingerprint of all that makes an answer: the model, and how its keys and values are kept.
std::string AnswerId(const Model& model, KvType kv_type) {
  return model.fingerprint + (kv_type == KvType::kF16 ? "" : fmt::format("-kv{}", Name(kv_type)));
}

// A receipt is checked against the file as it is, not as it once was.
std::string DigestFolder(const Options& options) {
  if (options.cache_dir == "none" || options.command == Command::kVerify) return {};
  const std::string folder = options.cache_dir == "auto" ? OwnCacheFolder() : options.cache_dir;
  return folder.empty() ? folder : folder + "/digests";
}

void LogPlan(const Options& options, const Files& files, const Plan& plan) {
  const MemoryPlan& memory = plan.memory;
  Log(LogLevel::kInfo, "memory plan",
      {{"sessions", files.model ? options.sessions : 0},
       {"context", memory.context},
       {"text_context", files.encoder ? plan.encode.context : 0},
       {"model", BytesText(memory.model_bytes)},
       {"session_kv", BytesText(memory.session_bytes)},
       {"prefix_cache", BytesText(memory.prefix_bytes)},
       {"draft_cache", BytesText(memory.draft_bytes)},
       {"requests", BytesText(memory.request_bytes)},
       {"other", BytesText(memory.other_bytes)},
       {"total", BytesText(memory.total_bytes())},
       {"budget", BytesText(memory.budget_bytes)}});
}

// The log has what is odd about the file.
Result<std::unique_ptr<const Model>> LoadAndWarn(ModelFile file, const KernelTable& kernels,
                                                 ThreadPool& pool, const LoadOptions& load) {
  TRY(auto model, std::move(file).Load(kernels, pool, load));
  for (const std::string& warning : model->warnings) Log(LogLevel::kWarning, warning);
  return model;
}

Result<Encoder> StartEncoder(ModelFile file, const EncodeOptions& encode,
                             const KernelTable& kernels, ThreadPool& pool,
                             const LoadOptions& load) {
  if (const Pooling pooling = file.config().pooling; pooling == Pooling::kNone) {
    return Fail(ErrorKind::kBadFile,
                fmt::format("{}: the file does not say how a text's vectors become one: "
                            "{}.pooling_type is missing",
                            file.config().name, file.config().architecture));
  }
  Encoder encoder;
  TRY(encoder.model, LoadAndWarn(std::move(file), kernels, pool, load));
  encoder.scheduler = std::make_unique<EncodeScheduler>(encoder.model->transformer, pool, encode);
  encoder.service = std::make_unique<ModelEmbeddingService>(*encoder.model, *encoder.scheduler);
  return encoder;
}

Status StartGuesses(const Options& options, const Transformer& transformer,
                    const std::string& source, Engine& engine) {
  const ModelConfig& config = transformer.config();
  DraftModelOptions draft = DraftOptionsFor(options, engine.model->config(), config);
  draft.texts = engine.memory.draft_caches;
  TRY(engine.draft_model, DraftModel::Create(transformer, draft));
  Log(LogLevel::kInfo, "draft model",
      {{"name", config.name},
       {"source", source},
       {"weights", BytesText(transformer.weight_bytes())},
       {"texts", draft.texts},
       {"context", draft.context}});
  return {};
}

// Starts what guesses for the engine's model, as far as memory was planned for it.
Status StartDraftModel(const Options& options, ModelFile file, const KernelTable& kernels,
                       ThreadPool& pool, const DigestCache* digests, Engine& engine) {
  if (engine.memory.draft_caches == 0) {
    Log(LogLevel::kWarning, "there is no draft model: memory leaves no room for its caches",
        {{"source", options.draft_model}});
    return {};
  }
  TRY(engine.small_model, LoadAndWarn(std::move(file), kernels, pool, {.digests = digests}));
  return StartGuesses(options, engine.small_model->transformer, engine.small_model->source, engine);
}

// The block of the model itself, as far as memory was planned for it and the file has it.
Status StartMtp(const Options& options, Engine& engine) {
  if (engine.memory.draft_caches == 0) {
    Log(LogLevel::kWarning,
        "the block that guesses ahead (MTP) is not used: memory leaves no room for its caches");
  }
  if (engine.model->mtp == nullptr) return {};
  return StartGuesses(options, *engine.model->mtp, "the model's block that guesses ahead (MTP)",
                      engine);
}

// Starts all that generates, beside what the engine has of a model that encodes.
Status StartGeneration(const Options& options, Files files, const KernelTable& kernels,
                       ThreadPool& pool, SchedulerObserver* observer, LoadOptions load,
                       MemoryBudget& memory, Engine& engine) {
  const MemoryPlan& plan = engine.memory;
  load.mtp = files.mtp && plan.draft_caches > 0;
  TRY(engine.model, LoadAndWarn(*std::move(files.model), kernels, pool, load));
  if (files.mtp) TRY_OK(StartMtp(options, engine));
  if (files.draft) {
    TRY_OK(StartDraftModel(options, *std::move(files.draft), kernels, pool, load.digests, engine));
  }
  TRY(engine.sessions, SessionPool::Create(engine.model->config(), engine.model->tokenizer,
                                           {.sessions = options.sessions,
                                            .context = plan.context,
                                            .kv_type = options.kv_type,
                                            .kv_bytes = plan.session_bytes,
                                            .batch = options.scheduling.prefill_tokens,
                                            .longest_draft = options.scheduling.longest_draft,
                                            .kernels = &kernels}));
  SchedulerOptions scheduling = options.scheduling;
  scheduling.observer = observer;
  scheduling.draft_model = engine.draft_model.get();
  scheduling.turns = engine.turns.get();
  if (plan.prefix_bytes > 0) {
    TRY(engine.prefixes,
        PrefixStore::Create(engine.model->config(), plan.prefix_bytes, options.kv_type));
    scheduling.prefixes = engine.prefixes.get();
  }
  const std::string fingerprint = AnswerId(*engine.model, options.kv_type);
  TRY(PrefixArchive archive, StartArchive(options, fingerprint, engine.prefixes.get()));
  engine.archive = std::move(archive.archive);
  engine.archiver = std::move(archive.archiver);
  TRY(engine.kv_events, StartKvEvents(options, fingerprint, *engine.model, engine.prefixes.get()));
  scheduling.archiver = engine.archiver.get();
  scheduling.assumed_token_s = static_cast<double>(engine.memory.model_bytes) /
                               (kBytesASecond * static_cast<double>(options.threads));
  engine.scheduler =
      std::make_unique<Scheduler>(engine.model->transformer, *engine.sessions, pool, scheduling);
  // What compiles takes processors from what generates, and what waits to compile takes threads
  // from those that answer others.
  engine.service = std::make_unique<SchedulerService>(
      *engine.model, *engine.scheduler, plan.context, fingerprint,
      std::max<size_t>(1, options.threads / 4), std::max<size_t>(2, scheduling.max_queued / 4),
      &memory, engine.encoder.service.get());
  return {};
}

}  // namespace

Result<const KernelTable*> FindKernels(const std::string& isa) {
  const KernelChoice choice = ChooseKernels(isa);
  if (choice.kernels == nullptr) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--isa: {} is unknown, or this processor lacks it", Quoted(isa)),
                "isa");
  }
  // A processor, or an emulator of one, may have instructions that do not compute what they should;
  // slower kernels that are right take their place.
  if (choice.rejected != nullptr) {
    Log(LogLevel::kWarning, "these kernels fail their self-test and are not used",
        {{"isa", choice.rejected}, {"instead", choice.kernels->isa}});
  }
  return choice.kernels;
}

void Engine::AnnounceDrain() {
  if (scheduler != nullptr) scheduler->AnnounceDrain();
  if (encoder.scheduler != nullptr) encoder.scheduler->AnnounceDrain();
}

bool Engine::Drain(std::chrono::milliseconds timeout) {
  // Vectors are made in moments, beside which answers go on.
  const auto start = std::chrono::steady_clock::now();
  bool finished = true;
  if (encoder.scheduler != nullptr) finished = encoder.scheduler->Drain(timeout);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - start);
  const auto left = std::max(timeout - took, std::chrono::milliseconds(0));
  if (scheduler != nullptr) finished = scheduler->Drain(left) && finished;
  return finished;
}

Result<Engine> StartEngine(const Options& options, const KernelTable& kernels, ThreadPool& pool,
                           const EngineObservers& observers, const LoadProgress& progress,
                           MemoryBudget& memory) {
  TRY(Files files, OpenFiles(options));
  TRY(Plan plan, PlanWithin(MemoryLimitOf(options), options, files));
  LogPlan(options, files, plan);
  EncodeOptions& encode = plan.encode;
  Engine engine;
  engine.memory = plan.memory;
  memory.SetCapacity(engine.memory.request_bytes);
  if (files.model && files.encoder) engine.turns = std::make_unique<StepTurns>();

  const DigestCache digests(DigestFolder(options));
  const LoadOptions load = {.progress = progress, .digests = &digests},
                    untold = {.digests = &digests};
  // What is loaded last is by far the larger one, whose progress is told.
  if (files.encoder) {
    encode.observer = observers.encoder;
    encode.turns = engine.turns.get();
    TRY(engine.encoder, StartEncoder(*std::move(files.encoder), encode, kernels, pool,
                                     files.model ? untold : load));
  }
  if (files.model) {
    TRY_OK(StartGeneration(options, std::move(files), kernels, pool, observers.scheduler, load,
                           memory, engine));
  } else {
    if (const std::string flags = VainPrefixFlags(options); !flags.empty()) {
      Log(LogLevel::kWarning,
          "flags have no effect: the model makes vectors of whole texts, and keeps no prefixes",
          {{"flags", flags}});
    }
    engine.service =
        std::make_unique<EncoderService>(*engine.encoder.model, *engine.encoder.service);
  }
  return engine;
}

}  // namespace lockstep
