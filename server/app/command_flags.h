// The flags of the commands beside serve, and those that they share with it. For one thread, as
// command_line.h.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>

#include "server/app/command_line.h"
#include "server/app/options.h"

namespace lockstep {

// A limit against typing errors.
inline constexpr size_t kMaxContext = 1 << 24;

// Of what loads a model: which, and how it computes.
void AddModelFlags(Flags& flags, CLI::App& app, Options& options);
// How it computes: those of them that need no model.
void AddComputeFlags(Flags& flags, CLI::App& app, Options& options);
void AddCacheFlag(Flags& flags, CLI::App& app, Options& options);
void AddContextFlag(Flags& flags, CLI::App& app, Options& options);
void AddPrefillFlag(Flags& flags, CLI::App& app, Options& options);

void AddChatCommand(Flags& flags, CLI::App& app, Options& options);
void AddGenerateCommand(Flags& flags, CLI::App& app, Options& options);
void AddVerifyCommand(Flags& flags, CLI::App& app, Options& options);
void AddBenchCommand(Flags& flags, CLI::App& app, Options& options);
void AddPerplexityCommand(Flags& flags, CLI::App& app, Options& options);

}  // namespace lockstep
