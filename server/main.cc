// lockstep: an inference server for GGUF language models on CPUs.
//
// Each command is a function from options to an exit code, which is all that this file knows of it.
#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <system_error>
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
      return RunInspect(options);
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

// A session is made on the stack, of the main thread and of others, whose stacks have the same
// limit: with less than 192 KiB a start ends in a segmentation fault. Templates, JSON and grammars
// recurse, too.
constexpr rlim_t kLeastStack = size_t{512} << 10;

bool HasStack() {
  rlimit limit{};
  if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= kLeastStack) return true;
  std::fprintf(stderr, "lockstep: the stack may have %zu KiB (ulimit -s), and 512 are needed\n",
               static_cast<size_t>(limit.rlim_cur >> 10));
  return false;
}

// Without this the first files that are opened would get the numbers of closed ones, and what is
// meant for a person be written into them. These can be neither read nor written to, as if closed.
void FillStandardDescriptors() {
  for (const int number : {0, 1, 2}) {
    if (fcntl(number, F_GETFD) >= 0) continue;
    if (open("/dev/null", number == 0 ? O_WRONLY : O_RDONLY) != number) return;
  }
}

// The exit code; not 0 where what was printed is lost, on a full disk for one.
int EndOutput(int code) {
  const bool had_failed = std::ferror(stdout) != 0;
  errno = 0;
  if (std::fflush(stdout) == 0 && !had_failed) return code;
  const int why = errno;
  std::fprintf(stderr, "lockstep: cannot write to stdout%s%s\n", why == 0 ? "" : ": ",
               why == 0 ? "" : std::generic_category().message(why).c_str());
  return code == 0 ? 1 : code;
}

}  // namespace
}  // namespace lockstep

// Errors are results everywhere below; what is still thrown comes from the standard library, and
// ends the program with a sentence and not with std::terminate's.
int main(int argc, char** argv) {
  lockstep::FillStandardDescriptors();
  if (!lockstep::HasStack()) return 2;
  try {
    lockstep::ParsedOptions parsed = lockstep::ParseOptions(argc, argv);
    if (parsed.options) return lockstep::EndOutput(lockstep::Run(*std::move(parsed.options)));
    std::fputs(parsed.output.c_str(), parsed.exit_code == 0 ? stdout : stderr);
    return lockstep::EndOutput(parsed.exit_code);
  } catch (const std::exception& error) {  // no memory or no threads to start with
    std::fprintf(stderr, "lockstep: %s\n", error.what());
    return 1;
  }
}
