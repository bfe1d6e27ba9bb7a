// The whole command in a process of its own: addresses, signals, exit codes.
#include "server/app/serve_command.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "server/http/http_server.h"
#include "tests/server/generation/fake_service.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

// A port of the loopback interface, which is taken for as long as this lives.
class TakenPort {
 public:
  TakenPort() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, generic, size), 0);
    EXPECT_EQ(listen(socket_, 1), 0);
    EXPECT_EQ(getsockname(socket_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~TakenPort() { close(socket_); }
  int port() const { return port_; }

 private:
  int socket_;
  int port_ = 0;
};

int FreePort() { return TakenPort().port(); }

class Serving {
 public:
  Serving(const std::string& model, int port) {
    Options options;
    options.model = model;
    options.http.port = port;
    options.threads = 2;
    options.log_level = LogLevel::kOff;
    child_ = fork();
    if (child_ == 0) _exit(RunServe(options));
  }
  ~Serving() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
  }
  void Signal(int signal) const { kill(child_, signal); }
  // -1 if it does not end by itself within ten seconds.
  int ExitCode() {
    int status = 0;
    if (!Eventually([&] { return waitpid(child_, &status, WNOHANG) == child_; })) return -1;
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t child_;
};

int StatusOf(const char* path, int port) {
  const auto status = HttpGetStatus("127.0.0.1", port, path, std::chrono::seconds(5));
  return status ? *status : 0;
}

TEST(ServeCommandTest, IsLoadingThenReadyUntilASignal) {
  const TempFile model(TinyModel());
  const int port = FreePort();
  Serving serving(model.path(), port);
  int status = 0;
  ASSERT_TRUE(Eventually([&] {
    status = StatusOf("/readyz", port);
    EXPECT_TRUE(status == 0 || status == 503 || status == 200) << status;
    return status == 200;
  }));
  EXPECT_EQ(StatusOf("/v1/models", port), 200);
  serving.Signal(SIGTERM);
  EXPECT_EQ(serving.ExitCode(), 0);
}

TEST(ServeCommandTest, ASignalDuringTheLoadEndsItWith0) {
  TinyModelOptions options;
  options.dim = 256;
  options.ffn_dim = 2048;
  const TempFile model(TinyModel(options));
  const int port = FreePort();
  Serving serving(model.path(), port);
  ASSERT_TRUE(Eventually([&] { return StatusOf("/livez", port) == 200; }));
  serving.Signal(SIGTERM);
  EXPECT_EQ(serving.ExitCode(), 0);
}

TEST(ServeCommandTest, WhatCannotBeServedHasAnExitCode) {
  const TakenPort taken;
  const TempFile model(TinyModel()), broken(std::vector<uint8_t>(100, 'x'));
  EXPECT_EQ(Serving(model.path(), taken.port()).ExitCode(), 1);
  EXPECT_EQ(Serving(broken.path(), FreePort()).ExitCode(), 2);
  EXPECT_EQ(Serving("/no/such/file", FreePort()).ExitCode(), 2);
}

}  // namespace
}  // namespace lockstep
