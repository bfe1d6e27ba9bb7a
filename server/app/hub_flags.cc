// A name becomes the value of --model, so that one place deals with names, however they were given.
#include "server/app/hub_flags.h"

#include <fmt/format.h>

#include "core/base/quoted.h"
#include "server/hub/model_name.h"
#include "server/hub/url.h"

namespace lockstep {

void AddOfflineFlag(Flags& flags, CLI::App& app, HubOptions& hub) {
  flags.Switch(app, "--offline", hub.offline, true,
               "models by name are those that were fetched before; nothing is fetched");
}

void AddHubFlags(Flags& flags, CLI::App& app, HubOptions& hub) {
  flags.Text(app, "--hf,--hf-repo", hub.hf,
             "the model by its name on Hugging Face, USER/REPO or USER/REPO:QUANTIZATION; it is "
             "fetched once");
  AddOfflineFlag(flags, app, hub);
}

void AddHubCommands(Flags& flags, CLI::App& app, HubOptions& hub) {
  CLI::App* const pull =
      app.add_subcommand("pull", "fetch a model by its name, or its new version");
  pull->add_option("NAME", hub.names, "USER/REPO or USER/REPO:QUANTIZATION, or an address")
      ->required();
  AddOfflineFlag(flags, *pull, hub);
  app.add_subcommand("list", "print the models that were fetched");
  CLI::App* const remove = app.add_subcommand("rm", "remove a model that was fetched");
  remove->add_option("NAME", hub.names, "as `list` has it, or USER/REPO for all of one")
      ->required();
}

std::string TakeHubName(bool model_given, bool hf_given, HubOptions& hub, std::string& model) {
  if (model_given != hf_given) (hf_given ? model : hub.hf).clear();
  if (hub.hf.empty()) return {};
  if (!model.empty()) {
    return fmt::format("{} and {} are two models; the server has one", Quoted(model),
                       Quoted(hub.hf));
  }
  model = IsModelName(hub.hf) ? hub.hf : "hf://" + hub.hf;
  return {};
}

std::string CheckModelName(const std::string& model) {
  if (!IsModelName(model) || IsUrl(model)) return {};  // what an address is depends on the hub
  const auto name = ParseModelName(model, {});
  return name ? std::string() : name.error().message;
}

}  // namespace lockstep
