// A child obeys what its parent was told, by the same flags; what only one of them can obey stands
// here in one list.
#include "server/app/models_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <utility>

namespace lockstep {
namespace {

constexpr size_t kMaxModels = 1000, kMaxMib = 1 << 24, kMaxDescriptor = 1 << 20;

// The parent says these to each child in its own words, or is the only one to obey them.
constexpr std::array<std::string_view, 16> kOfParent = {
    "model",         "hf",         "hf-repo",       "host",         "port",   "models-dir",
    "default-model", "models-max", "models-preset", "load-timeout", "memory", "drain-delay",
    "listen-fd",     "ready-fd",   "help",          "version"};

}  // namespace

void AddModelsFlags(Flags& flags, CLI::App& app, ModelsOptions& models, size_t& memory_mib,
                    ChildOptions& child) {
  flags.Text(app, "--models-dir", models.folder,
             "folder of models, each served by a process of its own that the first request for it "
             "starts; besides, the models that were fetched");
  flags.Text(app, "--models-preset", models.presets,
             "file of models and of flags for each, as llama-server's: [NAME], then model = FILE, "
             "context = 8192 and so on; [*] is for all");
  flags.Text(app, "--default-model", models.standard,
             "with --models-dir, the model for requests that name none; else it is the only one");
  flags.Number(app, "--models-max", models.most_loaded, 1, kMaxModels,
               "with --models-dir, models that are loaded at once; one more ends the one that was "
               "used least recently");
  flags.Seconds(app, "--load-timeout", models.load_timeout,
                "with --models-dir, seconds that a request may wait for its model");
  AddMemoryFlag(flags, app, memory_mib);
  // Between parent and child: nobody is meant to type these.
  for (auto [name, target] :
       {std::pair("--listen-fd", &child.listener), std::pair("--ready-fd", &child.ready)}) {
    flags.ForgetVariable(flags.Number(app, name, *target, 3, kMaxDescriptor, "")->group(""));
  }
}

void AddMemoryFlag(Flags& flags, CLI::App& app, size_t& memory_mib) {
  flags.NumberOrFound(app, "--memory", memory_mib, 1, kMaxMib,
                      "MiB to plan with; without it what the machine and its control groups have");
}

std::vector<std::string> FlagsForChildren(const CLI::App& app) {
  std::vector<std::string> given;
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    const std::string& name = option->get_lnames()[0];
    if (std::ranges::find(kOfParent, name) != kOfParent.end()) continue;
    for (const std::string& value : option->results()) {
      given.push_back(fmt::format("--{}={}", name, value));
    }
  }
  return given;
}

bool IsOfParent(std::string_view name) {
  return name == "h" || (name != "model" && !name.starts_with("hf") &&
                         std::ranges::find(kOfParent, name) != kOfParent.end());
}

std::vector<std::string> VariablesOfParent() {
  std::vector<std::string> variables;
  for (const std::string_view name : kOfParent) {
    std::string variable = "LOCKSTEP_" + std::string(name);
    for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
    variables.push_back(std::move(variable));
  }
  return variables;
}

std::string CheckModelsFlags(const ModelsOptions& models, const OneModelFlags& given) {
  if (!models.several()) {
    return models.standard.empty() ? "" : "--default-model is one of --models-dir";
  }
  if (given.model) return "--models-dir: its models are served, and --model is one more";
  if (given.embedding_model) {
    return "--models-dir: put the file of --embedding-model into the folder, too";
  }
  if (given.draft_model) {
    return "--models-dir: a draft model is that of one model; --models-preset gives it one";
  }
  if (given.aliases) {
    return "--model-alias: with --models-dir a model has the name of its file or folder";
  }
  if (given.kv_events) {
    return "--kv-events: with --models-dir each model is a process that needs an address of its "
           "own; give it to one in --models-preset";
  }
  return {};
}

}  // namespace lockstep
