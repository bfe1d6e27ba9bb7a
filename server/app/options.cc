#include "server/app/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/kernels/isas.h"
#include "server/host/cpu_quota.h"

namespace lockstep {
namespace {

constexpr char kFooter[] = R"(
The environment can set each flag by the name beside it; the command line wins. To try it:

  lockstep &
  curl -sN localhost:8080/generate -H 'Content-Type: application/json' \
       -d '{"prompt": "Once upon a time", "max_tokens": 64, "stream": true}')";

// Limits against typing errors; the machine's own are found when the memory is reserved.
constexpr size_t kMaxThreads = 1024, kMaxSessions = 4096, kMaxQueue = 100'000,
                 kMaxContext = 1 << 24, kMaxBatch = 1024, kMaxMib = 1 << 24,
                 kMaxBody = size_t{1} << 30, kMaxSeconds = 86'400;

const std::map<std::string, LogLevel> kLogLevels = {{"debug", LogLevel::kDebug},
                                                    {"info", LogLevel::kInfo},
                                                    {"warning", LogLevel::kWarning},
                                                    {"error", LogLevel::kError},
                                                    {"off", LogLevel::kOff}};
const std::map<std::string, KvType> kKvTypes = {{"f16", KvType::kF16}, {"q8_0", KvType::kQ8_0}};
const std::map<std::string, LogFormat> kLogFormats = {{"text", LogFormat::kText},
                                                      {"json", LogFormat::kJson}};

template <class T>
std::vector<std::string> Keys(const std::map<std::string, T>& map) {
  std::vector<std::string> keys;
  keys.reserve(map.size());
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

// What the command line says in another form than Options.
struct Words {
  size_t drain_seconds = 25, queue_seconds = 30, first_token_seconds = 120, request_seconds = 300,
         stall_seconds = 30;
  bool no_metrics = false, no_vllm_metrics = false;
  std::string log_level = "info", log_format = "text", kv_type = "f16";
};

// The bounds of a number, without the library's notes in the help.
CLI::Validator Within(size_t low, size_t high) { return CLI::Range(low, high).description(""); }

std::string Variable(const std::string& flag) {
  std::string variable = "LOCKSTEP_" + flag;
  for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return variable;
}

template <class T>
CLI::Option* Add(CLI::App& app, const std::string& flag, T& value, const std::string& help) {
  return app.add_option("--" + flag, value, help)
      ->envname(Variable(flag))
      ->type_name(std::is_same_v<T, std::string> ? "TEXT" : "N")
      ->capture_default_str();
}

// May be given more than once. What was given is not shown in the help.
void AddList(CLI::App& app, const std::string& flag, std::vector<std::string>& list,
             const std::string& help) {
  app.add_option("--" + flag, list, help)
      ->envname(Variable(flag))
      ->type_name("TEXT")
      ->type_size(1)
      ->allow_extra_args(false);
}

void AddSwitch(CLI::App& app, const std::string& flag, bool& value, const std::string& help) {
  app.add_flag("--" + flag, value, help)->envname(Variable(flag));
}

const CLI::Validator& NotEmpty() {
  static const CLI::Validator validator(
      [](std::string& text) { return text.empty() ? std::string("it is empty") : std::string(); },
      "");
  return validator;
}

// Kubernetes gives each container the address of each service of its namespace in variables that
// are named after the service: one called lockstep makes LOCKSTEP_PORT=tcp://10.0.0.1:80, which is
// not a setting.
bool IsServiceAddress(const char* value) {
  return value != nullptr && std::string_view(value).find("://") != std::string_view::npos;
}

void AddHttpFlags(CLI::App& app, Options& options, Words& words) {
  Add(app, "host", options.host, "address to listen on")->check(NotEmpty());
  CLI::Option* const port = Add(app, "port", options.port, "port to listen on");
  port->check(Within(1, 65535));
  if (IsServiceAddress(std::getenv(port->get_envname().c_str()))) port->envname("");
  AddList(app, "api-key", options.api_keys,
          "key that clients must send; may be repeated; without one anybody may");
  Add(app, "api-key-file", options.api_key_file, "file of such keys, one a line, # for comments");
  AddList(app, "cors-origin", options.cors_origins,
          "origin whose web pages may use the API, or *; may be repeated");
  AddList(app, "model-alias", options.model_aliases,
          "name of the model in requests, beside its own, or * for any; may be repeated");
  AddSwitch(app, "lenient", options.lenient,
            "unknown fields of requests are ignored, and named in a header, instead of refused");
  AddSwitch(app, "no-metrics", words.no_metrics, "no /metrics");
  AddSwitch(app, "no-vllm-metrics", words.no_vllm_metrics,
            "no second copy of the metrics under vLLM's names");
  Add(app, "max-body", options.max_body, "bytes of a request's body")->check(Within(1, kMaxBody));
}

void AddQueueFlags(CLI::App& app, Options& options, Words& words) {
  const auto seconds = [&app](const char* flag, size_t& value, const char* help) {
    Add(app, flag, value, help)->check(Within(1, kMaxSeconds));
  };
  Add(app, "queue", options.queue, "requests that may wait for a session")
      ->check(Within(1, kMaxQueue));
  Add(app, "queue-tokens", options.queue_tokens, "prompt tokens of requests that wait")
      ->check(Within(1, kMaxContext));
  Add(app, "prefill-tokens", options.prefill_tokens, "prompt tokens that one step takes at most")
      ->check(Within(1, kMaxContext));
  seconds("queue-timeout", words.queue_seconds, "seconds that a request may wait for a session");
  seconds("first-token-timeout", words.first_token_seconds, "seconds to a request's first token");
  seconds("request-timeout", words.request_seconds,
          "seconds that a request may take; X-Request-Timeout-Ms can lower it");
  seconds("stall-timeout", words.stall_seconds,
          "seconds without progress after which /readyz answers 503");
  seconds("drain-timeout", words.drain_seconds, "seconds that SIGTERM leaves to running requests");
}

void AddFlags(CLI::App& app, Options& options, Words& words) {
  Add(app, "model", options.model, "GGUF file; without it the embedded model");
  AddHttpFlags(app, options, words);
  Add(app, "threads", options.threads,
      "compute threads; without it as many as CPU affinity and cgroup allow")
      ->check(Within(1, kMaxThreads))
      ->default_str("");
  Add(app, "sessions", options.sessions, "requests that are decoded at once")
      ->check(Within(1, kMaxSessions));
  Add(app, "context", options.context,
      fmt::format("tokens of a prompt and its answer; without it the model's, at most {}",
                  kDefaultContext))
      ->check(Within(1, kMaxContext))
      ->default_str("");
  Add(app, "kv-type", words.kv_type, "keys and values: f16, or q8_0 in half the memory")
      ->check(CLI::IsMember(Keys(kKvTypes)).description(""));
  Add(app, "prefix-cache", options.prefix_cache_mib,
      "MiB for prompts' beginnings that may come again; 0 for none")
      ->check(Within(0, kMaxMib));
  Add(app, "kv-memory", options.kv_memory_mib,
      "MiB for sessions and prefix cache; without it what the memory allows")
      ->check(Within(1, kMaxMib))
      ->default_str("");
  Add(app, "isa", options.isa,
      "instruction set: auto, or " + IsaNames() + "; the answers are the same");
  AddQueueFlags(app, options, words);
  Add(app, "log-level", words.log_level, "debug, info, warning, error or off")
      ->check(CLI::IsMember(Keys(kLogLevels)).description(""));
  Add(app, "log-format", words.log_format, "text or json")
      ->check(CLI::IsMember(Keys(kLogFormats)).description(""));
}

void AddCommands(CLI::App& app, Options& options) {
  app.require_subcommand(0, 1);
  app.fallthrough();  // the shared flags may follow the command
  app.add_subcommand("serve", "answer HTTP requests (the default)");

  CLI::App* inspect = app.add_subcommand("inspect", "print what is in a GGUF file");
  inspect->add_option("FILE", options.inspect_file, "GGUF file")->required();

  CLI::App* bench = app.add_subcommand("bench", "measure prefill and decode");
  BenchOptions& flags = options.bench;
  bench->add_option("--prompt", flags.prompt, "tokens to read, such as 128,512; 0 for none")
      ->delimiter(',');
  bench->add_option("--generate", flags.generate, "tokens that each stream writes; 0 for none")
      ->delimiter(',');
  bench->add_option("--batch", flags.batch, "streams decoded together, such as 1,4,16")
      ->delimiter(',');
  bench->add_option("--depth", flags.depth, "tokens that are in the context before")
      ->delimiter(',');
  bench->add_option("--repeat", flags.repeat, "runs of each test, of which the median counts");
  for (CLI::Option* option :
       bench->get_options([](const CLI::Option* o) { return o->get_name() != "--help"; })) {
    const bool count = option->get_name() == "--batch" || option->get_name() == "--repeat";
    option->type_name("N")
        ->check(count ? Within(1, kMaxBatch) : Within(0, kMaxContext))
        ->capture_default_str();
  }
  bench->add_flag("--json", flags.json, "print JSON instead of a table");

  CLI::App* perplexity = app.add_subcommand("perplexity", "measure how well a text is predicted");
  PerplexityOptions& text = options.perplexity;
  perplexity->add_option("--file", text.file, "the text")->type_name("TEXT")->required();
  perplexity
      ->add_option(
          "--context", text.context,
          fmt::format("tokens of a window; without it the model's, at most {}", kPerplexityContext))
      ->type_name("N")
      ->check(Within(1, kMaxContext));
  perplexity->add_option("--chunks", text.chunks, "windows to evaluate; without it all")
      ->type_name("N")
      ->check(Within(1, kMaxContext));

  CLI::App* probe = app.add_subcommand("probe", "ask a server on this host whether it is ready");
  probe->add_option("--path", options.probe_path, "what to GET")->capture_default_str();
  for (CLI::App* command : app.get_subcommands({})) command->footer("");
}

Command ChosenCommand(const CLI::App& app) {
  if (app.got_subcommand("inspect")) return Command::kInspect;
  if (app.got_subcommand("bench")) return Command::kBench;
  if (app.got_subcommand("perplexity")) return Command::kPerplexity;
  if (app.got_subcommand("probe")) return Command::kProbe;
  return Command::kServe;
}

void Settle(const CLI::App& app, const Words& words, Options& options) {
  using std::chrono::seconds;
  options.drain_timeout = seconds(words.drain_seconds);
  options.stall_timeout = seconds(words.stall_seconds);
  options.deadlines = {seconds(words.queue_seconds), seconds(words.first_token_seconds),
                       seconds(words.request_seconds)};
  options.metrics = !words.no_metrics;
  options.vllm_metrics = !words.no_vllm_metrics;
  options.kv_type = kKvTypes.at(words.kv_type);
  options.log_level = kLogLevels.at(words.log_level);
  options.log_format = kLogFormats.at(words.log_format);
  const auto given = [&app](const char* flag) { return app.count(flag) > 0; };
  options.prefix_cache_given = given("--prefix-cache");
  options.sizes_given = options.prefix_cache_given || given("--sessions") || given("--context") ||
                        given("--kv-memory");
}

// `serve --help` is the whole help: its flags are those of the program.
std::string Help(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  if (!chosen.empty() && chosen[0]->get_name() != "serve") return chosen[0]->help(app.get_name());
  return app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal);
}

}  // namespace

ParsedOptions ParseOptions(int argc, const char* const* argv) {
  Options options;
  Words words;
  CLI::App app("lockstep: serves a GGUF language model over HTTP", "lockstep");
  app.set_version_flag("--version", "lockstep " LOCKSTEP_VERSION);
  app.footer(kFooter);
  AddFlags(app, options, words);
  AddCommands(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return {{}, 0, Help(app)};
  } catch (const CLI::CallForVersion&) {
    return {{}, 0, "lockstep " LOCKSTEP_VERSION "\n"};
  } catch (const CLI::Error& error) {
    return {{}, 2, std::string("lockstep: ") + error.what() + "\n"};
  }
  options.command = ChosenCommand(app);
  Settle(app, words, options);
  if (options.threads == 0) options.threads = UsableCpus();
  const auto share = [&options](auto& command) {
    command.model = options.model;
    command.threads = options.threads;
    command.isa = options.isa;
    command.kv_type = options.kv_type;
  };
  share(options.bench);
  share(options.perplexity);
  options.bench.prefill_tokens = options.prefill_tokens;
  return {std::move(options), 0, {}};
}

}  // namespace lockstep
