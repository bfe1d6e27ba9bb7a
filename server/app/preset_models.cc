// Settings are checked by the reader of the command line itself, so that a preset can say what a
// flag can, and is refused in the same words.
#include "server/app/preset_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "core/base/quoted.h"
#include "server/app/command_line.h"
#include "server/app/hub_command.h"
#include "server/app/models_flags.h"
#include "server/app/parse_options.h"
#include "server/host/read_file.h"
#include "server/http/http_types.h"
#include "server/hub/model_name.h"
#include "server/models/model_presets.h"

namespace lockstep {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

std::string_view NameOfFlag(std::string_view argument) {
  return argument.substr(0, argument.find('='));
}

// Without those that the command line has given, too.
std::vector<std::string> Beside(const std::vector<std::string>& given,
                                std::vector<std::string> arguments) {
  std::erase_if(arguments, [&given](const std::string& argument) {
    return std::ranges::any_of(
        given, [&](const std::string& other) { return NameOfFlag(other) == NameOfFlag(argument); });
  });
  return arguments;
}

// What the settings of one section mean, where those of [*] mean `all`.
Result<CatalogModel> ModelOf(const std::string& name, const Settings& settings,
                             const CatalogModel& all, const Options& options) {
  const auto fail = [&name](std::string_view what) {
    return Fail(ErrorKind::kInvalidArgument, fmt::format("--models-preset: [{}]: {}", name, what),
                "models-preset");
  };
  CatalogModel model = all;
  model.name = name;
  std::vector<std::string> arguments;
  for (const auto& [key, value] : settings) {
    if (key == "alias") {
      for (std::string_view rest = value; !rest.empty();) {
        const std::string_view item = rest.substr(0, rest.find(','));
        if (!TrimSpaces(item).empty()) model.aliases.emplace_back(TrimSpaces(item));
        rest.remove_prefix(std::min(item.size() + 1, rest.size()));
      }
    } else if (key == "load-on-startup") {
      const auto yes = ReadSwitch(value.empty() ? "yes" : value);
      if (!yes) return fail(key + ": " + yes.error().message);
      model.at_start = *yes;
    } else if (IsOfParent(key)) {
      return fail(Quoted(key) + " is the whole server's, and a flag of its command line");
    } else {
      // Without a value it is a switch that is on.
      std::string& flag = arguments.emplace_back(key.size() == 1 ? "-" : "--");
      flag.append(key);
      if (!value.empty()) flag.append("=").append(value);
    }
  }
  std::vector<const char*> argv{"lockstep"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  const ParsedOptions parsed = ParseOptions(static_cast<int>(argv.size()), argv.data());
  if (!parsed.options || parsed.options->command != Command::kServe) {
    return fail(TrimSpaces(parsed.output, "\n"));
  }
  std::vector<std::string> own = Beside(options.for_children, parsed.options->for_children);
  for (std::string& argument : Beside(own, std::move(model.arguments))) {
    own.push_back(std::move(argument));
  }
  model.arguments = std::move(own);
  model.path = parsed.options->model;
  return model;
}

// An alias says which one model is meant.
Status CheckAliases(const std::vector<CatalogModel>& models) {
  std::map<std::string, std::string> owners;
  for (const CatalogModel& model : models) owners.emplace(model.name, model.name);
  for (const CatalogModel& model : models) {
    for (const std::string& alias : model.aliases) {
      const auto [owner, added] = owners.emplace(alias, model.name);
      if (added || owner->second == model.name) continue;
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("--models-preset: [{}]: alias {} is a name of {} already", model.name,
                              Quoted(alias), Quoted(owner->second)),
                  "models-preset");
    }
  }
  return {};
}

// The file of a name on a hub, as it was fetched before.
std::string PathOfName(const std::string& name, const std::vector<FetchedModel>& fetched) {
  const auto wanted = ParseModelName(name, {});
  if (!wanted) return name;
  const std::string text = wanted->Text();
  for (const FetchedModel& model : fetched) {
    if (model.name == text || model.name.starts_with(text + ":")) return model.path;
  }
  return name;
}

}  // namespace

Result<PresetModels> ReadPresetModels(const Options& options) {
  PresetModels found;
  const std::string& path = options.models.presets;
  if (path.empty()) return found;
  const auto text = ReadSmallFile(path);
  if (!text) {
    return Fail(text.error().kind, "--models-preset: " + text.error().message, "models-preset");
  }
  Settings all;
  TRY(const std::vector<ModelPreset> presets, ParsePresets(*text, path, all));
  TRY(const CatalogModel any, ModelOf("*", all, {}, options));
  if (!any.aliases.empty() || !any.path.empty()) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("--models-preset: [*]: {} is of one model, and not of all",
                            any.path.empty() ? "an alias" : "a file"),
                "models-preset");
  }
  found.all = any.arguments;
  const std::vector<FetchedModel> fetched = ListFetched(options.hub.offline);
  for (const ModelPreset& preset : presets) {
    TRY(CatalogModel model, ModelOf(preset.name, preset.settings, any, options));
    if (IsModelName(model.path)) model.path = PathOfName(model.path, fetched);
    found.models.push_back(std::move(model));
  }
  TRY_OK(CheckAliases(found.models));
  return found;
}

}  // namespace lockstep
