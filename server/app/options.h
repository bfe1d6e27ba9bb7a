// The command line and the LOCKSTEP_* environment, checked.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/scheduler.h"
#include "core/kernels/kernels.h"
#include "server/app/bench_command.h"
#include "server/app/logging.h"
#include "server/app/perplexity_command.h"

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
  size_t prefix_cache_mib = 256;  // 0: prefixes are not kept
  size_t kv_memory_mib = 0;       // for sessions and prefix cache; 0: what the memory allows
  bool prefix_cache_given = false;
  bool sizes_given = false;  // that, --sessions, --context or --kv-memory

  size_t queue = 64;
  size_t queue_tokens = 128 * 1024;
  size_t prefill_tokens = 512;
  size_t max_body = 1024 * 1024;
  Deadlines deadlines;
  std::chrono::seconds stall_timeout{30};
  std::chrono::seconds drain_timeout{25};

  std::vector<std::string> api_keys;
  std::string api_key_file;
  std::vector<std::string> cors_origins;
  std::vector<std::string> model_aliases;
  bool lenient = false;
  bool metrics = true, vllm_metrics = true;
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
