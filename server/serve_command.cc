#include "server/serve_command.h"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
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

void LogStart(const Options& options, const Model& model, const HttpServerOptions& http,
              size_t context) {
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
  Log(LogLevel::kInfo, "serving",
      {{"address", fmt::format("http://{}:{}", http.host, http.port)},
       {"model", model.name},
       {"source", model.source},
       {"fingerprint", model.fingerprint},
       {"isa", model.transformer.kernels().isa},
       {"threads", options.threads},
       {"sessions", options.sessions},
       {"context", context}});
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
  SetUpLogging(options.log_level, options.log_format);
  const sigset_t signals = BlockSignals();
  const auto kernels = FindKernels(options.isa);
  if (!kernels) return ExitCode(kernels.error());
  ThreadPool pool(options.threads);

  Log(LogLevel::kInfo, "loading the model",
      {{"source", options.model.empty() ? "embedded" : options.model}});
  const auto model = LoadModel(options.model, **kernels, pool);
  if (!model) return ExitCode(model.error());
  for (const std::string& warning : (*model)->warnings) Log(LogLevel::kWarning, warning);

  const auto context = FindContext(options, (*model)->config());
  if (!context) return ExitCode(context.error());
  Log(LogLevel::kInfo, "reserving sessions",
      {{"sessions", options.sessions}, {"context", *context}});
  const auto sessions =
      SessionPool::Create((*model)->config(), (*model)->tokenizer, options.sessions, *context);
  if (!sessions) return ExitCode(sessions.error());
  Scheduler scheduler((*model)->transformer, **sessions, pool,
                      {options.queue, options.prefill_tokens});
  SchedulerService service(**model, scheduler, *context);
  const ApiHandlers handlers(service);

  HttpServerOptions http;
  http.host = options.host;
  http.port = options.port;
  http.threads = options.sessions + options.queue + 8;  // the last answer health checks and refuse
  http.log = LogRequest;
  const auto server = HttpServer::Start(
      http, [&handlers](const HttpRequest& request) { return handlers.Handle(request); });
  if (!server) return ExitCode(server.error());
  LogStart(options, **model, http, *context);

  if (!WaitForSignal(signals, **server)) {
    return ExitCode({ErrorKind::kUnavailable, "no more connections can be accepted", {}});
  }
  const bool finished = scheduler.Drain(options.drain_timeout);
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
