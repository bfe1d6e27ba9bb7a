// The order of starting is what makes a restart safe: the address is taken first, so that a second
// server on it fails at once and health checks are answered while the model loads; the model is
// loaded by a thread beside, so that a signal can end a long load.
#include "server/app/serve_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "core/kernels/thread_pool.h"
#include "server/api/chat/conversation.h"
#include "server/api/metrics.h"
#include "server/api/request_fields.h"
#include "server/api/router.h"
#include "server/api/routes.h"
#include "server/app/hub_command.h"
#include "server/app/logging.h"
#include "server/app/models_command.h"
#include "server/app/server_process.h"
#include "server/app/service_manager.h"
#include "server/app/startup.h"
#include "server/http/http_server.h"
#include "server/http/listener.h"
#include "server/http/trace_context.h"
#include "server/json/json_text.h"
#include "server/telemetry/gen_ai_metrics.h"
#include "server/telemetry/http_post.h"
#include "server/telemetry/metric_exporter.h"
#include "server/telemetry/metric_json.h"
#include "server/telemetry/span_exporter.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kProgressEvery{10};
// So long answers that are already made may take to be written.
constexpr std::chrono::seconds kWriteGrace{2};

// Where new connections wait for the next process, those that were accepted bring their requests
// within this time and are answered still.
constexpr std::chrono::milliseconds kLeaving{250};
// StartEngine's thread ends within this time of the first request that is taken.
constexpr std::chrono::milliseconds kLastOfLoad{100};
// Most small models are there by then, so that whoever finds the address open finds them ready.
constexpr std::chrono::seconds kHeld{1};
// Clients wait already in a socket that outlives a restart; most models are there by then.
constexpr std::chrono::seconds kHeldWhereKept{30};

// The caller adds the metrics.
Result<ApiSettings> MakeSettings(const Options& options) {
  ApiSettings settings = options.api;
  TRY(settings.keys, ApiKeys::Load(options.api_keys, options.api_key_file));
  return settings;
}

HttpServerOptions MakeHttpOptions(const Options& options, bool has_keys) {
  HttpServerOptions http =
      HttpOptionsOf(options, AnsweringThreads(options), LeastRequestBytes(options), has_keys);
  if (options.child.listener >= 0) http.listener = options.child.listener;
  return http;
}

// Under a parent, whose children share one log, the name that this one has there.
std::string NameAmongOthers(const Options& options) {
  const auto& aliases = options.api.generate.names.aliases;
  return options.child.ready >= 0 && !aliases.empty() ? aliases.front() : std::string();
}

Result<OtlpSettings> ReadOtlp(OtlpSignal signal, const Options& options) {
  TRY(OtlpSettings settings,
      ReadOtlpSettings(signal, options.otlp_endpoint,
                       // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
                       [](const char* name) { return std::getenv(name); }));
  // Without it the numbers of several processes would be taken for those of one.
  static const std::string kProcess = NewTraceId();
  const bool named = std::ranges::any_of(
      settings.resource, [](const auto& pair) { return pair.first == "service.instance.id"; });
  if (!named) settings.resource.emplace_back("service.instance.id", kProcess);
  return settings;
}

auto PostTo(const OtlpSettings& settings) {
  return [settings](const std::string& body) { return PostJson(settings, body); };
}

// Null where nobody wants traces.
Result<std::unique_ptr<SpanExporter>> StartSpans(const Options& options) {
  TRY(const OtlpSettings settings, ReadOtlp(OtlpSignal::kTraces, options));
  if (!settings.enabled()) return nullptr;
  Log(LogLevel::kDebug, "traces", {{"url", settings.url}, {"ratio", settings.ratio}});
  return std::make_unique<SpanExporter>(
      settings, LOCKSTEP_VERSION, PostTo(settings),
      [](const std::string& trouble) { Log(LogLevel::kWarning, trouble); });
}

// Null where nobody wants metrics. What is given must outlive it.
std::unique_ptr<MetricExporter> StartMetrics(const OtlpSettings& settings, const Metrics& metrics,
                                             const GenAiMetrics& gen_ai,
                                             const GenerationService& service,
                                             const MemoryBudget& memory, Clock::time_point start) {
  if (!settings.enabled()) return nullptr;
  Log(LogLevel::kDebug, "metrics",
      {{"url", settings.url}, {"interval_ms", settings.interval.count()}});
  return std::make_unique<MetricExporter>(
      settings,
      [&, settings, start] {
        auto all = metrics.Collect(&service, 100, &memory);
        gen_ai.AddTo(all);
        const auto now = std::chrono::system_clock::now();
        return Dump(
            MetricsJson(all, settings, LOCKSTEP_VERSION, now - (Clock::now() - start), now));
      },
      PostTo(settings), [](const std::string& trouble) { Log(LogLevel::kWarning, trouble); });
}

void LogLimits(const Options& options, const HttpServerOptions& http) {
  const auto seconds = [](auto time) {
    if (time == kNoDeadline) return int64_t{0};
    return std::chrono::duration_cast<std::chrono::seconds>(time).count();
  };
  Log(LogLevel::kDebug, "limits of requests",
      {{"queue", options.scheduling.max_queued},
       {"queue_tokens", options.scheduling.max_queued_tokens},
       {"prefill_tokens", options.scheduling.prefill_tokens},
       {"draft_max", options.scheduling.longest_draft},
       {"queue_seconds", seconds(options.api.deadlines.queue)},
       {"first_token_seconds", seconds(options.api.deadlines.first_token)},
       {"request_seconds", seconds(options.api.deadlines.total)},
       {"stall_seconds", seconds(options.scheduling.stall_timeout)},
       {"drain_delay_seconds", seconds(options.drain_delay)},
       {"drain_seconds", seconds(options.drain_timeout)},
       {"json_depth", kMaxJsonDepth},
       {"stops", kMaxStops},
       {"stop_bytes", kMaxStopBytes},
       {"biases", kMaxBiases},
       {"prompts", kMaxPrompts},
       {"answers", kMaxAnswersInAll},
       {"short_answers", kMaxShortAnswers},
       {"messages", kMaxMessages},
       {"tools", kMaxTools}});
  Log(LogLevel::kDebug, "limits of HTTP",
      {{"line_bytes", http.limits.line},
       {"headers", http.limits.headers},
       {"header_bytes", http.limits.header_bytes},
       {"body_bytes", http.limits.body},
       {"header_seconds", seconds(http.limits.header_time)},
       {"body_seconds", seconds(http.limits.body_time)},
       {"idle_seconds", seconds(http.idle)},
       {"write_stall_seconds", seconds(http.write_stall)},
       {"requests_per_connection", http.requests_per_connection},
       {"connections", http.connections},
       {"threads", http.threads},
       {"waiting", http.waiting}});
}

void LogModel(const Options& options, const Model& model, const ServedModel& served,
              Clock::time_point start) {
  Log(LogLevel::kInfo, served.encodes ? "embedding model" : "model",
      {{"name", served.name},
       {"source", model.source},
       {"fingerprint", served.fingerprint},
       {"isa", model.transformer.kernels().isa},
       {"threads", options.threads},
       {"load_seconds", std::chrono::duration<double>(Clock::now() - start).count()}});
}

// The last lines of a start; the very last ends with the address, which is what one looks for.
void LogServing(const Options& options, const Engine& engine, const HttpServer& server,
                bool has_keys, Clock::time_point start) {
  if (engine.model != nullptr) LogModel(options, *engine.model, engine.service->model(), start);
  if (engine.encoder.model != nullptr) {
    LogModel(options, *engine.encoder.model, engine.encoder.service->model(), start);
  }
  WarnOfOpenAddress(server, options.http.host, has_keys);
  if (options.lenient_given) {
    Log(LogLevel::kWarning,
        "--lenient has no effect: unknown fields are ignored without it, and --strict refuses "
        "them");
  }
  Log(LogLevel::kInfo, "serving",
      {{"sessions", options.sessions},
       {"context", engine.memory.context},
       {"address", "http://" + HostAndPort(options.http.host, server.port())}});
}

// A parent waits for the line. It holds the other end of the pipe for as long as it lives, and sees
// it close when this process ends.
void TellParent(const ChildOptions& child) {
  if (child.ready >= 0 && write(child.ready, "\n", 1) < 0) {
    Log(LogLevel::kWarning, "the parent does not hear that this process is ready");
  }
}

// Lets the server accept when the engine is there, when it is fetched first, or after `held`. 0, or
// the signal that came first. It looks for a signal every 20 ms, since one cannot wait for a future
// and a signal at once.
int WaitForEngine(const sigset_t& signals, const std::future<Status>& started, const Router& router,
                  const std::atomic<bool>& fetching, std::chrono::seconds held,
                  HttpServer& server) {
  const timespec at_once{};
  const auto begin = Clock::now();
  auto next_line = begin + kProgressEvery;
  bool accepts = false;
  int signal = 0;
  while (started.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (!accepts && (fetching || Clock::now() >= begin + held)) {
      server.Accept();
      accepts = true;
    }
    signal = std::max(sigtimedwait(&signals, nullptr, &at_once), 0);
    if (signal > 0) break;
    if (Clock::now() < next_line || fetching) continue;  // a fetch has lines of its own
    Log(LogLevel::kInfo, "loading", {{"percent", router.loaded_percent()}});
    next_line += kProgressEvery;
  }
  // Who waits in a listener that is kept is left to the next process, which has more time for them.
  if (signal > 0) server.Leave();
  if (!accepts) server.Accept();
  return signal;
}

// Serves, from taking the address to the last answer; returns the exit code.
int Serve(const Options& options, const sigset_t& signals, Clock::time_point start) {
  // What costs nothing is checked first: a wrong flag or a bad key file must not wait for the
  // model.
  const auto kernels = FindKernels(options.isa);
  if (!kernels) return ExitCode(kernels.error());
  auto settings = MakeSettings(options);
  if (!settings) return ExitCode(settings.error());
  const bool has_keys = !settings->keys.empty(), several_keys = settings->keys.size() > 1;
  // All of these outlive the server, whose threads call them: it is destroyed first.
  ThreadPool pool(options.threads);
  Metrics metrics(options.vllm_metrics, DroppedLogLines);
  if (options.metrics) settings->metrics = &metrics;
  auto spans = StartSpans(options);
  if (!spans) return ExitCode(spans.error());
  auto otlp_metrics = ReadOtlp(OtlpSignal::kMetrics, options);
  if (!otlp_metrics) return ExitCode(otlp_metrics.error());
  GenAiMetrics gen_ai;
  HttpServerOptions http = MakeHttpOptions(options, has_keys);
  http.held = true;
  settings->memory = http.memory.get();
  Engine engine;
  Router router(*std::move(settings));

  http.decides = [&router](const HttpRequest& head) { return router.Decides(head); };
  http.refuse = [&router](const HttpRequest& request, const ReadError& error) {
    return router.Refuse(request, error.status, error.message);
  };
  const std::string model = NameAmongOthers(options);
  http.log = [&, sends_metrics = otlp_metrics->enabled()](const RequestRecord& record) {
    metrics.OnRequest(record);
    if (sends_metrics) gen_ai.OnRequest(record);
    if (*spans != nullptr) (*spans)->Export(record);
    LogRequest(record, model);
  };
  const auto server = StartUnlessEnded(
      http, [&router](const HttpRequest& request) { return router.Handle(request); }, signals);
  if (!server) return ExitCode(server.error());
  LogLimits(options, http);

  // The address is had from here on. Who comes in the first moments waits for the model; later, and
  // until it is there, requests are answered with 503.
  std::atomic<bool> fetching = false;
  auto started = std::async(std::launch::async, [&]() -> Status {
    Options fetched = options;
    fetched.kv_events.several_keys = several_keys;
    TRY_OK(FetchModels(fetched, FetchVoice::kLog, fetching));
    TRY(engine, StartEngine(
                    fetched, **kernels, pool, {&metrics, &metrics.encoder()},
                    [&router](size_t done, size_t total) { router.SetLoaded(done * 100 / total); },
                    *http.memory));
    router.Open(*engine.service);
    return {};
  });
  int signal = WaitForEngine(signals, started, router, fetching, http.kept ? kHeldWhereKept : kHeld,
                             **server);
  // A service manager sends its signal to parent and child, and the parent passes its own on.
  const bool has_parent = options.child.ready >= 0;
  if (signal > 0 && !has_parent) ExitAtTheNextSignal(signals);
  // The load may have come to its end together with the signal, and requests may run already.
  if (signal > 0 && started.wait_for(kLastOfLoad) != std::future_status::ready) {
    (*server)->Stop(kWriteGrace);
    Log(LogLevel::kInfo, "stopped while loading");
    _exit(0);  // nothing is lost, and the loading thread need not be waited for
  }
  if (const Status status = started.get(); !status) return ExitCode(status.error());
  LogServing(options, engine, **server, has_keys, start);
  TellParent(options.child);
  const auto sender =
      StartMetrics(*otlp_metrics, metrics, gen_ai, *engine.service, *http.memory, start);

  if (signal == 0) {
    sigwait(&signals, &signal);
    if (!has_parent) ExitAtTheNextSignal(signals);
  }
  LogDrain(signal);
  (*server)->Leave();
  engine.AnnounceDrain();
  std::this_thread::sleep_for(options.drain_delay);
  // The server goes on while the scheduler drains, so that answers under way are written and health
  // checks hear of it.
  const bool finished = engine.Drain(options.drain_timeout);
  (*server)->Stop(kWriteGrace);
  Log(LogLevel::kInfo, "stopped", {{"all_answered", finished ? "yes" : "no"}});
  return 0;
}

// An address to listen on everywhere is no address to ask. The numeric ones of loopback need no
// /etc/hosts, which a container may lack.
std::vector<std::string> HostsToProbe(const std::string& host) {
  if (host == "0.0.0.0") return {"127.0.0.1"};
  if (host == "::") return {"127.0.0.1", "::1"};
  return {host};
}

}  // namespace

int RunServe(Options options) {
  const auto start = Clock::now();
  SetUpLogging(options.log_level, options.log_format);
  const sigset_t signals = BlockSignals();
  AllowManyDescriptors();
  ShareOneHeap();
  if (options.child.listener < 0) {
    if (const Status status = ListenForRestarts(options.http); !status) {
      return ExitCode(status.error());
    }
    if (options.http.kept) options.drain_delay = std::max(options.drain_delay, kLeaving);
  }
  // The parts give back what they have when they are left by an exception.
  try {
    return options.models.several() ? ServeModels(options, signals)
                                    : Serve(options, signals, start);
  } catch (const std::system_error& error) {
    const bool thread = error.code() == std::errc::resource_unavailable_try_again;
    Log(LogLevel::kError,
        !thread ? error.what()
                : fmt::format("a thread cannot be started: {}; raise the limit of threads or of "
                              "memory (ulimit -u and -v, TasksMax), or lower --threads and --queue",
                              error.code().message()));
  } catch (const std::bad_alloc&) {
    Log(LogLevel::kError,
        "there is not enough memory to start; raise its limit (ulimit -v, MemoryMax), or lower "
        "--sessions, --context and --prefix-cache");
  }
  return 1;
}

int RunProbe(const Options& options) {
  std::string problem;
  for (const std::string& host : HostsToProbe(options.http.host)) {
    const auto status =
        HttpGetStatus(host, options.http.port, options.probe_path, std::chrono::seconds(3));
    if (status && *status >= 200 && *status < 300) return 0;
    problem = status ? fmt::format("{} answered {}", options.probe_path, *status)
                     : status.error().message;
    // A server that answers with another status has answered; the next address is tried only if
    // none did.
    if (status) break;
  }
  fmt::print(stderr, "lockstep: {}\n", problem);
  return 1;
}

}  // namespace lockstep
