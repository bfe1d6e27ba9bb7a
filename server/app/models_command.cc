// The parent has no model and computes nothing. A child is this program, started with the flags
// that the parent was given and a part of its memory, so that what a child answers is what the
// server of that one model answers.
#include "server/app/models_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/quoted.h"
#include "server/api/metrics.h"
#include "server/api/router.h"
#include "server/api/routes.h"
#include "server/app/hub_command.h"
#include "server/app/logging.h"
#include "server/app/models_flags.h"
#include "server/app/parse_options.h"
#include "server/app/preset_models.h"
#include "server/app/server_process.h"
#include "server/app/startup.h"
#include "server/app/startup_plan.h"
#include "server/http/http_server.h"
#include "server/http/listener.h"
#include "server/hub/model_name.h"
#include "server/models/child_process.h"
#include "server/models/model_catalog.h"
#include "server/models/parent_api.h"
#include "server/models/supervisor.h"

namespace lockstep {
namespace {

constexpr size_t kMib = size_t{1} << 20;
// What the parent takes itself, beside what requests hold. These have as much here as in a child at
// most, since each body passes through the parent.
constexpr size_t kParentBytes = 64 * kMib;
constexpr size_t kRequestShare = 8, kMostRequestBytes = 256 * kMib;
// The parent has as many threads as so many busy models would have.
constexpr size_t kBusyModels = 4;
// How long a child may take from the end of its own drain to its end.
constexpr std::chrono::seconds kEndGrace{5};
constexpr std::chrono::seconds kWriteGrace{2};

// What requests of a child may hold: fixed, so that a plan of less memory has no less of it.
size_t ChildRequestMib(const Options& options, size_t memory_of_all) {
  const size_t share = memory_of_all / options.models.most_loaded / kRequestShare;
  return std::max(LeastRequestBytes(options), std::min(share, kMostRequestBytes)) / kMib;
}

// What the child is started with.
std::vector<std::string> ArgumentsFor(const Options& options, const CatalogModel& model,
                                      size_t memory, size_t memory_of_all) {
  std::vector<std::string> arguments = options.for_children;
  arguments.insert(arguments.end(), model.arguments.begin(), model.arguments.end());
  arguments.push_back("--model=" + model.path);
  arguments.push_back(fmt::format("--memory={}", memory / kMib));
  const auto says = [&arguments](std::string_view flag) {
    return std::ranges::any_of(arguments,
                               [flag](const auto& one) { return one.starts_with(flag); });
  };
  if (options.request_memory_mib == 0 && !says("--request-memory=")) {
    arguments.push_back(
        fmt::format("--request-memory={}", ChildRequestMib(options, memory_of_all)));
  }
  arguments.push_back(fmt::format("--listen-fd={}", kChildListener));
  arguments.push_back(fmt::format("--ready-fd={}", kChildReady));
  // A child takes no other names with --strict-model.
  arguments.push_back("--model-alias=" + model.name);
  for (const std::string& alias : model.aliases) arguments.push_back("--model-alias=" + alias);
  // Without keys clients are told apart by their addresses, which only the parent sees.
  const bool keys = !options.api_keys.empty() || !options.api_key_file.empty();
  if (!keys) arguments.emplace_back("--trust-proxy");
  return arguments;
}

Result<Options> OptionsFor(const Options& options, const CatalogModel& model, size_t memory) {
  const std::vector<std::string> arguments = ArgumentsFor(options, model, memory, memory);
  std::vector<const char*> argv{"lockstep"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  ParsedOptions parsed = ParseOptions(static_cast<int>(argv.size()), argv.data());
  if (!parsed.options) return Fail(ErrorKind::kInvalidArgument, parsed.output);
  return *std::move(parsed.options);
}

SupervisorOptions MakeSupervisorOptions(const Options& options, const MemoryLimit& limit,
                                        ModelCatalog& catalog) {
  SupervisorOptions supervisor;
  supervisor.memory = limit.bytes;
  supervisor.most_loaded = options.models.most_loaded;
  supervisor.most_used = AnsweringThreads(options);
  supervisor.load_timeout = options.models.load_timeout;
  supervisor.end_timeout = options.drain_timeout + kEndGrace;
  supervisor.need = [&options, &catalog, limit](const CatalogModel& model) -> Result<size_t> {
    if (IsModelName(model.path)) {
      return Fail(ErrorKind::kNotFound,
                  fmt::format("the model {} was not fetched yet: `lockstep pull` does so",
                              Quoted(model.name)),
                  "model");
    }
    const size_t together =
        std::clamp<size_t>(catalog.List().size(), 1, options.models.most_loaded);
    TRY(const Options child, OptionsFor(options, model, limit.bytes));
    return MemoryNeed(child, limit, limit.bytes / together);
  };
  supervisor.start = [&options, limit](const CatalogModel& model, size_t memory) {
    return StartChild("/proc/self/exe", ArgumentsFor(options, model, memory, limit.bytes));
  };
  supervisor.tell = [](const CatalogModel& model, const std::string& what, bool wrong) {
    Log(wrong ? LogLevel::kError : LogLevel::kInfo, "model " + what, {{"name", model.name}});
  };
  return supervisor;
}

size_t RequestBytes(const Options& options, const MemoryLimit& machine) {
  if (options.request_memory_mib > 0) return options.request_memory_mib * kMib;
  return std::max(LeastRequestBytes(options),
                  std::min(machine.bytes / kRequestShare, kMostRequestBytes));
}

ParentSettings MakeParentSettings(const Options& options, const MemoryLimit& limit) {
  ParentSettings settings;
  settings.standard = options.models.standard;
  settings.most_loaded = options.models.most_loaded;
  settings.memory = limit.bytes;
  settings.load_timeout = options.models.load_timeout;
  settings.trust_proxy = options.api.trust_proxy;
  settings.metrics = options.metrics;
  settings.build = "lockstep-" LOCKSTEP_VERSION;
  settings.generic_tools = options.api.generate.generic_tools;
  return settings;
}

HttpServerOptions MakeHttpOptions(const Options& options, size_t request_bytes, bool has_keys) {
  HttpServerOptions http =
      HttpOptionsOf(options, kBusyModels * AnsweringThreads(options), request_bytes, has_keys);
  // A request has one line: that of its model's process, which knows tokens and times and the same
  // id. What no such process answered, or ended with, stands here.
  http.log = [](const RequestRecord& record) {
    if (record.model.empty()) LogRequest(record);
  };
  return http;
}

// The names that were fetched, which take their place behind those of the folder.
std::vector<CatalogModel> FetchedModels(bool offline) {
  std::vector<CatalogModel> models;
  for (FetchedModel& fetched : ListFetched(offline)) {
    CatalogModel model;
    model.name = std::move(fetched.name);
    model.path = std::move(fetched.path);
    model.bytes = fetched.bytes;
    model.modified = fetched.modified;
    models.push_back(std::move(model));
  }
  return models;
}

// What is wrong with flags that only the children obey is told before any of them starts.
Status CheckStart(const Options& options, ModelCatalog& catalog, const MemoryLimit& limit) {
  const std::vector<CatalogModel> models = catalog.List();
  CatalogModel any;
  any.name = "any";
  any.path = "any.gguf";
  TRY_OK(OptionsFor(options, any, limit.bytes));
  if (!options.models.standard.empty() && !catalog.Find(options.models.standard)) {
    return Fail(ErrorKind::kNotFound, fmt::format("--default-model: there is no model {}",
                                                  Quoted(options.models.standard)));
  }
  if (models.empty()) {
    Log(LogLevel::kWarning, "there is no model yet", {{"folder", options.models.folder}});
  }
  for (const CatalogModel& model : models) {
    Log(LogLevel::kInfo, "model", {{"name", model.name}, {"size", BytesText(model.bytes)}});
  }
  return {};
}

}  // namespace

int ServeModels(const Options& options, const sigset_t& signals) {
  for (const std::string& variable : VariablesOfParent()) {
    unsetenv(variable.c_str());  // NOLINT(concurrency-mt-unsafe): there are no other threads yet
  }
  std::string folder = options.models.folder;
  if (!folder.empty()) {
    std::vector<std::string> notes;
    const auto scanned = ScanModels(folder, &notes);
    if (!scanned) return ExitCode(scanned.error());
    for (const std::string& note : notes) Log(LogLevel::kWarning, note);
    folder = std::filesystem::absolute(folder).string();
  }
  auto presets = ReadPresetModels(options);
  if (!presets) return ExitCode(presets.error());
  ModelCatalog catalog(
      folder, [&options] { return FetchedModels(options.hub.offline); }, std::move(presets->models),
      std::move(presets->all));
  MemoryLimit limit = MemoryLimitOf(options);  // less what is no model's
  const size_t request_bytes = RequestBytes(options, limit);
  limit.bytes -= std::min(limit.bytes, request_bytes + kParentBytes);
  if (const Status status = CheckStart(options, catalog, limit); !status) {
    return ExitCode(status.error());
  }
  ApiSettings settings = options.api;
  auto keys = ApiKeys::Load(options.api_keys, options.api_key_file);
  if (!keys) return ExitCode(keys.error());
  settings.keys = *std::move(keys);
  const bool has_keys = !settings.keys.empty();
  HttpServerOptions http = MakeHttpOptions(options, request_bytes, has_keys);
  settings.memory = http.memory.get();

  // Each outlives those behind it, whose threads call it.
  Supervisor supervisor(MakeSupervisorOptions(options, limit, catalog));
  ParentApi parent(MakeParentSettings(options, limit), catalog, supervisor);
  settings.parent = [&parent](RouteCall& call, const Route& route) {
    return parent.Handle(call, route);
  };
  const Router router(std::move(settings));
  http.decides = [&router](const HttpRequest& head) { return router.Decides(head); };
  http.refuse = [&router](const HttpRequest& request, const ReadError& error) {
    return router.Refuse(request, error.status, error.message);
  };
  const auto server = StartUnlessEnded(
      http, [&router](const HttpRequest& request) { return router.Handle(request); }, signals);
  if (!server) return ExitCode(server.error());
  WarnOfOpenAddress(**server, options.http.host, has_keys);
  Log(LogLevel::kInfo, "serving",
      {{"models", catalog.List().size()},
       {"at_once", options.models.most_loaded},
       {"memory", BytesText(limit.bytes)},
       {"address", "http://" + HostAndPort(options.http.host, (*server)->port())}});

  for (const CatalogModel& model : catalog.List()) {
    if (model.at_start) (void)supervisor.Load(model);  // what goes wrong is logged
  }

  int signal = 0;
  sigwait(&signals, &signal);
  ExitAtTheNextSignal(signals);
  LogDrain(signal);
  (*server)->Leave();
  parent.Drain();
  std::this_thread::sleep_for(options.drain_delay);
  // Each child ends its own requests, while their answers pass through here.
  const bool ended = supervisor.Stop(options.drain_timeout + kEndGrace);
  const bool written = (*server)->Stop(kWriteGrace);
  Log(LogLevel::kInfo, "stopped", {{"all_answered", ended && written ? "yes" : "no"}});
  return 0;
}

}  // namespace lockstep
