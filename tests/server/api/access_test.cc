// Who may use the API: keys, and pages of other origins. And what a request's headers ask for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

HttpRequest Request(const std::string& method, const std::string& path, HttpHeaders headers = {}) {
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.headers = std::move(headers);
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = R"({"prompt":"x"})";
  request.peer = "10.0.0.7";
  return request;
}

TEST(Access, AKeyOpensAllThatIsNotControl) {
  FakeService service;
  service.script = "x";
  ApiSettings settings;
  settings.keys = *ApiKeys::Load({"first", "second"}, "");
  const std::string second = settings.keys.ScopeOf("key-2");
  const Router router(service, settings);
  const std::pair<HttpHeaders, int> cases[] = {
      {{}, 401},
      {{{"Authorization", "Bearer third"}}, 401},
      {{{"Authorization", "Bearer "}}, 401},
      {{{"Authorization", "Basic second"}}, 401},
      {{{"Authorization", "second"}}, 401},
      {{{"Authorization", "Bearer secondx"}}, 401},
      {{{"X-Api-Key", "Second"}}, 401},
      {{{"Authorization", "Bearer second"}}, 200},
      {{{"authorization", "bearer  second"}}, 200},
      {{{"X-Api-Key", "second"}}, 200},
  };
  for (const auto& [headers, status] : cases) {
    SCOPED_TRACE(headers.empty() ? "none" : headers[0].second);
    const HttpReply reply = router.Handle(Request("POST", "/generate", headers));
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(router.Handle(Request("GET", "/v1/models", headers)).status, status);
    if (status == 200) continue;
    EXPECT_EQ(FindHeader(reply.headers, "WWW-Authenticate"), "Bearer");
    EXPECT_THAT(reply.body, HasSubstr(R"("type":"invalid_request_error")"));
    EXPECT_THAT(reply.body, HasSubstr(R"("code":"invalid_api_key")"));
    EXPECT_THAT(reply.body, HasSubstr(headers.empty() ? "no API key provided: "
                                                      : "Incorrect API key provided: "));
  }
  EXPECT_EQ(service.request(0).client, "key-2");
  EXPECT_EQ(service.request(0).prefix_scope, second);
  EXPECT_EQ(router.Handle(Request("GET", "/nothing")).status, 401);
  for (const char* path : {"/livez", "/readyz", "/health", "/v1/health", "/ping"}) {
    EXPECT_EQ(router.Handle(Request("GET", path)).status, 200) << path;
  }
}

TEST(Access, AHeadDecidesWhereItsBodyIsNotRead) {
  FakeService service;
  ApiSettings settings;
  settings.keys = *ApiKeys::Load({"key"}, "");
  const Router router(service, settings);
  const HttpHeaders key = {{"X-Api-Key", "key"}};
  for (const char* path : {"/generate", "/v1/chat/completions", "/v1/messages", "/api/chat", "/"}) {
    EXPECT_FALSE(router.Decides(Request("POST", path, key))) << path;
    EXPECT_TRUE(router.Decides(Request("POST", path))) << path;
    EXPECT_TRUE(router.Decides(Request("GET", path, key))) << path;
    const HttpHeaders plain = {{"X-Api-Key", "key"}, {"Content-Type", "text/plain"}};
    EXPECT_EQ(router.Decides(Request("POST", path, plain)), path != std::string("/api/chat"));
  }
  EXPECT_TRUE(router.Decides(Request("POST", "/nothing", key)));
  EXPECT_TRUE(router.Decides(Request("DELETE", "/v1/responses/x", key)));
}

TEST(Access, WithoutKeysTheAddressIsTheClient) {
  FakeService service;
  service.script = "x";
  const Router router(service);
  EXPECT_EQ(router.Handle(Request("POST", "/generate", {{"Authorization", "Bearer any"}})).status,
            200);
  EXPECT_EQ(service.request(0).client, "10.0.0.7");
  EXPECT_EQ(service.request(0).prefix_scope, "");
}

TEST(Access, PagesOfListedOriginsMayUseIt) {
  FakeService service;
  ApiSettings settings;
  settings.keys = *ApiKeys::Load({"key"}, "");
  settings.cors.origins = {"https://a.example", "https://b.example"};
  const Router router(service, settings);
  const auto preflight = [&router](const char* origin) {
    return router.Handle(Request("OPTIONS", "/generate",
                                 {{"Origin", origin}, {"Access-Control-Request-Method", "POST"}}));
  };
  const HttpReply allowed = preflight("https://b.example");  // without the key
  EXPECT_EQ(allowed.status, 204);
  EXPECT_EQ(FindHeader(allowed.headers, "Access-Control-Allow-Origin"), "https://b.example");
  EXPECT_THAT(FindHeader(allowed.headers, "Access-Control-Allow-Methods"), HasSubstr("POST"));
  EXPECT_THAT(FindHeader(allowed.headers, "Access-Control-Allow-Headers"),
              HasSubstr("Authorization"));
  EXPECT_NE(FindHeader(allowed.headers, "Access-Control-Max-Age"), "");
  EXPECT_EQ(FindHeader(allowed.headers, "Vary"), "Origin");

  const HttpReply other = preflight("https://c.example");
  EXPECT_EQ(other.status, 401);
  EXPECT_EQ(FindHeader(other.headers, "Access-Control-Allow-Origin"), "");
  EXPECT_EQ(FindHeader(other.headers, "Vary"), "Origin");

  const HttpReply reply =
      router.Handle(Request("GET", "/livez", {{"Origin", "https://a.example"}}));
  EXPECT_EQ(FindHeader(reply.headers, "Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_THAT(FindHeader(reply.headers, "Access-Control-Expose-Headers"),
              HasSubstr("X-Request-Id"));
}

TEST(Access, WithoutOriginsNothingIsSaidOfThem) {
  FakeService service;
  const Router router(service);
  const HttpReply reply = router.Handle(
      Request("OPTIONS", "/generate",
              {{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "POST"}}));
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(FindHeader(reply.headers, "Allow"), "POST");
  EXPECT_EQ(FindHeader(reply.headers, "Vary"), "");
}

TEST(Access, TheTimeoutHeaderLowersOnly) {
  FakeService service;
  service.script = "x";
  ApiSettings settings;
  settings.deadlines.total = std::chrono::milliseconds(5000);
  const Router router(service, settings);
  const std::pair<const char*, int> cases[] = {{"1234", 1234}, {"5001", 5000}, {"", 5000}};
  for (const auto& [value, ms] : cases) {
    const size_t i = service.submitted();
    const HttpReply reply =
        router.Handle(Request("POST", "/generate", {{"X-Request-Timeout-Ms", value}}));
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(service.request(i).deadlines.total.count(), ms);
    EXPECT_EQ(FindHeader(reply.headers, "Server-Timing"),
              "queue;dur=1.000, prefill;dur=2.000, decode;dur=3.000");
  }
  for (const char* bad : {"0", "-1", "1.5", "1s", "99999999999999999999"}) {
    const HttpReply reply =
        router.Handle(Request("POST", "/generate", {{"X-Request-Timeout-Ms", bad}}));
    EXPECT_EQ(reply.status, 400) << bad;
    EXPECT_THAT(reply.body, HasSubstr("X-Request-Timeout-Ms"));
  }
}

TEST(Access, ATraceIsContinued) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736", span = "00f067aa0ba902b7";
  const FakeService service;
  const Router router;
  const HttpReply reply = router.Handle(
      Request("GET", "/livez", {{"traceparent", "00-" + trace + "-" + span + "-01"}}));
  EXPECT_THAT(std::string(FindHeader(reply.headers, "traceparent")),
              testing::MatchesRegex("00-" + trace + "-[0-9a-f]{16}-01"));
  EXPECT_THAT(FindHeader(reply.headers, "traceparent"), Not(HasSubstr(span)));
  EXPECT_EQ(reply.record->trace_id, trace);
  EXPECT_THAT(FindHeader(reply.headers, "traceparent"), HasSubstr(reply.record->span_id));
}

// A service that answers who has the key "first", which is key-1.
struct KeyedService : FakeService {
  KeyedService() {
    script = "x";
    settings.keys = *ApiKeys::Load({"first"}, "");
  }
  std::string scope() const { return settings.keys.ScopeOf("key-1"); }

  ApiSettings settings;
};

TEST(Access, AProxyNamesItsClientsWhereItIsTrusted) {
  KeyedService service;
  ApiSettings& settings = service.settings;
  const Router doubting(service, settings);
  settings.trust_proxy = true;
  const Router trusting(service, settings);
  ApiSettings keyless;
  keyless.trust_proxy = true;
  const Router open(service, keyless);
  const auto client = [&service](const Router& router, HttpHeaders headers) {
    headers.emplace_back("X-Api-Key", "first");
    EXPECT_EQ(router.Handle(Request("POST", "/generate", std::move(headers))).status, 200);
    return service.request(service.submitted() - 1).client;
  };
  const HttpHeaders fair = {{"X-Session-Id", "s"}, {"x-llm-d-inference-fairness-id", "team-a"}};
  EXPECT_EQ(client(doubting, fair), "key-1");
  EXPECT_EQ(client(trusting, fair), "key-1 team-a");
  EXPECT_EQ(service.request(service.submitted() - 1).prefix_scope, service.scope());
  EXPECT_EQ(client(trusting, {{"X-Claude-Code-Session-Id", " s "}}), "key-1 s");
  EXPECT_EQ(client(open, {{"X-Forwarded-For", "9.9.9.9, 10.1.1.1"}}), "10.0.0.7 10.1.1.1");
  EXPECT_EQ(client(open, {{"X-Forwarded-For", " "}}), "10.0.0.7");
  EXPECT_EQ(client(open, {{"x-session-id", std::string(1000, 'a')}}).size(), 9u + 256);
}

TEST(Access, PrefixesAreSharedWithinAKeyAndASalt) {
  KeyedService service;
  ApiSettings& settings = service.settings;
  const std::string first = service.scope();
  const auto scope = [&](const std::string& fields) {
    const Router router(service, settings);
    HttpRequest request = Request("POST", "/v1/completions", {{"X-Api-Key", "first"}});
    request.body = R"({"prompt":"x")" + fields + "}";
    EXPECT_EQ(router.Handle(request).status, 200);
    return service.request(service.submitted() - 1).prefix_scope;
  };
  using std::string_literals::operator""s;
  EXPECT_EQ(scope(""), first);
  EXPECT_EQ(scope(R"(,"prompt_cache_key":"chat-7")"), first);
  EXPECT_EQ(scope(R"(,"cache_salt":"a")"), first + "\0a"s);
  settings.prefix_scope = PrefixScope::kAll;
  EXPECT_EQ(scope(""), "");
  EXPECT_EQ(scope(R"(,"cache_salt":"a")"), "\0a"s);
}

TEST(Access, EachDialectTakesASalt) {
  FakeService service;
  service.script = "x";
  service.SetChatTemplate("{{ messages[0].content }}");
  const Router router(service);
  constexpr char kMessages[] = R"("messages":[{"role":"user","content":"x"}])";
  const std::pair<const char*, const char*> requests[] = {
      {"/generate", R"("prompt":"x")"},
      {"/completion", R"("prompt":"x")"},
      {"/v1/completions", R"("prompt":"x")"},
      {"/v1/chat/completions", kMessages},
      {"/v1/responses", R"("input":"x")"},
      {"/v1/messages", R"("max_tokens":9,"messages":[{"role":"user","content":"x"}])"},
      {"/api/chat", kMessages},
      {"/api/generate", R"("prompt":"x")"},
      {"/generate_stream", R"("inputs":"x")"},
  };
  using std::string_literals::operator""s;
  size_t submitted = 0;
  for (const auto& [path, fields] : requests) {
    const HttpReply reply =
        PostJson(router, path, "{" + std::string(fields) + R"(,"cache_salt":"a"})");
    ASSERT_EQ(service.submitted(), ++submitted) << path << reply.body;
    EXPECT_THAT(service.request(submitted - 1).prefix_scope, testing::EndsWith("\0a"s)) << path;
  }
}

}  // namespace
}  // namespace lockstep
