// All that a server will take is added up here, from the files' configurations: the same files are
// loaded afterwards, so that no other can take their place between the plan and the load.
#include "server/app/startup_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/grammar/token_grammar.h"
#include "core/transformer/model_config.h"
#include "core/transformer/scratch.h"
#include "server/app/prefix_outlets.h"
#include "server/host/process_stats.h"

namespace lockstep {
namespace {

constexpr size_t kMib = size_t{1} << 20;

// What the process takes at rest, with its libraries; and masks of grammars that are remembered, in
// two vocabularies where a model has tool calls.
constexpr size_t kProcessBytes = 32 * kMib;
constexpr size_t kMaskBytes = 2 * GrammarVocabulary::kMaskBytes;
// A token's text and its places in the tables of the tokenizer and of grammars.
constexpr size_t kTokenBytes = 320;
// A thread that answers: the pages of its stack that it has used, and a piece of a stream.
constexpr size_t kThreadBytes = 512 * 1024;

// What grows with the context of a model that encodes is memory for the rows of its longest text:
// a context which was not asked for gets no larger a part of the memory than this.
constexpr size_t kTextRowsShare = 4;
// What a conversation needs at least, where models share the memory.
constexpr size_t kUsualContext = 4096;
constexpr size_t kSmallTextContext = 512;  // which every model has, or less by itself

// All that is there whatever the model is.
size_t ProcessBytes(const Options& options) {
  return kProcessBytes + KvEventBytes(options.kv_events) +
         (options.threads + AnsweringThreads(options)) * kThreadBytes;
}

// What a model that generates takes beside its weights, whatever the context and the requests are.
size_t OtherBytes(const Options& options, const ModelConfig& config) {
  const size_t rows = StepRows(options.sessions, options.scheduling);
  const size_t logit_rows = StepLogitRows(options.sessions, options.scheduling);
  return ArchiveBytes(options, config) + kMaskBytes + config.vocab * kTokenBytes +
         Scratch::Bytes(config, rows, logit_rows, options.threads) +
         options.sessions * (InferenceSession::FixedBytes(config.vocab) + KvCache::kPageWaste);
}

// What a model that encodes takes beside its weights, whatever the requests are.
size_t OtherBytes(const Options& options, const ModelConfig& config, const EncodeOptions& encode) {
  return config.vocab * kTokenBytes +
         Scratch::Bytes(config, EncodeStepRows(encode), EncodeStepTexts(encode), options.threads);
}

// What of the rest each flag is the cause of.
std::vector<std::pair<std::string, size_t>> OtherFlags(const Options& options,
                                                       const ModelConfig* config) {
  const auto rest = [config](const Options& of) {
    return ProcessBytes(of) + (config == nullptr ? 0 : OtherBytes(of, *config));
  };
  Options sessions = options, queue = options, threads = options;
  sessions.sessions = queue.scheduling.max_queued = threads.threads = 1;
  const size_t whole = rest(options);
  return {{"--sessions", whole - rest(sessions)},
          {"--queue", whole - rest(queue)},
          {"--threads", whole - rest(threads)}};
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

// `encode` is of the model that encodes.
Result<MemoryPlan> PlanFor(const Options& options, const Files& files, const EncodeOptions& encode,
                           const MemoryLimit& limit) {
  MemoryNeeds needs;
  needs.other_bytes = ProcessBytes(options);
  // All that is mapped by now, the files too, counts where addresses are limited.
  if (limit.of_addresses) needs.other_bytes += static_cast<size_t>(ReadProcessStats().mapped_bytes);
  needs.context = encode.context;
  needs.prefix_fixed = true;
  if (files.encoder) {
    needs.model_bytes = files.encoder->bytes();
    needs.other_bytes += OtherBytes(options, files.encoder->config(), encode);
  }
  if (files.model) {
    const ModelConfig& config = files.model->config();
    needs.model_bytes += files.model->bytes();
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
  const auto add_draft = [&](const ModelConfig& config) {
    const DraftModelOptions draft = DraftOptionsFor(options, files.model->config(), config);
    needs.other_bytes += DraftModel::OtherBytes(config, draft);
    needs.draft_caches = draft.texts;
    needs.draft_cache_bytes = DraftModel::CacheBytes(config, draft);
  };
  if (files.draft) {
    needs.model_bytes += files.draft->bytes();
    needs.other_bytes += files.draft->config().vocab * kTokenBytes;
    add_draft(files.draft->config());
  }
  needs.request_bytes = options.request_memory_mib * kMib;
  needs.least_request_bytes = LeastRequestBytes(options);
  needs.other_flags = OtherFlags(options, files.model ? &files.model->config() : nullptr);
  needs.chosen = options.sizes_given;
  if (!files.mtp) return PlanMemory(needs, limit);
  // Nobody asked for it: it goes before anything else does. Its weights are the file's.
  const MemoryNeeds without = needs;
  add_draft(*files.mtp);
  if (auto plan = PlanMemory(needs, limit); plan && plan->draft_caches > 0) return plan;
  return PlanMemory(without, limit);
}

Result<ModelFile> OpenDraft(const Options& options, const ModelFile& model) {
  const auto fail = [](const std::string& why) {
    return Fail(ErrorKind::kInvalidArgument, "--draft-model: " + why, "draft-model");
  };
  if (model.config().encodes()) return fail("--model is a model that encodes, and has no answers");
  if (options.scheduling.longest_draft == 0) return fail("--draft-max 0 lets it guess nothing");
  TRY(ModelFile draft, ModelFile::Open(options.draft_model));
  if (draft.config().encodes()) {
    return fail(
        fmt::format("{} is of architecture {}, which makes vectors; give a model that "
                    "generates text",
                    options.draft_model, draft.config().architecture));
  }
  TRY(const Tokenizer tokenizer, model.ReadTokenizer());
  TRY(const Tokenizer draft_tokenizer, draft.ReadTokenizer());
  if (const Status same = DraftModel::CheckVocabulary(tokenizer, draft_tokenizer); !same) {
    return fail(fmt::format("{}: {}", options.draft_model, same.error().message));
  }
  return draft;
}

}  // namespace

DraftModelOptions DraftOptionsFor(const Options& options, const ModelConfig& config,
                                  const ModelConfig& draft) {
  return {.texts = std::min(kFewStreams, options.sessions),
          .context = std::min(DraftModel::kContext, draft.context),
          .vocab = config.vocab,
          .threads = options.threads,
          .longest_draft = options.scheduling.longest_draft,
          .kv_type = options.kv_type};
}

Result<Files> OpenFiles(const Options& options) {
  Files files;
  TRY(ModelFile file, ModelFile::Open(options.model));
  const bool encodes = file.config().encodes();
  if (!options.draft_model.empty()) {
    TRY(files.draft, OpenDraft(options, file));
  }
  const bool guesses = !encodes && options.scheduling.longest_draft > 0;
  if (guesses && !files.draft) files.mtp = MtpConfig(file.config());
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

Result<Plan> PlanWithin(const MemoryLimit& limit, const Options& options, const Files& files) {
  Plan plan;
  if (files.encoder) {
    const size_t asked = files.model ? 0 : options.context;
    TRY_OK(CheckContext(asked, files.encoder->config()));
    plan.encode = EncodeOptionsFor(options, files.encoder->config(), asked, limit);
  }
  if (files.model) TRY_OK(CheckContext(options.context, files.model->config()));
  TRY(plan.memory, PlanFor(options, files, plan.encode, limit));
  return plan;
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

}  // namespace lockstep
