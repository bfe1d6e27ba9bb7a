#include "server/http/error_reply.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lockstep {
namespace {

TEST(ErrorReplyTest, EachKindHasItsStatusTypeAndCode) {
  const struct {
    ErrorKind kind;
    int status;
    const char *type, *code;
  } cases[] = {
      {ErrorKind::kInvalidArgument, 400, "invalid_request_error", "null"},
      {ErrorKind::kContextExceeded, 400, "invalid_request_error", "\"context_length_exceeded\""},
      {ErrorKind::kNotFound, 404, "invalid_request_error", "\"model_not_found\""},
      {ErrorKind::kOverloaded, 429, "rate_limit_exceeded", "\"queue_full\""},
      {ErrorKind::kUnavailable, 503, "server_error", "\"unavailable\""},
      {ErrorKind::kDeadlineExceeded, 504, "server_error", "\"deadline_exceeded\""},
      {ErrorKind::kCancelled, 499, "server_error", "\"cancelled\""},
      {ErrorKind::kBadFile, 500, "server_error", "\"internal_error\""},
      {ErrorKind::kInternal, 500, "server_error", "\"internal_error\""},
  };
  for (const auto& c : cases) {
    const HttpReply reply = ErrorReply({c.kind, "a \"b\"", "field"});
    EXPECT_EQ(reply.status, c.status);
    EXPECT_EQ(reply.body, std::string(R"({"error":{"message":"a \"b\"","type":")") + c.type +
                              R"(","param":"field","code":)" + c.code + "}}");
    // The log has the code, or the type where there is none.
    EXPECT_EQ(reply.record->outcome, ErrorCode(c.kind));
    EXPECT_EQ(FindHeader(reply.headers, "Retry-After").empty(), c.status != 429 && c.status != 503);
  }
  EXPECT_EQ(ErrorCode(ErrorKind::kInvalidArgument), "invalid_request_error");
  EXPECT_EQ(
      FindHeader(ErrorReply({ErrorKind::kDeadlineExceeded, "late", {}}).headers, "x-should-retry"),
      "false");
}

TEST(ErrorReplyTest, SaysWhenToTryAgain) {
  const std::pair<double, std::pair<const char*, const char*>> cases[] = {
      {0, {"5", "5000"}},         {0.25, {"1", "250"}}, {1.2, {"2", "1200"}},
      {1e9, {"3600", "3600000"}}, {-1, {"5", "5000"}},
  };
  for (const auto& [seconds, headers] : cases) {
    const HttpReply reply = ErrorReply({ErrorKind::kUnavailable, "busy", {}, seconds});
    EXPECT_EQ(FindHeader(reply.headers, "Retry-After"), headers.first) << seconds;
    EXPECT_EQ(FindHeader(reply.headers, "retry-after-ms"), headers.second) << seconds;
  }
}

TEST(ErrorReplyTest, HttpsOwnRefusalsHaveTheSameShape) {
  const HttpReply reply = ErrorReply(401, "no key");
  EXPECT_EQ(reply.body,
            R"({"error":{"message":"no key","type":"invalid_request_error","param":null,)"
            R"("code":"invalid_api_key"}})");
  EXPECT_EQ(FindHeader(reply.headers, "WWW-Authenticate"), "Bearer");
  EXPECT_EQ(reply.record->outcome, "invalid_api_key");
  EXPECT_EQ(FindHeader(ErrorReply(503, "full").headers, "Retry-After"), "5");
  EXPECT_EQ(FindHeader(ErrorReply(404, "none").headers, "Retry-After"), "");
}

}  // namespace
}  // namespace lockstep
