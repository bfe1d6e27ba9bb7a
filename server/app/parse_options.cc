// Which flags the server has: name, bounds and help of each, in the order of --help. What a flag
// does to a value is command_line.h's, and the commands beside it are command_flags.cc's.
#include "server/app/parse_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "core/base/quoted.h"
#include "server/app/arguments.h"
#include "server/app/command_flags.h"
#include "server/app/command_line.h"
#include "server/app/hub_flags.h"
#include "server/app/models_flags.h"
#include "server/host/cpu_quota.h"
#include "server/http/address_flags.h"
#include "server/store/redis_url.h"

namespace lockstep {
namespace {

constexpr char kFooter[] = R"(
The environment can set each flag by the name beside it; the command line wins. To try it, with the
embedded model, or as `lockstep model.gguf` with another:

  lockstep &
  curl -sN localhost:8080/generate -H 'Content-Type: application/json' \
       -d '{"prompt": "Once upon a time", "max_tokens": 64, "stream": true}')";

// Limits against typing errors; the machine's own are found when the memory is reserved.
constexpr size_t kMaxSessions = 4096, kMaxQueue = 100'000, kMaxDraft = 256, kMaxMib = 1 << 24,
                 kMaxBody = size_t{1} << 30;

// Kubernetes gives each container the address of each service of its namespace in variables that
// are named after the service: one called lockstep makes LOCKSTEP_PORT=tcp://10.0.0.1:80, which is
// not a setting.
bool IsServiceAddress(const char* value) {
  return value != nullptr && std::string_view(value).find("://") != std::string_view::npos;
}

void AddAddressFlags(Flags& flags, CLI::App& app, HttpServerOptions& http) {
  flags.Text(app, "--host", http.host, "address to listen on; :: is every one of the machine")
      ->transform(CLI::Validator(TakeAddress, ""));
  CLI::Option* const port = flags.Number(app, "--port", http.port, 1, 65535, "port to listen on");
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there are no other threads yet
  if (IsServiceAddress(std::getenv("LOCKSTEP_PORT"))) flags.ForgetVariable(port);
}

void AddDraftFlags(Flags& flags, CLI::App& app, Options& options) {
  flags.Number(app, "--draft-max", options.scheduling.longest_draft, 0, kMaxDraft,
               "tokens of an answer that one step may guess from what was there before, what a "
               "grammar forces and what a model's own block for it (MTP) says; only its speed "
               "changes; 0 for none");
  flags.Text(
      app, "--draft-model", options.draft_model,
      "GGUF file of a small model of the same family that guesses where the text itself says "
      "nothing; only the speed changes");
}

void AddMemoryFlags(Flags& flags, CLI::App& app, Options& options) {
  flags.Number(app, "--sessions", options.sessions, 1, kMaxSessions,
               "requests that are decoded at once");
  AddContextFlag(flags, app, options);
  flags.Number(app, "--prefix-cache", options.prefix_cache_mib, 0, kMaxMib,
               "MiB for prompts' beginnings that may come again; 0 for none");
  flags.Choice<PrefixScope>(app, "--prefix-cache-scope", options.api.prefix_scope,
                            {{"key", PrefixScope::kKey}, {"all", PrefixScope::kAll}},
                            "who shares prompts' beginnings: key (requests of one API key) or all");
  flags.Text(app, "--prefix-dir", options.prefix_dir,
             "folder that keeps prompts' beginnings for the next start and for other servers; "
             "without it they are in memory only");
  flags.Number(app, "--prefix-dir-size", options.prefix_dir_mib, 1, kMaxMib,
               "MiB that the folder may take; what was not used for longest goes");
  flags.Text(app, "--prefix-store", options.prefix_store,
             "the same in Redis or Valkey: redis://[[user]:password@]host[:port][/database]");
  flags.NumberOrFound(app, "--kv-memory", options.kv_memory_mib, 1, kMaxMib,
                      "MiB for sessions and prefix cache; without it what the memory allows");
  flags.NumberOrFound(
      app, "--request-memory", options.request_memory_mib, 1, kMaxMib,
      "MiB for what requests hold: bodies, JSON, grammars, answers; without it a share of "
      "the memory, at most 256");
}

void AddAccessFlags(Flags& flags, CLI::App& app, Options& options) {
  flags.List(app, "--api-key", options.api_keys,
             "key that clients must send; may be repeated; without one anybody may",
             Flags::WhenEmpty::kError);
  flags.Text(app, "--api-key-file", options.api_key_file,
             "file of such keys, one a line, # for comments", Flags::WhenEmpty::kError);
  flags.Switch(app, "--trust-proxy", options.api.trust_proxy, true,
               "fair shares go by what the gateway in front says: x-llm-d-inference-fairness-id, a "
               "session's id or X-Forwarded-For");
  flags
      .List(app, "--allowed-host", options.http.allowed_hosts,
            "name that requests may have as Host, or * for any, where only this machine can reach "
            "the server and there is no key; may be repeated")
      ->check(CLI::Validator(CheckHostName, ""));
  flags
      .List(app, "--cors-origin", options.api.cors.origins,
            "origin whose web pages may use the API, or *; may be repeated")
      ->transform(CLI::Validator(TakeOrigin, ""));
  flags.List(app, "--model-alias", options.api.generate.names.aliases,
             "name of the model beside its own, listed in /v1/models; may be repeated");
  flags.Switch(app, "--strict-model", options.api.generate.names.strict, true,
               "only the model's own names and aliases are taken in requests");
  flags.Switch(
      app, "--strict", options.api.generate.strict, true,
      "unknown fields of requests are refused on every route, instead of ignored and named "
      "in a header");
  // What it asked for is the default now; whoever still says it is told so, and served.
  flags.Switch(app, "--lenient", options.lenient_given, true, "")->group("");
  flags.Switch(app, "--no-generic-tools", options.api.generate.generic_tools, false,
               "no tools for a model whose chat template has none");
  flags.Switch(app, "--no-metrics", options.metrics, false, "no /metrics");
  flags.Switch(app, "--no-vllm-metrics", options.vllm_metrics, false,
               "no second copy of the metrics under vLLM's names");
  flags.Text(app, "--otlp-endpoint", options.otlp_endpoint,
             "send a trace of each request, and metrics, to this OpenTelemetry collector, such as "
             "http://localhost:4318");
  flags.Text(
      app, "--kv-events", options.kv_events.endpoint,
      "tell a picker of endpoints which prompts' beginnings come and go, by vLLM's events over "
      "ZeroMQ: tcp://*:5557, say, is listened on, and an address without * or ::, "
      "tcp://picker:5557, connected to");
  flags.Text(
      app, "--kv-events-replay", options.kv_events.replay_endpoint,
      "address to listen on, at which the picker asks for events that it missed: tcp://*:5558, "
      "say");
  flags.Text(app, "--kv-events-pod", options.kv_events.pod,
             "name of this server in the events' topic, kv@POD@MODEL; without it the host's");
  flags.Number(app, "--max-body", options.http.limits.body, 1, kMaxBody,
               "bytes of a request's body");
}

void AddQueueFlags(Flags& flags, CLI::App& app, Options& options) {
  SchedulerOptions& scheduling = options.scheduling;
  Deadlines& deadlines = options.api.deadlines;
  flags.Number(app, "--queue", scheduling.max_queued, 1, kMaxQueue,
               "requests that may wait for a session");
  flags.Number(app, "--queue-tokens", scheduling.max_queued_tokens, 1, kMaxContext,
               "prompt tokens of requests that wait");
  AddPrefillFlag(flags, app, options);
  AddDraftFlags(flags, app, options);
  flags.Seconds(app, "--queue-timeout", deadlines.queue,
                "seconds that a request may wait for a session");
  flags.Seconds(app, "--first-token-timeout", deadlines.first_token, kNoDeadline,
                "seconds to a request's first token; 0 for no limit");
  flags.Seconds(
      app, "--request-timeout", deadlines.total, kNoDeadline,
      "seconds that a request may take, 0 for no limit; X-Request-Timeout-Ms can lower it");
  flags.Seconds(app, "--stall-timeout", scheduling.stall_timeout,
                "seconds without progress after which /readyz answers 503");
  flags.Seconds(app, "--keep-alive-timeout", options.http.idle,
                "seconds that a connection may wait for its next request");
  flags.Seconds(app, "--drain-delay", options.drain_delay, std::chrono::milliseconds(0),
                "seconds after SIGTERM in which requests are still taken, while /readyz says that "
                "others should have them");
  flags.Seconds(app, "--drain-timeout", options.drain_timeout,
                "seconds that SIGTERM leaves to running requests");
}

void AddLogFlags(Flags& flags, CLI::App& app, Options& options, bool& verbose) {
  flags.Choice<LogLevel>(app, "--log-level", options.log_level,
                         {{"debug", LogLevel::kDebug},
                          {"info", LogLevel::kInfo},
                          {"warning", LogLevel::kWarning},
                          {"error", LogLevel::kError},
                          {"off", LogLevel::kOff}},
                         "debug, info, warning, error or off");
  flags.Switch(app, "-v,--verbose", verbose, true,
               "as --log-level debug, which wins where both are given: all limits at start, and "
               "health checks");
  flags.Choice<LogFormat>(app, "--log-format", options.log_format,
                          {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}, "text or json");
}

// It tells what a server with these flags would make of the file.
void AddInspectCommand(Flags& flags, CLI::App& app, Options& options) {
  CLI::App* const inspect = app.add_subcommand(
      "inspect", "print what is in a GGUF file, and what this machine makes of it");
  inspect->add_option("FILE", options.inspect_file, "GGUF file")->required();
  AddOfflineFlag(flags, *inspect, options.hub);
  AddComputeFlags(flags, *inspect, options);
  AddMemoryFlag(flags, *inspect, options.memory_mib);
  AddMemoryFlags(flags, *inspect, options);
  AddPrefillFlag(flags, *inspect, options);
}

void AddCommands(Flags& flags, CLI::App& app, Options& options) {
  app.require_subcommand(0, 1);
  app.fallthrough();  // all flags may follow the command
  app.add_subcommand("serve", "answer HTTP requests (the default)");
  AddChatCommand(flags, app, options);
  AddGenerateCommand(flags, app, options);
  AddVerifyCommand(flags, app, options);
  AddInspectCommand(flags, app, options);
  AddBenchCommand(flags, app, options);
  AddPerplexityCommand(flags, app, options);
  CLI::App* const probe =
      app.add_subcommand("probe", "ask a server on this host whether it is ready");
  probe->add_option("--path", options.probe_path, "what to GET")->capture_default_str();
  AddAddressFlags(flags, *probe, options.http);
  AddHubCommands(flags, app, options.hub);
  for (CLI::App* command : app.get_subcommands({})) command->footer("");
  app.allow_extras();  // they are a model, or what TakeModel explains
}

// `lockstep model.gguf`: the one argument that belongs to no flag may be the model's file.
// Empty, or what is wrong.
std::string TakeModel(const CLI::App& app, Options& options) {
  for (const std::string& extra : app.remaining()) {
    const bool is_file = extra.ends_with(".gguf") || extra.find('/') != extra.npos;
    if (extra.starts_with('-') || !is_file) return UnknownArgument(app, extra);
    if (!options.model.empty() && options.model != extra) {
      return fmt::format("{} and {} are two models; the server has one", Quoted(options.model),
                         Quoted(extra));
    }
    options.model = extra;
  }
  return {};
}

// Empty, or what is wrong.
std::string CheckPrefixStore(const Options& options) {
  if (options.prefix_store.empty()) return {};
  if (const auto address = ParseRedisUrl(options.prefix_store); !address) {
    return address.error().message;
  }
  if (options.prefix_dir.empty()) return {};
  return "--prefix-store: --prefix-dir keeps prompts' beginnings already; give one of the two";
}

Command ChosenCommand(const CLI::App& app) {
  if (app.got_subcommand("chat")) return Command::kChat;
  if (app.got_subcommand("generate")) return Command::kGenerate;
  if (app.got_subcommand("verify")) return Command::kVerify;
  if (app.got_subcommand("inspect")) return Command::kInspect;
  if (app.got_subcommand("bench")) return Command::kBench;
  if (app.got_subcommand("perplexity")) return Command::kPerplexity;
  if (app.got_subcommand("probe")) return Command::kProbe;
  if (app.got_subcommand("pull")) return Command::kPull;
  if (app.got_subcommand("list")) return Command::kList;
  if (app.got_subcommand("rm")) return Command::kRemove;
  return Command::kServe;
}

// The command that was chosen; for serve the program, whose flags are all serve's.
const CLI::App& AppOfFlags(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() || chosen[0]->get_name() == "serve" ? app : *chosen[0];
}

// What follows from the flags that were given, and from those that were not.
void FillIn(const CLI::App& app, Options& options) {
  const auto given = [&app](const char* flag) {
    const CLI::Option* const own = AppOfFlags(app).get_option_no_throw(flag);
    return app.count(flag) > 0 || (own != nullptr && own->count() > 0);
  };
  options.command = ChosenCommand(app);
  options.prefix_cache_given = given("--prefix-cache");
  options.whole_sessions = given("--sessions") && given("--context");
  options.sizes_given = options.prefix_cache_given || given("--sessions") || given("--context") ||
                        given("--kv-memory") || given("--request-memory") || given("--threads") ||
                        given("--queue") || (given("--memory") && !options.models.several());
  if (options.threads == 0) options.threads = UsableCpus();
  if (app.got_subcommand("generate")) {
    options.generate.prompt_given = app.get_subcommand("generate")->count("--prompt") > 0;
  }
  // Who talks alone has all of the memory.
  const bool alone = options.command == Command::kChat || options.command == Command::kGenerate ||
                     options.command == Command::kVerify;
  if (alone && !given("--sessions")) options.sessions = 1;
  const auto share = [&options](auto& command) {
    command.model = options.model;
    command.threads = options.threads;
    command.isa = options.isa;
    command.kv_type = options.kv_type;
  };
  share(options.bench);
  share(options.perplexity);
  options.bench.prefill_tokens = options.scheduling.prefill_tokens;
}

// `serve --help` is the whole help: its flags are those of the program.
std::string Help(const CLI::App& app, Flags& flags) {
  flags.ShowVariables();
  const CLI::App& chosen = AppOfFlags(app);
  if (&chosen != &app) return chosen.help(app.get_name());
  return app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal);
}

// 2 is the usual exit code for a wrong command line.
ParsedOptions Refused(const std::string& why) { return {{}, 2, "lockstep: " + why + "\n"}; }

}  // namespace

ParsedOptions ParseOptions(int argc, const char* const* argv) {
  Options options;
  // The flags are declared into `options`, whose members have their defaults by then.
  CLI::App app("lockstep: serves a GGUF language model over HTTP", "lockstep");
  app.set_version_flag("--version", "lockstep " LOCKSTEP_VERSION);
  app.footer(kFooter);
  Flags flags;
  AddModelFlags(flags, app, options);
  flags.Text(
      app, "--embedding-model", options.embedding_model,
      "GGUF file of a model that makes vectors of texts, beside --model; alone it is --model");
  AddCacheFlag(flags, app, options);
  AddModelsFlags(flags, app, options.models, options.memory_mib, options.child);
  AddAddressFlags(flags, app, options.http);
  AddMemoryFlags(flags, app, options);
  AddAccessFlags(flags, app, options);
  AddQueueFlags(flags, app, options);
  bool verbose = false;
  AddLogFlags(flags, app, options, verbose);
  AddCommands(flags, app, options);
  bool model_given = false, hf_given = false;
  try {
    // CLI11 says all that ends a parse with exceptions, which must not leave this function.
    std::vector<std::string> arguments = ReadArguments(app, argc, argv);
    std::ranges::reverse(arguments);  // as the library takes them
    app.parse(std::move(arguments));
    model_given = !options.model.empty() || !app.remaining().empty();
    hf_given = !options.hub.hf.empty();
    options.for_children = FlagsForChildren(app);
    const bool level_typed = app.count("--log-level") > 0, verbose_typed = verbose;
    flags.ReadEnvironment(AppOfFlags(app));
    // The command line wins over the environment, and where both are in one place the level does.
    const bool has_level = level_typed || (!verbose_typed && app.count("--log-level") > 0);
    if (verbose && !has_level) options.log_level = LogLevel::kDebug;
  } catch (const CLI::CallForHelp&) {
    return {{}, 0, Help(app, flags)};
  } catch (const CLI::CallForVersion&) {
    return {{}, 0, "lockstep " LOCKSTEP_VERSION "\n"};
  } catch (const CLI::Error& error) {
    return Refused(error.what());
  }
  for (const std::string& problem :
       {TakeModel(app, options), TakeHubName(model_given, hf_given, options.hub, options.model),
        CheckModelName(options.model), CheckModelName(options.embedding_model),
        CheckModelName(options.draft_model), CheckModelName(options.inspect_file),
        CheckPrefixStore(options), CheckKvEvents(options.kv_events),
        CheckModelsFlags(
            options.models,
            {!options.model.empty(), !options.embedding_model.empty(), !options.draft_model.empty(),
             !options.api.generate.names.aliases.empty(), options.kv_events.enabled()})}) {
    if (!problem.empty()) return Refused(problem);
  }
  FillIn(app, options);
  return {std::move(options), 0, {}};
}

}  // namespace lockstep
