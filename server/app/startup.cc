// An engine is built from the bottom up, and what memory cannot hold is refused before the weights
// are read: the file is opened, planned for and loaded as one ModelFile, so that no other file can
// take its place between the plan and the load.
#include "server/app/startup.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/quoted.h"
#include "core/kernels/dispatch.h"
#include "server/app/logging.h"
#include "server/app/prefix_outlets.h"
#include "server/host/process_stats.h"

namespace lockstep {
namespace {

constexpr size_t kMib = size_t{1} << 20;

// At rest, with its libraries; and the masks of grammars that are remembered, of models that have
// tool calls in two vocabularies.
constexpr size_t kProcessBytes = 32 * kMib;
constexpr size_t kMaskBytes = 2 * GrammarVocabulary::kMaskBytes;
// A token's text and its places in the tables of the tokenizer and of grammars.
constexpr size_t kTokenBytes = 320;
// A thread that answers: the pages of its stack that it has used, and a piece of a stream.
constexpr size_t kThreadBytes = 512 * 1024;

// Of a model that encodes, memory for the rows of its longest text is what grows with its context,
// so that one which was not asked for gets no larger a part of the memory than this.
constexpr size_t kTextRowsShare = 4;
// What a conversation needs at least, where models share the memory.
constexpr size_t kUsualContext = 4096;
constexpr size_t kSmallTextContext = 512;  // which every model has, or less by itself

// Of weights, that a thread of a fast machine multiplies for tokens of prompts: by this it is
// judged how long an archive is waited for until the machine has read one.
constexpr double kBytesASecond = 1e11;

// All that is there whatever the model is.
size_t ProcessBytes(const Options& options) {
  return kProcessBytes + KvEventBytes(options.kv_events) +
         (options.threads + AnsweringThreads(options)) * kThreadBytes;
}

// All that there is of a model whatever the context and the requests are.
size_t OtherBytes(const Options& options, const ModelConfig& config) {
  const size_t rows = StepRows(options.sessions, options.scheduling);
  const size_t logit_rows = StepLogitRows(options.sessions, options.scheduling);
  return ArchiveBytes(options, config) + kMaskBytes + config.vocab * kTokenBytes +
         Scratch::Bytes(config, rows, logit_rows, options.threads) +
         options.sessions * (InferenceSession::FixedBytes(config.vocab) + KvCache::kPageWaste);
}

// The same of one that encodes.
size_t OtherBytes(const Options& options, const ModelConfig& config, const EncodeOptions& encode) {
  return config.vocab * kTokenBytes +
         Scratch::Bytes(config, EncodeStepRows(encode), EncodeStepTexts(encode), options.threads);
}

// A context beyond the model's own is refused: the model was not trained for positions behind it.
Status CheckContext(size_t asked, const ModelConfig& config) {
  if (asked <= config.context) return {};
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("--context: {} is more than the model's {}", asked, config.context),
              "context");
}

// `context`: 0, or what was asked for.
EncodeOptions EncodeOptionsFor(const Options& options, const ModelConfig& config, size_t context,
                               const MemoryLimit& limit) {
  EncodeOptions encode;
  encode.context = context > 0 ? context : config.context;
  encode.step_tokens = options.scheduling.prefill_tokens;
  encode.max_jobs = options.sessions + options.scheduling.max_queued;
  encode.max_queued_tokens = options.scheduling.max_queued_tokens;
  encode.stall_timeout = options.scheduling.stall_timeout;
  while (context == 0 && encode.context > kSmallTextContext &&
         OtherBytes(options, config, encode) > limit.bytes / kTextRowsShare) {
    encode.context = std::max(kSmallTextContext, encode.context / 2);
  }
  return encode;
}

// Of the one model or of both; either may be null, and `encode` is of the second.
Result<MemoryPlan> PlanFor(const Options& options, const ModelFile* model, const ModelFile* encoder,
                           const EncodeOptions& encode, const MemoryLimit& limit) {
  MemoryNeeds needs;
  needs.other_bytes = ProcessBytes(options);
  // All that is mapped by now, the files too, counts where addresses are limited.
  if (limit.of_addresses) needs.other_bytes += static_cast<size_t>(ReadProcessStats().mapped_bytes);
  needs.context = encode.context;
  needs.prefix_fixed = true;
  if (encoder != nullptr) {
    needs.model_bytes = encoder->bytes();
    needs.other_bytes += OtherBytes(options, encoder->config(), encode);
  }
  if (model != nullptr) {
    const ModelConfig& config = model->config();
    needs.model_bytes += model->bytes();
    needs.other_bytes += OtherBytes(options, config);
    needs.sessions = options.sessions;
    needs.context = options.context;
    needs.model_context = config.context;
    needs.whole_sessions = options.whole_sessions;
    needs.session_kv =
        InferenceSession::Cost(config, options.kv_type, options.scheduling.prefill_tokens,
                               options.scheduling.longest_draft);
    needs.token_bytes = KvCache::BytesPerPosition(config, options.kv_type);
    needs.state_bytes = KvCache::StateBytes(config);
    needs.prefix_bytes = options.prefix_cache_mib * kMib;
    needs.prefix_fixed = options.prefix_cache_given;
    needs.kv_bytes = options.kv_memory_mib * kMib;
  }
  needs.request_bytes = options.request_memory_mib * kMib;
  needs.least_request_bytes = LeastRequestBytes(options);
  needs.chosen = options.sizes_given;
  return PlanMemory(needs, limit);
}

// The fingerprint of all that makes an answer: the model, and how its keys and values are kept.
std::string AnswerId(const Model& model, KvType kv_type) {
  return model.fingerprint + (kv_type == KvType::kQ8_0 ? "-kvq8_0" : "");
}

// The files that were given, of which the one or the other kind may not be there.
struct Files {
  std::optional<ModelFile> model, encoder;
};

const ModelFile* Pointer(const std::optional<ModelFile>& file) { return file ? &*file : nullptr; }

Result<Files> OpenFiles(const Options& options) {
  Files files;
  TRY(ModelFile file, ModelFile::Open(options.model));
  const bool encodes = file.config().encodes();
  (encodes ? files.encoder : files.model) = std::move(file);
  if (options.embedding_model.empty()) return files;
  if (encodes) {
    return Fail(ErrorKind::kInvalidArgument,
                "--embedding-model: --model is a model that encodes, too; one server has one of "
                "each kind",
                "embedding-model");
  }
  TRY(ModelFile encoder, ModelFile::Open(options.embedding_model));
  if (!encoder.config().encodes()) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--embedding-model: {} is of architecture {}, which generates text; "
                            "give a model that makes vectors, or this one as --model",
                            options.embedding_model, encoder.config().architecture),
                "embedding-model");
  }
  files.encoder = std::move(encoder);
  return files;
}

// What is decided before any weight is read.
struct Plan {
  EncodeOptions encode;
  MemoryPlan memory;
};

Result<Plan> PlanWithin(const MemoryLimit& limit, const Options& options, const Files& files) {
  Plan plan;
  if (files.encoder) {
    const size_t asked = files.model ? 0 : options.context;
    TRY_OK(CheckContext(asked, files.encoder->config()));
    plan.encode = EncodeOptionsFor(options, files.encoder->config(), asked, limit);
  }
  if (files.model) TRY_OK(CheckContext(options.context, files.model->config()));
  TRY(plan.memory,
      PlanFor(options, Pointer(files.model), Pointer(files.encoder), plan.encode, limit));
  return plan;
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
       {"requests", BytesText(memory.request_bytes)},
       {"other", BytesText(memory.other_bytes)},
       {"total", BytesText(memory.total_bytes())},
       {"budget", BytesText(memory.budget_bytes)}});
}

// The log has what is odd about the file.
Result<std::unique_ptr<const Model>> LoadAndWarn(ModelFile file, const KernelTable& kernels,
                                                 ThreadPool& pool, const LoadProgress& progress) {
  TRY(auto model, std::move(file).Load(kernels, pool, progress));
  for (const std::string& warning : model->warnings) Log(LogLevel::kWarning, warning);
  return model;
}

Result<Encoder> StartEncoder(ModelFile file, const EncodeOptions& encode,
                             const KernelTable& kernels, ThreadPool& pool,
                             const LoadProgress& progress) {
  if (const Pooling pooling = file.config().pooling; pooling == Pooling::kNone) {
    return Fail(ErrorKind::kBadFile,
                fmt::format("{}: the file does not say how a text's vectors become one: "
                            "{}.pooling_type is missing",
                            file.config().name, file.config().architecture));
  }
  Encoder encoder;
  TRY(encoder.model, LoadAndWarn(std::move(file), kernels, pool, progress));
  encoder.scheduler = std::make_unique<EncodeScheduler>(encoder.model->transformer, pool, encode);
  encoder.service = std::make_unique<ModelEmbeddingService>(*encoder.model, *encoder.scheduler);
  return encoder;
}

// Beside what the engine has of a model that encodes.
Status StartGeneration(const Options& options, ModelFile file, const KernelTable& kernels,
                       ThreadPool& pool, SchedulerObserver* observer, const LoadProgress& progress,
                       MemoryBudget& memory, Engine& engine) {
  const MemoryPlan& plan = engine.memory;
  TRY(engine.model, LoadAndWarn(std::move(file), kernels, pool, progress));
  TRY(engine.sessions, SessionPool::Create(engine.model->config(), engine.model->tokenizer,
                                           {.sessions = options.sessions,
                                            .context = plan.context,
                                            .kv_type = options.kv_type,
                                            .kv_bytes = plan.session_bytes,
                                            .batch = options.scheduling.prefill_tokens,
                                            .longest_draft = options.scheduling.longest_draft}));
  SchedulerOptions scheduling = options.scheduling;
  scheduling.observer = observer;
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

MemoryLimit MemoryLimitOf(const Options& options) {
  MemoryLimit limit = FindMemoryLimit();
  const size_t given = options.memory_mib * kMib;
  if (given > 0 && given < limit.bytes) {
    limit.bytes = given;
    limit.source = "--memory";
  }
  return limit;
}

Result<size_t> MemoryNeed(const Options& options, const MemoryLimit& whole, size_t part) {
  TRY(const Files files, OpenFiles(options));
  const auto plan = [&](size_t mib) {
    return PlanWithin({mib * kMib, whole.source, whole.of_addresses}, options, files);
  };
  size_t context = files.model ? files.model->config().context : 0;
  if (options.context > 0) context = std::min(context, options.context);
  const auto suffices = [&](const Result<Plan>& planned) {
    return planned && planned->memory.context >= std::min(context, kUsualContext);
  };
  const size_t most = whole.bytes / kMib, share = std::min(part / kMib, most);
  if (const auto planned = plan(share); suffices(planned)) {
    // A small model is content with less, unless less would make it another plan.
    const size_t used = planned->memory.total_bytes();
    const size_t less =
        std::min(share, used / kMib * share / (planned->memory.budget_bytes / kMib) + 2);
    const auto again = plan(less);
    const bool same = again && again->memory.context == planned->memory.context &&
                      again->encode.context == planned->encode.context &&
                      again->memory.session_bytes == planned->memory.session_bytes;
    return (same ? less : share) * kMib;
  }
  if (auto planned = plan(most); !planned) return tl::unexpected(std::move(planned.error()));
  size_t low = share, high = most;  // low does not suffice; high is all that there is
  while (low + 1 < high) {
    const size_t middle = (low + high) / 2;
    (suffices(plan(middle)) ? high : low) = middle;
  }
  return high * kMib;
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

  // What is loaded last is by far the larger one, whose progress is told.
  if (files.encoder) {
    encode.observer = observers.encoder;
    encode.turns = engine.turns.get();
    TRY(engine.encoder, StartEncoder(*std::move(files.encoder), encode, kernels, pool,
                                     files.model ? LoadProgress() : progress));
  }
  if (files.model) {
    TRY_OK(StartGeneration(options, *std::move(files.model), kernels, pool, observers.scheduler,
                           progress, memory, engine));
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
