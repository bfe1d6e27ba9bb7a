// The parent makes the socket on which the child listens and keeps no copy: a connection waits in
// its queue while the child starts, is refused once the child has ended, and no port is guessed or
// told. Between fork and exec only what is safe after a fork of many threads is called.
#include "server/models/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>

#include "server/http/listener.h"

namespace lockstep {
namespace {

// Beyond the numbers that the child gives to them, so that none is overwritten before it is used.
constexpr int kHigh = 10;

struct Descriptors {
  int listener, ready;
};

[[noreturn]] void RunProgram(const char* program, char* const* arguments, Descriptors descriptors,
                             pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(1);  // it ended in between
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  dup2(descriptors.listener, kChildListener);
  dup2(descriptors.ready, kChildReady);
  syscall(SYS_close_range, kChildReady + 1, ~0U, CLOSE_RANGE_CLOEXEC);
  execv(program, arguments);
  _exit(127);
}

Error CannotStart(const char* what) {
  return {ErrorKind::kUnavailable,
          fmt::format("the model's process cannot be started: {}: {}", what,
                      std::generic_category().message(errno)),
          {},
          1};
}

}  // namespace

Result<ChildProcess> StartChild(const std::string& program,
                                const std::vector<std::string>& arguments) {
  TRY(const Listener listener, Listen("127.0.0.1", 0));
  const int socket = fcntl(listener.socket, F_DUPFD_CLOEXEC, kHigh);
  close(listener.socket);
  int ends[2] = {-1, -1};
  const bool piped = pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0;
  const int ready = piped ? fcntl(ends[1], F_DUPFD_CLOEXEC, kHigh) : -1;
  if (piped) close(ends[1]);
  std::vector<char*> argv{const_cast<char*>("lockstep")};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);

  const pid_t parent = getpid();
  pid_t pid = -1;
  if (socket >= 0 && ready >= 0) {
    pid = fork();
    if (pid == 0) RunProgram(program.c_str(), argv.data(), {socket, ready}, parent);
  }
  const int why = errno;
  if (socket >= 0) close(socket);
  if (ready >= 0) close(ready);
  if (pid < 0) {
    if (piped) close(ends[0]);
    errno = why;
    return tl::unexpected(CannotStart("fork"));
  }
  return ChildProcess{pid, listener.port, ends[0]};
}

}  // namespace lockstep
