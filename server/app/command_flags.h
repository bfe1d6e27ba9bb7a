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

// The flags of a command that loads a model: which one, and how it computes.
void AddModelFlags(Flags& flags, CLI::App& app, Options& options);
// Those flags of AddModelFlags that say how it computes, which need no model.
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
