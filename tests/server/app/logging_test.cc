#include "server/app/logging.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace lockstep {
namespace {

TEST(Logging, WritesBothFormats) {
  const LogFields fields = {{"id", "a b"}, {"tokens", 3}, {"ms", 1.25}};
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "request", fields),
            "request id=\"a b\" tokens=3 ms=1.2");
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, "request", fields),
            "\"message\":\"request\",\"id\":\"a b\",\"tokens\":3,\"ms\":1.2");
}

TEST(Logging, NoValueCanForgeALine) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const std::string line = FormatLogLine(format, "m", {{"route", "/a\r\nb\x1b[2J\"\\\x7f\xff"}});
    EXPECT_THAT(line, testing::EndsWith(R"("/a\u000d\u000ab\u001b[2J\"\\\u007f\u00ff")"));
  }
  EXPECT_LT(FormatLogLine(LogFormat::kText, "m", {{"k", std::string(100'000, 'x')}}).size(), 600u);
}

TEST(Logging, ANameInAnyLanguageStaysReadable) {
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    const auto value = [format](std::string_view text) {
      const std::string line = FormatLogLine(format, "m", {{"k", text}});
      return line.substr(line.find_last_of(":=") + 1);
    };
    EXPECT_EQ(value("ünï 模型 🦊"), "\"ünï 模型 🦊\"");
    // Next line, line separator, right-to-left override, and what is cut or too long for UTF-8.
    EXPECT_EQ(value("a\xc2\x85\u2028\u202e"), R"("a\u0085\u2028\u202e")");
    EXPECT_EQ(value("\xc3(\xe2\x82"), R"("\u00c3(\u00e2\u0082")");
    EXPECT_EQ(value("\xc0\xaf"), R"("\u00c0\u00af")");
    EXPECT_EQ(value(std::string(511, 'x') + "üx"), '"' + std::string(511, 'x') + "...\"");
  }
}

TEST(Logging, ARequestIsOneLineWithoutItsText) {
  SetUpLogging(LogLevel::kInfo, LogFormat::kJson);
  RequestRecord record;
  record.request_id = "r1";
  record.trace_id = std::string(32, '1');
  record.span_id = std::string(16, '2');
  record.id = "gen-1";
  record.method = "POST";
  record.path = "/generate";
  record.status = 200;
  record.outcome = "stop";
  record.completion_tokens = 7;
  record.first_token_ms = 12.34;
  record.tokens_per_second = 56.78;
  testing::internal::CaptureStderr();
  LogRequest(record);
  RequestRecord probe;
  probe.path = "/livez";
  probe.control = true;
  probe.status = 200;
  LogRequest(probe);  // not at this level
  EXPECT_THAT(
      testing::internal::GetCapturedStderr(),
      testing::MatchesRegex("\\{\"time\":\"[^\"]+\",\"level\":\"info\",\"message\":\"request\","
                            "\"request_id\":\"r1\",\"trace_id\":\"1+\",\"span_id\":\"2+\",\"id\":"
                            "\"gen-1\",\"method\":\"POST\","
                            "\"route\":\"/generate\",\"status\":200,\"outcome\":\"stop\","
                            "\"prompt_tokens\":0,\"tokens\":7,\"first_token_ms\":12.3,"
                            "\"tokens_per_second\":56.8,\"total_ms\":0.0\\}\n"));
}

TEST(Logging, AModelAmongOthersIsNamed) {
  SetUpLogging(LogLevel::kInfo, LogFormat::kText);
  RequestRecord record;
  record.method = "GET";
  testing::internal::CaptureStderr();
  LogRequest(record, "tales");
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr("model=\"tales\" method=\"GET\""));
}

// Vectors have no id, and cost what is read for them.
TEST(Logging, WhatIsReadIsCounted) {
  SetUpLogging(LogLevel::kInfo, LogFormat::kText);
  RequestRecord record;
  record.prompt_tokens = 12;
  testing::internal::CaptureStderr();
  LogRequest(record);
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              testing::HasSubstr(" prompt_tokens=12 total"));
}

// Stands in for stderr: a pipe or a socket, of which the test reads one end.
class Stderr {
 public:
  explicit Stderr(bool socket) : before_(dup(STDERR_FILENO)) {
    int ends[2];
    EXPECT_EQ(socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends), 0);
    reader_ = ends[0];
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    fcntl(reader_, F_SETFL, O_NONBLOCK);
  }
  ~Stderr() {
    dup2(before_, STDERR_FILENO);
    close(before_);
    close(reader_);
  }
  std::string Read() const {
    std::string text;
    char data[4096];
    for (ssize_t n; (n = read(reader_, data, sizeof data)) > 0;) {
      text.append(data, static_cast<size_t>(n));
    }
    return text;
  }

 private:
  const int before_;
  int reader_ = -1;
};

TEST(Logging, NothingWaitsForALogThatIsNotRead) {
  for (const bool socket : {false, true}) {
    const Stderr log(socket);
    SetUpLogging(LogLevel::kInfo, LogFormat::kText);
    const size_t dropped_before = DroppedLogLines();
    constexpr size_t kLines = 20'000;  // megabytes: more than any buffer of the kernel
    for (size_t i = 0; i < kLines; ++i) {
      Log(LogLevel::kInfo, "line", {{"text", std::string(200, 'x')}});
    }
    const std::string kept = log.Read();
    const auto lines = static_cast<size_t>(std::count(kept.begin(), kept.end(), '\n'));
    EXPECT_GT(lines, 10u);
    EXPECT_LT(lines, kLines);
    EXPECT_EQ(DroppedLogLines() - dropped_before, kLines - lines);
    Log(LogLevel::kInfo, "read again");
    const std::string later = log.Read();
    EXPECT_THAT(later,
                testing::HasSubstr(" warning the log was not read; lines were dropped lines=" +
                                   std::to_string(kLines - lines) + "\n"));
    EXPECT_THAT(later, testing::EndsWith(" info read again\n"));
  }
}

// Lines of several times PIPE_BUF, which no pipe or socket takes at once when it is nearly full.
TEST(Logging, LinesStayWholeWhoeverReadsThemSlowly) {
  for (const bool socket : {false, true}) {
    const Stderr log(socket);
    SetUpLogging(LogLevel::kInfo, LogFormat::kJson);
    const size_t dropped_before = DroppedLogLines();
    constexpr size_t kLines = 400;  // of each thread
    constexpr size_t kThreads = 3;
    std::atomic<size_t> running = kThreads;
    std::vector<std::jthread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&running] {
        const std::string value(500, '\xff');
        for (size_t i = 0; i < kLines; ++i) {
          LogFields fields = {{"number", i}};
          for (size_t f = 0; f < i % 5; ++f) fields.emplace_back("value", value);
          Log(LogLevel::kInfo, "line", fields);
        }
        --running;
      });
    }
    std::string text;
    while (running > 0) {
      text += log.Read();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    text += log.Read();
    Log(LogLevel::kInfo, "the end");  // after what is left of another line
    text += log.Read();

    size_t whole = 0;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      ASSERT_TRUE(json.is_object()) << line.substr(0, 200);
      whole += json.at("message") == "line";
    }
    EXPECT_EQ(whole + DroppedLogLines() - dropped_before, kLines * kThreads);
    EXPECT_GT(whole, 10u);
  }
}

}  // namespace
}  // namespace lockstep
