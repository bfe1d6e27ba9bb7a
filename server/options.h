// The command line and the LOCKSTEP_* environment, checked.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "core/kernels/kernels.h"
#include "server/bench_command.h"
#include "server/logging.h"
#include "server/perplexity_command.h"

namespace lockstep {

enum class Command { kServe, kInspect, kBench, kPerplexity, kProbe };

struct Options {
  Command command = Command::kServe;

  std::string model;  // empty: the embedded one
  std::string host = "127.0.0.1";
  int port = 8080;
  size_t threads = 0;  // of the inside of a step; filled in with UsableCpus() when not given
  size_t sessions = 8;
  size_t context = 0;  // 0: the model's, at most kDefaultContext
  std::string isa = "auto";
  KvType kv_type = KvType::kF16;
  size_t queue = 64;
  size_t prefill_tokens = 128;
  std::chrono::seconds drain_timeout{25};
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;

  std::string inspect_file;
  std::string probe_path = "/readyz";
  BenchOptions bench;
  PerplexityOptions perplexity;
};

inline constexpr size_t kDefaultContext = 2048;

// Either options, or what to print and the exit code: 0 for --help and --version, 2 with a sentence
// that names the flag for anything wrong.
struct ParsedOptions {
  std::optional<Options> options;
  int exit_code = 0;
  std::string output;
};

ParsedOptions ParseOptions(int argc, const char* const* argv);

}  // namespace lockstep
