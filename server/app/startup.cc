// An engine is built from the bottom up, and what memory cannot hold is refused before the weights
// are read: the file is opened, planned for and loaded as one ModelFile, so that no other file can
// take its place between the plan and the load.
#include "server/app/startup.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/quoted.h"
#include "core/kernels/dispatch.h"
#include "server/app/logging.h"
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

// All that is there whatever the context and the requests are.
size_t OtherBytes(const Options& options, const ModelConfig& config) {
  const size_t rows = StepRows(options.sessions, options.scheduling);
  const size_t logit_rows = StepLogitRows(options.sessions, options.scheduling);
  return kProcessBytes + kMaskBytes + config.vocab * kTokenBytes +
         (options.threads + AnsweringThreads(options)) * kThreadBytes +
         Scratch::Bytes(config, rows, logit_rows, options.threads) +
         options.sessions * (InferenceSession::FixedBytes(config.vocab) + KvCache::kPageWaste);
}

// A context beyond the model's own is refused: the model was not trained for positions behind it.
Result<MemoryPlan> PlanFor(const Options& options, const ModelFile& model) {
  const ModelConfig& config = model.config();
  if (options.context > config.context) {
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format("--context: {} is more than the model's {}", options.context, config.context),
        "context");
  }
  const MemoryLimit limit = FindMemoryLimit();
  MemoryNeeds needs;
  needs.model_bytes = model.bytes();
  needs.other_bytes = OtherBytes(options, config);
  // All that is mapped by now, the file too, counts where addresses are limited.
  if (limit.of_addresses) needs.other_bytes += static_cast<size_t>(ReadProcessStats().mapped_bytes);
  needs.sessions = options.sessions;
  needs.context = options.context;
  needs.model_context = config.context;
  needs.whole_sessions = options.whole_sessions;
  needs.session_kv = InferenceSession::Cost(
      config, options.kv_type, options.scheduling.prefill_tokens, options.scheduling.longest_draft);
  needs.token_bytes = KvCache::BytesPerPosition(config, options.kv_type);
  needs.state_bytes = KvCache::StateBytes(config);
  needs.prefix_bytes = options.prefix_cache_mib * kMib;
  needs.prefix_fixed = options.prefix_cache_given;
  needs.kv_bytes = options.kv_memory_mib * kMib;
  needs.request_bytes = options.request_memory_mib * kMib;
  needs.least_request_bytes = LeastRequestBytes(options);
  needs.chosen = options.sizes_given;
  auto plan = PlanMemory(needs, limit);
  if (plan) {
    Log(LogLevel::kInfo, "memory plan",
        {{"sessions", options.sessions},
         {"context", plan->context},
         {"model", BytesText(plan->model_bytes)},
         {"session_kv", BytesText(plan->session_bytes)},
         {"prefix_cache", BytesText(plan->prefix_bytes)},
         {"requests", BytesText(plan->request_bytes)},
         {"other", BytesText(plan->other_bytes)},
         {"total", BytesText(plan->total_bytes())},
         {"budget", BytesText(plan->budget_bytes)}});
  }
  return plan;
}

// The fingerprint of all that makes an answer: the model, and how its keys and values are kept.
std::string AnswerId(const Model& model, KvType kv_type) {
  return model.fingerprint + (kv_type == KvType::kQ8_0 ? "-kvq8_0" : "");
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

Result<Engine> StartEngine(const Options& options, const KernelTable& kernels, ThreadPool& pool,
                           SchedulerObserver* observer, const LoadProgress& progress,
                           MemoryBudget& memory) {
  TRY(ModelFile file, ModelFile::Open(options.model));
  if (file.config().encodes()) {
    return Fail(ErrorKind::kBadFile,
                fmt::format("{}: models of architecture {} encode texts, and no route serves such "
                            "vectors yet; give a model that generates text",
                            options.model, file.config().architecture));
  }
  TRY(const MemoryPlan plan, PlanFor(options, file));
  memory.SetCapacity(plan.request_bytes);

  TRY(auto model, std::move(file).Load(kernels, pool, progress));
  for (const std::string& warning : model->warnings) Log(LogLevel::kWarning, warning);
  TRY(auto sessions, SessionPool::Create(model->config(), model->tokenizer,
                                         {.sessions = options.sessions,
                                          .context = plan.context,
                                          .kv_type = options.kv_type,
                                          .kv_bytes = plan.session_bytes,
                                          .batch = options.scheduling.prefill_tokens,
                                          .longest_draft = options.scheduling.longest_draft}));

  SchedulerOptions scheduling = options.scheduling;
  scheduling.observer = observer;
  Engine engine;
  engine.memory = plan;
  engine.model = std::move(model);
  engine.sessions = std::move(sessions);
  if (plan.prefix_bytes > 0) {
    TRY(auto prefixes,
        PrefixStore::Create(engine.model->config(), plan.prefix_bytes, options.kv_type));
    engine.prefixes = std::move(prefixes);
    scheduling.prefixes = engine.prefixes.get();
  }
  engine.scheduler =
      std::make_unique<Scheduler>(engine.model->transformer, *engine.sessions, pool, scheduling);
  // What compiles takes processors from what generates, and what waits to compile takes threads
  // from those that answer others.
  engine.service = std::make_unique<SchedulerService>(
      *engine.model, *engine.scheduler, plan.context, AnswerId(*engine.model, options.kv_type),
      std::max<size_t>(1, options.threads / 4), std::max<size_t>(2, scheduling.max_queued / 4),
      &memory);
  return engine;
}

}  // namespace lockstep
