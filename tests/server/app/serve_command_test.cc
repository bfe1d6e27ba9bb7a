// The whole command in a process of its own: addresses, signals, exit codes.
#include "server/app/serve_command.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "server/http/http_server.h"
#include "tests/server/generation/fake_service.h"
#include "tests/support/temp_file.h"
#include "tests/support/tiny_model.h"

#if defined(__has_feature)  // clang's way to say it, then gcc's
#define LOCKSTEP_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LOCKSTEP_SANITIZED 1
#else
#define LOCKSTEP_SANITIZED 0
#endif

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

Options OptionsFor(const std::string& model, int port) {
  Options options;
  options.model = model;
  options.http.port = port;
  options.threads = 2;
  options.log_level = LogLevel::kOff;
  return options;
}

class Serving {
 public:
  Serving(const std::string& model, int port) : Serving(OptionsFor(model, port), {}) {}
  // The log goes to the file `log`. `prepare` runs in the process first.
  Serving(
      const Options& options, const std::string& log, void (*prepare)() = [] {}) {
    child_ = fork();
    if (child_ != 0) return;
    if (!log.empty() && freopen(log.c_str(), "w", stderr) == nullptr) _exit(99);
    prepare();
    _exit(RunServe(options));
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

std::vector<std::string> LinesOf(const std::string& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// What one looks for, the address, is the end of the last of few lines.
TEST(ServeCommandTest, AStartIsFourLinesWithTheAddressLast) {
  const TempFile model(TinyModel()), log;
  const struct {
    const char* host;
    const char* shown;
    size_t warnings;
  } cases[] = {{"127.0.0.1", "127.0.0.1", 0}, {"::", "[::]", 1}, {"0.0.0.0", "0.0.0.0", 1}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.host);
    const int port = FreePort();
    Options options = OptionsFor(model.path(), port);
    options.http.host = c.host;
    options.log_level = LogLevel::kInfo;
    Serving serving(options, log.path());
    ASSERT_TRUE(Eventually([&] { return StatusOf("/readyz", port) == 200; }));
    std::vector<std::string> lines;
    ASSERT_TRUE(Eventually([&] {
      lines = LinesOf(log.path());
      return !lines.empty() && lines.back().find(" serving ") != std::string::npos;
    }));
    EXPECT_LE(lines.size(), 4u);
    EXPECT_THAT(lines.back(), testing::EndsWith(" address=\"http://" + std::string(c.shown) + ":" +
                                                std::to_string(port) + "\""));
    EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                            [](const std::string& line) {
                              return line.find(" warning ") != std::string::npos &&
                                     line.find("--api-key") != std::string::npos;
                            }),
              c.warnings);
    Options probe;
    probe.http.host = c.host;
    probe.http.port = port;
    EXPECT_EQ(RunProbe(probe), 0);
  }
}

// From here on this process can start some threads, but not as many as answer requests.
void LeaveTooFewThreads() {
#if LOCKSTEP_SANITIZED
  // A sanitizer ends the process where memory is limited. No address space has room for this stack.
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, size_t{1} << 52);
  pthread_setattr_default_np(&attributes);
#else
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t bytes = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + (size_t{40} << 20);
  const rlimit limit{bytes, bytes};
  setrlimit(RLIMIT_AS, &limit);
#endif
}

TEST(ServeCommandTest, WhereNoThreadsAreToBeHadItSaysSo) {
  const TempFile model(TinyModel()), log;
  Options options = OptionsFor(model.path(), FreePort());
  options.threads = 1;  // that of the command: the server's are the first to be started
  options.log_level = LogLevel::kInfo;
  Serving serving(options, log.path(), LeaveTooFewThreads);
  EXPECT_EQ(serving.ExitCode(), 1);
  const auto lines = LinesOf(log.path());
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], testing::HasSubstr("threads to answer requests"));
  EXPECT_THAT(lines[0], testing::HasSubstr("ulimit"));
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

// A terminal that is closed ends it in order, unless nohup has said that it shall not.
TEST(ServeCommandTest, AHangUpDrainsAndIsNothingUnderNohup) {
  const TempFile model(TinyModel()), log;
  const int port = FreePort();
  Options options = OptionsFor(model.path(), port);
  options.log_level = LogLevel::kInfo;
  {
    Serving serving(options, log.path());
    ASSERT_TRUE(Eventually([&] { return StatusOf("/readyz", port) == 200; }));
    serving.Signal(SIGHUP);
    EXPECT_EQ(serving.ExitCode(), 0);
    bool told = false;
    for (const std::string& line : LinesOf(log.path())) {
      told |= line.find("draining") != line.npos && line.find("SIGHUP") != line.npos;
    }
    EXPECT_TRUE(told);
  }
  Serving serving(options, log.path(), [] { std::signal(SIGHUP, SIG_IGN); });
  ASSERT_TRUE(Eventually([&] { return StatusOf("/readyz", port) == 200; }));
  serving.Signal(SIGHUP);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_EQ(StatusOf("/readyz", port), 200);
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
  // No thread's failure, but a file's.
  const TempFile log;
  Options options = OptionsFor(model.path(), FreePort());
  options.log_level = LogLevel::kError;
  options.models.presets = "/";
  EXPECT_EQ(Serving(options, log.path()).ExitCode(), 2);
  const auto lines = LinesOf(log.path());
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], testing::HasSubstr("is a directory, not a file"));
}

}  // namespace
}  // namespace lockstep
