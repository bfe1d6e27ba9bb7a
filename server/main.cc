// lockstep: an inference server for GGUF language models on CPUs.
#include <cstdio>

#include "server/bench_command.h"
#include "server/inspect_command.h"
#include "server/options.h"
#include "server/serve_command.h"

int main(int argc, char** argv) {
  const lockstep::ParsedOptions parsed = lockstep::ParseOptions(argc, argv);
  if (!parsed.options) {
    std::fputs(parsed.output.c_str(), parsed.exit_code == 0 ? stdout : stderr);
    return parsed.exit_code;
  }
  const lockstep::Options& options = *parsed.options;
  switch (options.command) {
    case lockstep::Command::kServe:
      return lockstep::RunServe(options);
    case lockstep::Command::kInspect:
      return lockstep::RunInspect(options.inspect_file);
    case lockstep::Command::kBench:
      return lockstep::RunBench(options.bench);
    case lockstep::Command::kProbe:
      return lockstep::RunProbe(options);
  }
  return 2;
}
