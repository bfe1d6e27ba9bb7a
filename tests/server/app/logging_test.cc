#include "server/app/logging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace lockstep
