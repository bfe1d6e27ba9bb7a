// These few calls are each of the whole process's, so that they stand apart from what it serves.
#include "server/app/server_process.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <future>
#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "core/base/memory_budget.h"
#include "server/api/routes.h"
#include "server/app/logging.h"

namespace lockstep {
namespace {

constexpr rlim_t kDescriptors = 8192;

}  // namespace

sigset_t BlockSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // A terminal that is closed, or who hopes for a reload, gets a drain; under nohup nothing ends.
  struct sigaction hang_up {};
  sigaction(SIGHUP, nullptr, &hang_up);
  if (hang_up.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// The thread is detached, as nothing waits for it if there is no second signal.
void ExitAtTheNextSignal(const sigset_t& signals) {
  std::thread([signals] {
    int second_signal = 0;
    sigwait(&signals, &second_signal);
    _exit(1);
  }).detach();
}

void ShareOneHeap() {
  mallopt(M_ARENA_MAX, 1);  // NOLINT(concurrency-mt-unsafe): there are no other threads yet
}

void AllowManyDescriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, kDescriptors);
  setrlimit(RLIMIT_NOFILE, &limit);
}

int ExitCode(const Error& error) {
  const bool must_change = error.kind == ErrorKind::kBadFile ||
                           error.kind == ErrorKind::kInvalidArgument ||
                           error.kind == ErrorKind::kNotFound;
  Log(LogLevel::kError, error.message);
  return must_change ? 2 : 1;
}

HttpServerOptions HttpOptionsOf(const Options& options, size_t threads, size_t request_bytes,
                                bool has_keys) {
  HttpServerOptions http = options.http;
  http.threads = threads;
  // All that the threads can answer must find a connection, and others must still get in.
  http.connections = std::max(http.connections, 2 * (http.threads + http.waiting));
  http.memory = std::make_shared<MemoryBudget>(request_bytes);
  http.is_control = IsControlPath;
  http.is_scrape = IsScrapePath;
  http.guard_loopback = !has_keys;
  return http;
}

// It looks for a signal every 20 ms, since one cannot wait for a future and a signal at once.
Result<std::unique_ptr<HttpServer>> StartUnlessEnded(const HttpServerOptions& options,
                                                     HttpHandler handler, const sigset_t& signals) {
  std::future<Result<std::unique_ptr<HttpServer>>> started;
  try {
    started = std::async(std::launch::async,
                         [&] { return HttpServer::Start(options, std::move(handler)); });
  } catch (const std::system_error&) {  // no thread, which Start says better
    return HttpServer::Start(options, std::move(handler));
  }
  const timespec at_once{};
  while (started.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (sigtimedwait(&signals, nullptr, &at_once) <= 0) continue;
    Log(LogLevel::kInfo, "stopped while starting");
    _exit(0);  // there is nothing yet that could be lost
  }
  return started.get();
}

void WarnOfOpenAddress(const HttpServer& server, const std::string& host, bool has_keys) {
  if (has_keys || server.loopback()) return;
  Log(LogLevel::kWarning,
      "whoever reaches the address may use the server: --api-key or --api-key-file restricts it",
      {{"host", host}});
}

void LogDrain(int signal) {
  Log(LogLevel::kInfo, "draining; a second signal ends at once",
      {{"signal", signal == SIGTERM  ? "SIGTERM"
                  : signal == SIGHUP ? "SIGHUP"
                                     : "SIGINT"}});
}

}  // namespace lockstep
