// Counters and histograms are kept as things happen; gauges are read from the scheduler when
// somebody asks, so that nothing has to be kept in step with it.
#include "server/api/metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "server/api/encode_metrics.h"
#include "server/api/metrics_text.h"
#include "server/api/vllm_metrics.h"
#include "server/generation/generate_types.h"
#include "server/host/process_stats.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

using prometheus::ClientMetric;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Buckets = Histogram::BucketBoundaries;

// vLLM's, whose tails are as wide as a processor needs them, and finer steps below for the small
// models that a processor is used for.
const Buckets kFirstTokenBuckets = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                    0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,  10,
                                    20,    40,    80,   160,  640,  2560};
const Buckets kTokenGapBuckets = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                  0.15,  0.2,    0.3,   0.4,  0.5,   0.75, 1,     2.5,
                                  5,     7.5,    10,    20,   40,    80};
const Buckets kRequestBuckets = {0.01, 0.03, 0.1, 0.3, 0.5, 0.8, 1,   1.5, 2,   2.5, 5,    10,
                                 15,   20,   30,  40,  50,  60,  120, 240, 480, 960, 1920, 7680};
const Buckets kTokenBuckets = {1,   2,    5,    10,   20,    50,    100,  200,
                               500, 1000, 2000, 5000, 10000, 20000, 50000};
const Buckets kAnswerBuckets = {1, 2, 5, 10, 20};
const Buckets kBatchBuckets = {1, 2, 4, 8, 16, 32, 64, 128, 256};

double Ratio(size_t part, size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// The names with process_ are those that Prometheus' own client libraries give them.
void AddProcess(std::vector<MetricFamily>& all) {
  const ProcessStats process = ReadProcessStats();
  all.push_back(Value("process_resident_memory_bytes", "Resident memory.", process.resident_bytes));
  all.push_back(Value("process_open_fds", "Open file descriptors.", process.open_fds));
  all.push_back(Value("process_start_time_seconds", "Start, in Unix time.", process.start_time_s));
  all.push_back(Value("process_cpu_seconds_total", "Processor time, user and system.",
                      process.cpu_s, {}, MetricType::Counter));
  all.push_back(Value("lockstep_cpu_throttled_periods_total",
                      "Periods in which the control groups' CPU quota was used up.",
                      static_cast<double>(ThrottledPeriods()), {}, MetricType::Counter));
}

void AddState(std::vector<MetricFamily>& all, const SchedulerState& state) {
  const auto add = [&all](const char* name, const char* help, size_t value) {
    all.push_back(Value(name, help, static_cast<double>(value)));
  };
  add("lockstep_queue_requests", "Requests that wait for a session.", state.queued);
  add("lockstep_queue_tokens", "Prompt tokens of the requests that wait.", state.queued_tokens);
  add("lockstep_sessions_used", "Sessions in use.", state.running);
  add("lockstep_sessions", "Sessions in all.", state.sessions);
  add("lockstep_sessions_paused", "Sessions in use that wait for memory for keys and values.",
      state.paused);
  add("lockstep_kv_used_bytes", "Keys and values of the sessions.", state.kv_bytes);
  add("lockstep_kv_capacity_bytes", "Room for keys and values of the sessions.",
      state.kv_capacity_bytes);
  add("lockstep_prefix_used_bytes", "Keys and values of stored prefixes.", state.prefix_bytes);
  add("lockstep_prefix_capacity_bytes", "Room for stored prefixes.", state.prefix_capacity_bytes);
  if (state.archive) {
    const auto count = [&all](const char* name, const char* help, size_t value) {
      all.push_back(Value(name, help, static_cast<double>(value), {}, MetricType::Counter));
    };
    const ArchiveStats& archive = *state.archive;
    count("lockstep_prefix_archive_hits_total", "Blocks that the archive of prefixes had.",
          archive.hits);
    count("lockstep_prefix_archive_misses_total",
          "Times that the archive did not have a block, or not in time.", archive.misses);
    count("lockstep_prefix_archive_read_bytes_total", "Read from the archive.", archive.read_bytes);
    count("lockstep_prefix_archive_written_bytes_total", "Written to the archive.",
          archive.written_bytes);
    count("lockstep_prefix_archive_dropped_total",
          "Times that a block was not written, as others waited or the archive failed.",
          archive.dropped);
    count("lockstep_prefix_archive_errors_total", "Failures of the archive, and damaged blocks.",
          archive.errors);
  }
  all.push_back(Value("lockstep_predicted_wait_seconds",
                      "Until a request that came now would have its prompt read.",
                      state.predicted_wait_s));
  all.push_back(Value("lockstep_kv_usage_ratio", "Used part of the sessions' room, 0 to 1.",
                      Ratio(state.kv_bytes, state.kv_capacity_bytes)));
}

// The one of them that is so is 1: what a rule on "not ready" cannot tell apart.
MetricFamily Phase(const GenerationService* service, const SchedulerState& state) {
  const bool loaded = service != nullptr;
  return ByLabel("lockstep_state", "1 for the state that /readyz tells.", MetricType::Gauge,
                 "state",
                 {{"loading", !loaded},
                  {"draining", loaded && state.draining},
                  {"stalled", loaded && !state.draining && state.stalled},
                  {"ok", loaded && !state.draining && !state.stalled}});
}

}  // namespace

// The registry owns the families, and the references stay valid for as long as it lives. Counting
// through them takes no look-up.
struct Metrics::Families {
  prometheus::Registry registry;

  Family<Counter>& CounterFamily(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Counter& AddCounter(const char* name, const char* help) {
    return CounterFamily(name, help).Add({});
  }
  Histogram& AddHistogram(const char* name, const char* help, const Buckets& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
  }
  Histogram& AddTimes(const char* name, const char* help) {  // of requests
    return AddHistogram(name, help, kRequestBuckets);
  }
  Histogram& AddTokens(const char* name, const char* help) {
    return AddHistogram(name, help, kTokenBuckets);
  }

  Family<Counter>& http_requests =
      CounterFamily("lockstep_http_requests_total", "Requests answered, by route and outcome.");
  Family<Counter>& generations = CounterFamily(
      "lockstep_generations_total", "Generations that the scheduler took and ended, by outcome.");
  // There from the start: a rate needs a first value.
  Counter& stopped = generations.Add({{"outcome", "stop"}});
  Counter& cut = generations.Add({{"outcome", "length"}});
  Counter& cancelled = generations.Add({{"outcome", "cancelled"}});

  Counter& resumed = AddCounter("lockstep_resumed_streams_total",
                                "Streams that went on where another one had broken off.");
  Counter& prefill_tokens =
      AddCounter("lockstep_prefill_tokens_total", "Prompt tokens that were computed.");
  Counter& decode_tokens =
      AddCounter("lockstep_decode_tokens_total",
                 "Tokens computed behind a prompt, one a step, without guessed ones.");
  Counter& drafts =
      AddCounter("lockstep_drafts_total", "Steps of a session in which tokens were guessed.");
  Counter& drafted_tokens =
      AddCounter("lockstep_drafted_tokens_total", "Tokens that were guessed and checked.");
  Counter& kept_tokens =
      AddCounter("lockstep_kept_draft_tokens_total", "Guessed tokens that were right.");
  Counter& prompt_tokens =
      AddCounter("lockstep_prompt_tokens_total", "Prompt tokens of ended requests.");
  Counter& generated_tokens =
      AddCounter("lockstep_generated_tokens_total", "Tokens generated for ended requests.");
  Counter& prefix_queries = AddCounter("lockstep_prefix_query_tokens_total",
                                       "Prompt tokens that were looked for among the prefixes.");
  Counter& prefix_hits = AddCounter("lockstep_prefix_hit_tokens_total",
                                    "Prompt tokens that were taken from a stored prefix.");

  Histogram& queue = AddTimes("lockstep_queue_seconds", "From submitted to first scheduled.");
  Histogram& prefill = AddTimes("lockstep_prefill_seconds", "From first scheduled to first token.");
  Histogram& decode = AddTimes("lockstep_decode_seconds", "From first token to last.");
  Histogram& inference =
      AddTimes("lockstep_inference_seconds", "From first scheduled to last token.");
  Histogram& total = AddTimes("lockstep_generation_seconds", "From submitted to last token.");
  Histogram& first_token = AddHistogram("lockstep_time_to_first_token_seconds",
                                        "From submitted to first token.", kFirstTokenBuckets);
  Histogram& token_gap = AddHistogram("lockstep_inter_token_seconds",
                                      "Between two tokens of a request.", kTokenGapBuckets);
  Histogram& step_seconds =
      AddHistogram("lockstep_step_seconds", "Of one forward pass.", kTokenGapBuckets);
  Histogram& step_batch =
      AddHistogram("lockstep_step_batch_size", "Sessions that decode in a step.", kBatchBuckets);
  Histogram& step_tokens = AddTokens("lockstep_step_tokens", "Tokens computed in a step.");
  Histogram& request_prompt =
      AddTokens("lockstep_request_prompt_tokens", "Prompt tokens of an answered request.");
  Histogram& request_computed =
      AddTokens("lockstep_request_computed_tokens",
                "Prompt tokens of an answered request that no prefix had.");
  Histogram& request_token =
      AddHistogram("lockstep_request_token_seconds",
                   "Between two tokens of an answered request, on the average.", kTokenGapBuckets);
  Histogram& request_generated =
      AddTokens("lockstep_request_generated_tokens", "Tokens generated for a request.");
  Histogram& request_answers =
      AddHistogram("lockstep_request_answers", "Answers that a request asked for.", kAnswerBuckets);
  Histogram& request_max =
      AddTokens("lockstep_request_max_tokens", "Tokens that a request allowed an answer.");
  Histogram& request_longest =
      AddTokens("lockstep_request_longest_tokens", "Tokens of a request's longest answer.");
};

Metrics::Metrics(bool vllm_names, std::function<size_t()> dropped_log_lines)
    : families_(std::make_unique<Families>()),
      encoder_(std::make_unique<EncodeMetrics>()),
      vllm_names_(vllm_names),
      dropped_log_lines_(std::move(dropped_log_lines)) {}
Metrics::~Metrics() = default;

EncodeObserver& Metrics::encoder() { return *encoder_; }

void Metrics::OnStep(const StepStats& step) {
  families_->step_seconds.Observe(step.seconds);
  families_->step_batch.Observe(static_cast<double>(step.decoding));
  families_->step_tokens.Observe(
      static_cast<double>(step.decoding + step.prefill_tokens + step.drafted + step.fed_again));
  families_->decode_tokens.Increment(static_cast<double>(step.decoding));
  families_->prefill_tokens.Increment(static_cast<double>(step.prefill_tokens));
  families_->drafts.Increment(static_cast<double>(step.drafts));
  families_->drafted_tokens.Increment(static_cast<double>(step.drafted));
  families_->kept_tokens.Increment(static_cast<double>(step.kept));
}

void Metrics::OnFirstToken(double seconds_since_submit) {
  families_->first_token.Observe(seconds_since_submit);
}

void Metrics::OnNextToken(double seconds_since_last) {
  families_->token_gap.Observe(seconds_since_last);
}

void Metrics::OnEnd(const JobStats& stats, FinishReason finish, const Error* error) {
  Families& all = *families_;
  const auto prompt = static_cast<double>(stats.prompt_tokens);
  const auto generated = static_cast<double>(stats.generated_tokens);
  const std::string outcome(error != nullptr ? ErrorCode(error->kind) : FinishName(finish));
  all.generations.Add({{"outcome", outcome}}).Increment();
  all.queue.Observe(stats.queue_s);
  if (error == nullptr || stats.prefill_s > 0) {  // it ran
    all.prompt_tokens.Increment(prompt);
    all.generated_tokens.Increment(generated);
    all.prefix_queries.Increment(prompt);
    all.prefix_hits.Increment(static_cast<double>(stats.cached_tokens));
  }
  if (error != nullptr) return;
  all.prefill.Observe(stats.prefill_s);
  all.decode.Observe(stats.decode_s);
  all.inference.Observe(stats.prefill_s + stats.decode_s);
  all.total.Observe(stats.queue_s + stats.prefill_s + stats.decode_s);
  all.request_prompt.Observe(prompt);
  all.request_computed.Observe(prompt - static_cast<double>(stats.cached_tokens));
  all.request_generated.Observe(generated);
  if (stats.generated_tokens > 1) all.request_token.Observe(stats.decode_s / (generated - 1));
}

void Metrics::OnRequest(const RequestRecord& record) {
  if (record.resumed) families_->resumed.Increment();
  if (record.answers > 0) {
    families_->request_answers.Observe(static_cast<double>(record.answers));
    families_->request_max.Observe(static_cast<double>(record.max_tokens));
    families_->request_longest.Observe(static_cast<double>(record.longest_answer));
  }
  families_->http_requests
      .Add({{"route", record.route.empty() ? "other" : record.route},
            {"status", fmt::to_string(record.status)},
            {"outcome", record.outcome.empty() ? "ok" : record.outcome}})
      .Increment();
}

// Read once, so that all families tell of the same moment.
struct Metrics::Served {
  explicit Served(const GenerationService* served) : service(served) {
    if (service == nullptr) return;
    state = service->state();
    model = service->model();
  }

  const GenerationService* const service;  // null while the model is loading
  SchedulerState state;
  ServedModel model;
};

std::vector<MetricFamily> Metrics::Collect(const Served& served, size_t loaded_percent,
                                           const MemoryBudget* memory) const {
  const auto& [service, state, model] = served;
  std::vector<MetricFamily> all = families_->registry.Collect();
  AddState(all, state);
  if (service != nullptr) encoder_->AddTo(all, service->embeddings());
  if (memory != nullptr) {
    all.push_back(Value("lockstep_request_memory_used_bytes",
                        "Bodies, JSON, grammars and answers of all requests, as estimated.",
                        static_cast<double>(memory->used())));
    all.push_back(Value("lockstep_request_memory_capacity_bytes",
                        "What they may take; beyond it requests are refused.",
                        static_cast<double>(memory->capacity())));
  }
  AddProcess(all);
  if (dropped_log_lines_) {
    all.push_back(Value("lockstep_log_lines_dropped_total", "Log lines that could not be written.",
                        static_cast<double>(dropped_log_lines_()), {}, MetricType::Counter));
  }
  const bool ready = service != nullptr && !state.draining && !state.stalled;
  all.push_back(Value("lockstep_ready", "1 if new requests are taken, as /readyz says.", ready));
  all.push_back(Value("lockstep_model_loaded_percent", "How much of the model has been read.",
                      service != nullptr ? 100 : static_cast<double>(loaded_percent)));
  all.push_back(Value("lockstep_build_info", "Always 1; the labels are of interest.", 1,
                      {{"version", LOCKSTEP_VERSION},
                       {"model", model.name},
                       {"system_fingerprint", model.fingerprint}}));
  all.push_back(Phase(service, state));
  return all;
}

std::vector<MetricFamily> Metrics::Collect(const GenerationService* service, size_t loaded_percent,
                                           const MemoryBudget* memory) const {
  return Collect(Served(service), loaded_percent, memory);
}

std::string Metrics::Render(const GenerationService* service, size_t loaded_percent,
                            const MemoryBudget* memory) const {
  const Served served(service);
  const std::vector<MetricFamily> all = Collect(served, loaded_percent, memory);
  MetricsText text;
  for (const MetricFamily& family : all) text.Add(family);
  if (vllm_names_) AddVllmNames(text, all, served.model.name, served.state);
  return text.Take();
}

}  // namespace lockstep
