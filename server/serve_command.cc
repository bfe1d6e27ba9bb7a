#include "server/serve_command.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <future>
#include <memory>
#include <thread>

#include "core/kernels/dispatch.h"
#include "core/model.h"
#include "core/scheduler.h"
#include "core/session_pool.h"
#include "core/text.h"
#include "server/api_handlers.h"
#include "server/generation_service.h"
#include "server/http_server.h"
#include "server/logging.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kProgressEvery{2};
// For answers that are already made and only have to be written.
constexpr std::chrono::seconds kWriteGrace{2};

// The signals that end the server are waited for by one thread, not handled in whichever runs.
// REQUIRES: called before any other thread starts, as they inherit the mask.
sigset_t BlockSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int ExitCode(const Error& error) {
  const int code =
      error.kind == ErrorKind::kBadFile || error.kind == ErrorKind::kInvalidArgument ? 2 : 1;
  Log(LogLevel::kError, error.message);
  return code;
}

Result<const KernelTable*> FindKernels(const std::string& isa) {
  const KernelChoice choice = ChooseKernels(isa);
  if (choice.kernels == nullptr) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--isa: {} is unknown, or this processor lacks it", Quoted(isa)),
                "isa");
  }
  if (choice.rejected != nullptr) {
    Log(LogLevel::kWarning, "these kernels fail their self-test and are not used",
        {{"isa", choice.rejected}, {"instead", choice.kernels->isa}});
  }
  return choice.kernels;
}

Result<size_t> FindContext(const Options& options, const ModelConfig& config) {
  if (options.context > config.context) {
    return Fail(
        ErrorKind::kInvalidArgument,
        fmt::format("--context: {} is more than the model's {}", options.context, config.context),
        "context");
  }
  return options.context > 0 ? options.context : std::min(config.context, kDefaultContext);
}

// All that the routes need of the core.
struct Engine {
  std::unique_ptr<Model> model;
  size_t context = 0;
  std::unique_ptr<SessionPool> sessions;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<SchedulerService> service;
};

Result<Engine> StartEngine(const Options& options, const KernelTable& kernels, ThreadPool& pool,
                           const LoadProgress& progress) {
  auto model = LoadModel(options.model, kernels, pool, progress);
  if (!model) return tl::unexpected(model.error());
  for (const std::string& warning : (*model)->warnings) Log(LogLevel::kWarning, warning);
  const auto context = FindContext(options, (*model)->config());
  if (!context) return tl::unexpected(context.error());
  Log(LogLevel::kInfo, "reserving sessions",
      {{"sessions", options.sessions}, {"context", *context}});
  auto sessions =
      SessionPool::Create((*model)->config(), (*model)->tokenizer, options.sessions, *context);
  if (!sessions) return tl::unexpected(sessions.error());

  Engine engine{*std::move(model), *context, *std::move(sessions), nullptr, nullptr};
  engine.scheduler =
      std::make_unique<Scheduler>(engine.model->transformer, *engine.sessions, pool,
                                  SchedulerOptions{options.queue, options.prefill_tokens});
  engine.service = std::make_unique<SchedulerService>(*engine.model, *engine.scheduler, *context);
  return engine;
}

void LogLimits(const Options& options, const HttpServerOptions& http) {
  Log(LogLevel::kInfo, "limits",
      {{"queue", options.queue},
       {"prefill_tokens", options.prefill_tokens},
       {"body_bytes", http.limits.body},
       {"headers", http.limits.headers},
       {"header_bytes", http.limits.header_bytes},
       {"header_seconds", http.limits.header_time.count() / 1000},
       {"body_seconds", http.limits.body_time.count() / 1000},
       {"write_stall_seconds", http.write_stall.count() / 1000},
       {"http_threads", http.threads},
       {"drain_seconds", options.drain_timeout.count()}});
}

void LogServing(const Options& options, const Engine& engine, Clock::time_point start) {
  Log(LogLevel::kInfo, "serving",
      {{"address", fmt::format("http://{}:{}", options.host, options.port)},
       {"model", engine.model->name},
       {"source", engine.model->source},
       {"fingerprint", engine.model->fingerprint},
       {"isa", engine.model->transformer.kernels().isa},
       {"threads", options.threads},
       {"sessions", options.sessions},
       {"context", engine.context},
       {"load_seconds", std::chrono::duration<double>(Clock::now() - start).count()}});
}

// False if a signal came first.
bool WaitForEngine(const sigset_t& signals, const std::future<Status>& started,
                   const ApiHandlers& handlers) {
  const timespec tick{0, 20'000'000};
  auto next_line = Clock::now() + kProgressEvery;
  while (started.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    if (sigtimedwait(&signals, nullptr, &tick) > 0) return false;
    if (Clock::now() < next_line) continue;
    Log(LogLevel::kInfo, "loading", {{"percent", handlers.loaded_percent()}});
    next_line += kProgressEvery;
  }
  return true;
}

// Until a signal comes. False if the server ended by itself.
bool WaitForSignal(const sigset_t& signals, const HttpServer& server) {
  const timespec second{1, 0};
  while (server.running()) {
    if (const int signal = sigtimedwait(&signals, nullptr, &second); signal > 0) {
      Log(LogLevel::kInfo, "draining; a second signal ends at once",
          {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
      std::thread([signals] {
        int second_signal = 0;
        sigwait(&signals, &second_signal);
        _exit(1);
      }).detach();
      return true;
    }
  }
  return false;
}

}  // namespace

int RunServe(const Options& options) {
  const auto start = Clock::now();
  SetUpLogging(options.log_level, options.log_format);
  const sigset_t signals = BlockSignals();
  const auto kernels = FindKernels(options.isa);
  if (!kernels) return ExitCode(kernels.error());
  ThreadPool pool(options.threads);
  Engine engine;  // outlives the server
  ApiHandlers handlers;

  HttpServerOptions http;
  http.host = options.host;
  http.port = options.port;
  http.threads = options.sessions + options.queue + 8;  // the last answer health checks and refuse
  http.log = LogRequest;
  const auto server = HttpServer::Start(
      http, [&handlers](const HttpRequest& request) { return handlers.Handle(request); });
  if (!server) return ExitCode(server.error());
  LogLimits(options, http);
  Log(LogLevel::kInfo, "loading the model",
      {{"source", options.model.empty() ? "embedded" : options.model}});

  auto started = std::async(std::launch::async, [&]() -> Status {
    auto built = StartEngine(options, **kernels, pool, [&handlers](size_t done, size_t total) {
      handlers.SetLoaded(done * 100 / total);
    });
    if (!built) return tl::unexpected(built.error());
    engine = *std::move(built);
    handlers.Open(*engine.service);
    return {};
  });
  if (!WaitForEngine(signals, started, handlers)) {
    (*server)->Stop(kWriteGrace);
    Log(LogLevel::kInfo, "stopped while loading");
    _exit(0);  // nothing is lost, and the loading thread need not be waited for
  }
  if (const Status status = started.get(); !status) return ExitCode(status.error());
  LogServing(options, engine, start);

  if (!WaitForSignal(signals, **server)) {
    return ExitCode({ErrorKind::kUnavailable, "no more connections can be accepted", {}});
  }
  const bool finished = engine.scheduler->Drain(options.drain_timeout);
  (*server)->Stop(kWriteGrace);
  Log(LogLevel::kInfo, "stopped", {{"all_answered", finished ? "yes" : "no"}});
  return 0;
}

int RunProbe(const Options& options) {
  // An address to listen on everywhere is no address to ask. The numeric ones of loopback need no
  // /etc/hosts, which a container may lack.
  const std::string host = options.host == "0.0.0.0" ? "127.0.0.1"
                           : options.host == "::"    ? "::1"
                                                     : options.host;
  const auto status =
      HttpGetStatus(host, options.port, options.probe_path, std::chrono::seconds(3));
  if (status && *status >= 200 && *status < 300) return 0;
  fmt::print(
      stderr, "lockstep: {}\n",
      status ? fmt::format("{} answered {}", options.probe_path, *status) : status.error().message);
  return 1;
}

}  // namespace lockstep
