#include "server/http/cors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::HasSubstr;

HttpRequest Request(const std::string& method, HttpHeaders headers) {
  HttpRequest request;
  request.method = method;
  request.path = "/generate";
  request.headers = std::move(headers);
  return request;
}

std::string AllowedOrigin(const CorsPolicy& policy, const std::string& origin) {
  HttpReply reply;
  policy.AddHeaders(Request("POST", {{"Origin", origin}}), reply);
  return std::string(FindHeader(reply.headers, "Access-Control-Allow-Origin"));
}

TEST(CorsTest, AnOriginMustBeListedWhole) {
  const CorsPolicy policy{{"https://a.example", "http://b.example:8080"}};
  EXPECT_EQ(AllowedOrigin(policy, "https://a.example"), "https://a.example");
  EXPECT_EQ(AllowedOrigin(policy, "http://b.example:8080"), "http://b.example:8080");
  for (const char* other : {"", "http://a.example", "https://a.example.evil", "https://A.example",
                            "http://b.example", "null"}) {
    EXPECT_EQ(AllowedOrigin(policy, other), "") << other;
  }
  EXPECT_EQ(AllowedOrigin({{"*"}}, "https://any.example"), "*");
  EXPECT_EQ(AllowedOrigin({{"*"}}, ""), "");  // no page asks
}

// A cache must not hand one origin's reply to another.
TEST(CorsTest, RepliesVaryByOriginWhereOriginsAreListed) {
  HttpReply listed, unlisted;
  CorsPolicy{{"https://a.example"}}.AddHeaders(Request("GET", {}), listed);
  EXPECT_EQ(FindHeader(listed.headers, "Vary"), "Origin");
  CorsPolicy{}.AddHeaders(Request("GET", {{"Origin", "https://a.example"}}), unlisted);
  EXPECT_TRUE(unlisted.headers.empty());
}

TEST(CorsTest, APreflightIsAnsweredForListedOriginsOnly) {
  const CorsPolicy policy{{"https://a.example"}};
  HttpHeaders headers = {{"Origin", "https://a.example"},
                         {"Access-Control-Request-Method", "POST"}};
  const auto reply = policy.Preflight(Request("OPTIONS", headers));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 204);
  EXPECT_THAT(FindHeader(reply->headers, "Access-Control-Allow-Methods"), HasSubstr("POST"));
  EXPECT_THAT(FindHeader(reply->headers, "Access-Control-Allow-Headers"),
              HasSubstr("Authorization"));
  EXPECT_FALSE(policy.Preflight(Request("POST", headers)));
  EXPECT_FALSE(policy.Preflight(Request("OPTIONS", {headers[0]})));
  EXPECT_FALSE(CorsPolicy{}.Preflight(Request("OPTIONS", headers)));

  // Client libraries send headers of their own.
  headers.emplace_back("Access-Control-Request-Headers", "x-stainless-os");
  EXPECT_EQ(FindHeader(policy.Preflight(Request("OPTIONS", headers))->headers,
                       "Access-Control-Allow-Headers"),
            "x-stainless-os");
}

}  // namespace
}  // namespace lockstep
