#include "server/options.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>

#include "server/cpu_quota.h"

namespace lockstep {
namespace {

constexpr char kFooter[] = R"(
Every flag of `serve` can be given in the environment; a flag wins. To try it:

  lockstep &
  curl -sN localhost:8080/generate -H 'Content-Type: application/json' \
       -d '{"prompt": "Once upon a time", "max_tokens": 64, "stream": true}')";

// Limits against typing errors; the machine's own are found when the memory is reserved.
constexpr size_t kMaxThreads = 1024, kMaxSessions = 4096, kMaxQueue = 100'000,
                 kMaxContext = 1 << 24;

template <class T>
CLI::Option* Add(CLI::App& app, const std::string& flag, T& value, const std::string& help) {
  std::string name = "LOCKSTEP_" + flag;
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return app.add_option("--" + flag, value, help)->envname(name)->capture_default_str();
}

void AddSharedFlags(CLI::App& app, Options& options) {
  Add(app, "model", options.model, "GGUF file; without it the embedded model");
  Add(app, "host", options.host, "address to listen on");
  Add(app, "port", options.port, "port to listen on")->check(CLI::Range(1, 65535));
  Add(app, "threads", options.threads, "compute threads; by default what affinity and cgroup allow")
      ->check(CLI::Range(size_t{1}, kMaxThreads));
  Add(app, "sessions", options.sessions, "requests that are decoded at once")
      ->check(CLI::Range(size_t{1}, kMaxSessions));
  Add(app, "context", options.context,
      "tokens of prompt and answer; by default the model's, at most " +
          std::to_string(kDefaultContext))
      ->check(CLI::Range(size_t{1}, kMaxContext));
  Add(app, "isa", options.isa, "kernels: auto, or a lower one than the processor has");
  Add(app, "queue", options.queue, "requests that may wait for a session")
      ->check(CLI::Range(size_t{1}, kMaxQueue));
  Add(app, "prefill-tokens", options.prefill_tokens, "prompt tokens that one step may take in")
      ->check(CLI::Range(size_t{1}, kMaxContext));
}

void AddServeFlags(CLI::App& app, Options& options, size_t& drain_seconds) {
  Add(app, "drain-timeout", drain_seconds, "seconds that SIGTERM leaves to running requests")
      ->check(CLI::Range(size_t{1}, size_t{86'400}));
  const std::map<std::string, LogLevel> levels = {{"debug", LogLevel::kDebug},
                                                  {"info", LogLevel::kInfo},
                                                  {"warning", LogLevel::kWarning},
                                                  {"error", LogLevel::kError},
                                                  {"off", LogLevel::kOff}};
  const std::map<std::string, LogFormat> formats = {{"text", LogFormat::kText},
                                                    {"json", LogFormat::kJson}};
  Add(app, "log-level", options.log_level, "least level that is logged")
      ->transform(CLI::CheckedTransformer(levels));
  Add(app, "log-format", options.log_format, "format of the log")
      ->transform(CLI::CheckedTransformer(formats));
}

}  // namespace
}  // namespace lockstep
