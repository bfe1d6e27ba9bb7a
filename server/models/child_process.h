// A process that serves one model for this one. Values; the functions are safe from any thread, but
// see StartChild.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

// The descriptors that the child finds open, besides the usual three.
inline constexpr int kChildListener = 3, kChildReady = 4;

struct ChildProcess {
  pid_t pid = -1;
  int port = 0;    // of 127.0.0.1, where it listens from the start
  int ready = -1;  // gets a line once it serves, and ends with it; the owner closes it
};

// Runs the program with the environment of this process. The child has a process group of its own,
// so that a Ctrl-C is for the parent to pass on, and is killed when the thread that started it
// ends, as it does when this process is killed. kUnavailable if that fails.
[[nodiscard]] Result<ChildProcess> StartChild(const std::string& program,
                                              const std::vector<std::string>& arguments);

}  // namespace lockstep
