// lockstep: an inference server for GGUF language models on CPUs.
//
// Each command is a function from options to an exit code, which is all that this file knows of it.
#include <cstdio>
#include <exception>
#include <utility>

#include "server/app/bench_command.h"
#include "server/app/chat_command.h"
#include "server/app/generate_command.h"
#include "server/app/hub_command.h"
#include "server/app/inspect_command.h"
#include "server/app/parse_options.h"
#include "server/app/perplexity_command.h"
#include "server/app/serve_command.h"
#include "server/app/verify_command.h"

namespace lockstep {
namespace {

// The commands that run a model on their own; the server fetches its while it answers already.
const char* NameToFetchFor(Command command) {
  switch (command) {
    case Command::kChat:
      return "chat";
    case Command::kGenerate:
      return "generate";
    case Command::kVerify:
      return "verify";
    case Command::kInspect:
      return "inspect";
    case Command::kBench:
      return "bench";
    case Command::kPerplexity:
      return "perplexity";
    default:
      return nullptr;
  }
}

int Run(Options options) {
  if (const char* const command = NameToFetchFor(options.command)) {
    if (const int code = FetchModelsFor(command, options); code != 0) return code;
  }
  switch (options.command) {
    case Command::kServe:
      return RunServe(options);
    case Command::kChat:
      return RunChat(options);
    case Command::kGenerate:
      return RunGenerate(options);
    case Command::kVerify:
      return RunVerify(options);
    case Command::kInspect:
      return RunInspect(options.inspect_file);
    case Command::kBench:
      return RunBench(options.bench);
    case Command::kPerplexity:
      return RunPerplexity(options.perplexity);
    case Command::kProbe:
      return RunProbe(options);
    case Command::kPull:
      return RunPull(options.hub.names, options.hub.offline);
    case Command::kList:
      return RunList();
    case Command::kRemove:
      return RunRemove(options.hub.names);
  }
  return 2;
}

}  // namespace
}  // namespace lockstep

// Errors are results everywhere below; what is still thrown comes from the standard library, and
// ends the program with a sentence and not with std::terminate's.
int main(int argc, char** argv) {
  try {
    lockstep::ParsedOptions parsed = lockstep::ParseOptions(argc, argv);
    if (parsed.options) return lockstep::Run(*std::move(parsed.options));
    std::fputs(parsed.output.c_str(), parsed.exit_code == 0 ? stdout : stderr);
    return parsed.exit_code;
  } catch (const std::exception& error) {  // no memory or no threads to start with
    std::fprintf(stderr, "lockstep: %s\n", error.what());
    return 1;
  }
}
