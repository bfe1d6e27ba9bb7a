// The part of the command line that is about models by name. For one thread, as command_line.h.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "server/app/command_line.h"
#include "server/app/hub_options.h"

namespace lockstep {

// --hf and --offline, for the program and for the commands that load a model.
void AddHubFlags(Flags& flags, CLI::App& app, HubOptions& hub);
void AddOfflineFlag(Flags& flags, CLI::App& app, HubOptions& hub);
// pull, list and rm.
void AddHubCommands(Flags& flags, CLI::App& app, HubOptions& hub);

// Makes of --hf the model, which it says in another way. What was given on the command line counts
// more than a variable: `given` says which was. Empty, or what is wrong.
std::string TakeHubName(bool model_given, bool hf_given, HubOptions& hub, std::string& model);
// Checks a path or a name of a model: empty, or why it is no name.
std::string CheckModelName(const std::string& model);

}  // namespace lockstep
