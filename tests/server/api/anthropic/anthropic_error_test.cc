#include "server/api/anthropic/anthropic_error.h"

#include <gtest/gtest.h>

#include "server/http/error_reply.h"

namespace lockstep {
namespace {

TEST(AnthropicErrorTest, PathsAreThoseOfMessages) {
  for (const char* path :
       {"/v1/messages", "/v1/messages/count_tokens", "/v1/messages/batches", "/messages"}) {
    EXPECT_TRUE(IsAnthropicPath(path)) << path;
  }
  for (const char* path : {"/", "/v1/models", "/v1/messagesx", "/v1/chat/completions", ""}) {
    EXPECT_FALSE(IsAnthropicPath(path)) << path;
  }
}

TEST(AnthropicErrorTest, TheTypeFollowsTheStatus) {
  const struct {
    int status, becomes;
    const char* type;
  } kCases[] = {
      {400, 400, "invalid_request_error"}, {401, 401, "authentication_error"},
      {403, 403, "permission_error"},      {404, 404, "not_found_error"},
      {405, 405, "invalid_request_error"}, {408, 408, "timeout_error"},
      {413, 413, "request_too_large"},     {415, 415, "invalid_request_error"},
      {429, 429, "rate_limit_error"},      {500, 500, "api_error"},
      {503, 529, "overloaded_error"},      {504, 504, "timeout_error"},
  };
  for (const auto& test : kCases) {
    HttpReply reply = ErrorReply(test.status, "because");
    PutInAnthropicForm(reply, "req-1");
    EXPECT_EQ(reply.status, test.becomes);
    EXPECT_EQ(reply.body, std::string(R"({"type":"error","error":{"type":")") + test.type +
                              R"(","message":"because"},"request_id":"req-1"})");
    EXPECT_EQ(FindHeader(reply.headers, "request-id"), "req-1");
    EXPECT_EQ(FindHeader(reply.headers, "Retry-After").empty(),
              test.status != 429 && test.status != 503);
  }
}

TEST(AnthropicErrorTest, AnAnswerIsLeftAsItIs) {
  HttpReply reply;
  reply.body = R"({"error":{"message":"quoted"}})";
  PutInAnthropicForm(reply, "req-1");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"error":{"message":"quoted"}})");
  EXPECT_EQ(FindHeader(reply.headers, "request-id"), "req-1");
}

TEST(AnthropicErrorTest, AnEventHasTheSameBody) {
  EXPECT_EQ(RenderAnthropicError({ErrorKind::kOverloaded, "full", {}}, "req-1"),
            R"({"type":"error","error":{"type":"rate_limit_error","message":"full"},)"
            R"("request_id":"req-1"})");
}

}  // namespace
}  // namespace lockstep
