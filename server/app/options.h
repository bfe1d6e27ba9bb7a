// What the command line and the LOCKSTEP_* environment say. A default stands at the member that the
// flag sets, here or in the options of the part that obeys it; --help and the README print it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "core/engine/scheduler.h"
#include "core/kernels/kernels.h"
#include "server/api/router.h"
#include "server/app/bench_command.h"
#include "server/app/hub_options.h"
#include "server/app/logging.h"
#include "server/app/models_options.h"
#include "server/app/perplexity_command.h"
#include "server/app/terminal_options.h"
#include "server/events/kv_event_settings.h"
#include "server/http/http_server.h"

namespace lockstep {

enum class Command {
  kServe,
  kChat,
  kGenerate,
  kVerify,
  kInspect,
  kBench,
  kPerplexity,
  kProbe,
  kPull,
  kList,
  kRemove
};

struct Options {
  Command command = Command::kServe;

  std::string model;            // path or name (IsModelName); empty: the embedded one
  std::string embedding_model;  // beside it; empty: none
  std::string draft_model;      // which guesses its answers; empty: none
  // Keeps the digests of model files; auto: the hub's settings say where; none: nowhere.
  std::string cache_dir = "auto";
  size_t threads = 0;   // that compute; UsableCpus() is filled in when it is not given
  size_t sessions = 8;  // requests that are decoded at once
  size_t context = 0;   // 0: as much of the model's as memory allows
  std::string isa = "auto";
  KvType kv_type = KvType::kF16;
  size_t prefix_cache_mib = 256;  // 0: prefixes are not kept
  std::string prefix_dir;         // empty: prefixes are in memory only
  size_t prefix_dir_mib = 10240;
  std::string prefix_store;       // the address of a server that keeps them instead; empty: none
  size_t kv_memory_mib = 0;       // for sessions and prefix cache; 0: what the memory allows
  size_t request_memory_mib = 0;  // for what requests hold; 0: a share of the memory
  size_t memory_mib = 0;          // to plan with; 0: what there is
  bool prefix_cache_given = false;
  bool whole_sessions = false;  // --sessions and --context were both given: each session has all
  bool sizes_given = false;     // any of these, --sessions or --context

  SchedulerOptions scheduling;  // the caller adds observer and prefixes
  HttpServerOptions http;       // the caller adds what follows from the rest, and the callbacks
  ApiSettings api;              // the caller adds keys and metrics
  std::chrono::milliseconds drain_delay{0};
  std::chrono::seconds drain_timeout{25};

  std::vector<std::string> api_keys;
  std::string api_key_file;
  bool metrics = true, vllm_metrics = true;
  std::string otlp_endpoint;   // of traces and metrics; empty: where the environment says
  KvEventSettings kv_events;   // the caller adds several_keys
  bool lenient_given = false;  // a flag of earlier versions, which has no effect
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;

  HubOptions hub;
  ModelsOptions models;
  ChildOptions child;
  std::vector<std::string> for_children;  // flags that were given and that each child obeys, too
  std::string inspect_file, verify_file;
  std::string probe_path = "/readyz";
  ChatOptions chat;
  GenerateCommandOptions generate;
  BenchOptions bench;
  PerplexityOptions perplexity;
};

// The threads that answer requests. Eight beyond those that generate or queue send refusals and
// finish slow downloads.
inline size_t AnsweringThreads(const Options& options) {
  return options.sessions + options.scheduling.max_queued + 8;
}

// What requests must have of memory: the largest body has to come in.
inline size_t LeastRequestBytes(const Options& options) {
  return std::max(size_t{32} << 20, 3 * options.http.limits.body);
}

}  // namespace lockstep
