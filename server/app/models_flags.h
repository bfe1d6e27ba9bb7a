// The flags that belong to several models under one parent.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "server/app/command_line.h"
#include "server/app/models_options.h"

namespace lockstep {

void AddModelsFlags(Flags& flags, CLI::App& app, ModelsOptions& models, size_t& memory_mib,
                    ChildOptions& child);

void AddMemoryFlag(Flags& flags, CLI::App& app, size_t& memory_mib);

// The flags of the command line as one would write them again, "--sessions=4", without those that
// are the parent's alone. REQUIRES: the command line was read, and the environment was not.
std::vector<std::string> FlagsForChildren(const CLI::App& app);
// Whether no model can have a flag of that name of its own; --model and --hf are no such flags.
bool IsOfParent(std::string_view name);
// The variables of the environment that are the parent's alone.
std::vector<std::string> VariablesOfParent();

// Empty, or what is wrong about flags that only the server of one model can obey: whether these
// were given.
struct OneModelFlags {
  bool model, embedding_model, draft_model, aliases, kv_events;
};
std::string CheckModelsFlags(const ModelsOptions& models, const OneModelFlags& given);

}  // namespace lockstep
