// Requests that are well-formed HTTP and nothing else: each has its status, and leaves the server
// as it was. What is wrong with the HTTP itself is in http_faults_test.
#include <limits>
#include <thread>
#include <vector>

#include "server/host/process_stats.h"
#include "tests/server/api/post.h"
#include "tests/server/app/end_to_end_fixture.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kJson[] = "Content-Type: application/json\r\n";

struct BadRequest {
  std::string body;
  int status = 400;
  std::string says;  // in the error's message, param or code
  std::string headers = kJson;
};

// A body with one field that is wrong.
BadRequest Field(const std::string& name, const std::string& value) {
  const std::string field = "\"" + name + "\":" + value;
  return {name == "prompt" ? "{" + field + "}" : R"({"prompt":"x",)" + field + "}", 400,
          "\"param\":\"" + name + "\""};
}

std::string Deep(size_t levels) {
  return R"({"prompt":)" + std::string(levels, '[') + std::string(levels, ']') + "}";
}

class ApiFaultsTest : public EndToEndFixture {
 protected:
  std::string Send(const BadRequest& request) {
    RawClient client(server_->port());
    client.SendRequest("POST /generate", request.headers, request.body);
    return client.ReadReply();
  }
};

TEST_F(ApiFaultsTest, EachHasItsStatus) {
  const std::string good = R"({"prompt":"Once","max_tokens":4,"seed":1})";
  std::vector<BadRequest> requests = {
      // The type of the body.
      {good, 415, "no Content-Type", ""},
      {good, 415, "application/json", "Content-Type: text/plain\r\n"},
      {"prompt=x", 415, "form", "Content-Type: application/x-www-form-urlencoded\r\n"},
      {good, 415, "charset", "Content-Type: application/json; charset=latin1\r\n"},
      // The JSON.
      {"", 400, "empty"},
      {"{", 400, "JSON"},
      {good + "x", 400, "JSON"},
      {"[]", 400, "object"},
      {"\"prompt\"", 400, "object"},
      {"null", 400, "object"},
      {Deep(65), 400, "64 levels"},
      {Deep(100'000), 400, "64 levels"},
      {"{\"prompt\":\"\xff\"}", 400, "UTF-8"},
      {"\xEF\xBB\xBF" + good, 400, "byte order mark"},
      {R"({"prompt":"\ud800"})", 400, "surrogate"},
      {R"({"prompt":"x","temperature":1e999})", 400, "too large"},
      {R"({"prompt":"x","temperature":NaN})", 400, "JSON"},
      {R"({"prompt":"x","temperature":Infinity})", 400, "JSON"},
      {R"({"prompt":"x","prompt":"y"})", 400, "twice"},
      {R"({"prompt":"x","seed":)" + std::string(1'000'000, '1') + "}", 400, "too large"},
      {R"({"prompt":"x","colour":1})", 400, "unknown field"},
      // The prompt.
      {"{}", 400, "\"param\":\"prompt\""},
      {R"({"prompt":")" + std::string(kContext, 'a') + "\"}", 400, "context_length_exceeded"},
  };
  const std::pair<const char*, std::vector<const char*>> fields[] = {
      {"prompt", {"null", "1", "{}", "\"\"", "[-1]", "[320]", "[1.5]", "[1,\"a\"]"}},
      {"max_tokens", {"0", "-1", "1.5", "\"5\"", "true", "2147483648", "18446744073709551616"}},
      {"temperature", {"-1", "1e9", "\"hot\""}},
      {"top_p", {"-1", "1.1"}},
      {"top_k", {"-2", "1099511627776"}},
      {"seed", {"1.5", "18446744073709551616", "\"1\""}},
      {"stop", {"[1]", "{}", "1"}},
      {"repetition_penalty", {"0", "-1"}},
      {"logit_bias", {R"({"320":1})", R"({"1":"a"})", R"({"x":1})"}},
      {"stream", {"\"yes\""}},
  };
  for (const auto& [name, values] : fields) {
    for (const char* value : values) requests.push_back(Field(name, value));
  }
  requests.push_back({R"({"prompt":"x","stop":")" + std::string(4097, 'a') + "\"}", 400, "stop"});

  const json before = Promised(Answer(json::parse(good)));
  const double descriptors = ReadProcessStats().open_fds;
  for (const BadRequest& request : requests) {
    SCOPED_TRACE(request.headers + request.body.substr(0, 80));
    const std::string reply = Send(request);
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 " + std::to_string(request.status) + " "));
    EXPECT_THAT(reply, HasSubstr("\r\n\r\n{\"error\":{\"message\":\""));
    EXPECT_THAT(reply, HasSubstr("X-Request-Id: req-"));
    EXPECT_THAT(reply.substr(reply.find("\r\n\r\n")), HasSubstr(request.says));
    EXPECT_EQ(Promised(Answer(json::parse(good))), before);
  }
  // At first the server may have been lingering for the one before.
  EXPECT_TRUE(Eventually([&] { return ReadProcessStats().open_fds <= descriptors; }));
  EXPECT_TRUE(AllFree());
}

// What may look wrong and is not.
TEST_F(ApiFaultsTest, WhatIsCutOrPassesAsText) {
  json request = {{"prompt", std::string("a\0b", 3)}, {"max_tokens", 3}, {"ignore_eos", true}};
  EXPECT_EQ(Answer(request)["tokens"].size(), 3u);
  request["max_tokens"] = std::numeric_limits<int32_t>::max();
  const json cut = Answer(request);
  EXPECT_EQ(cut["finish_reason"], "length");
  EXPECT_EQ(cut["usage"]["total_tokens"], kContext);
}

// What the state of the server, and not the request, decides.
TEST(ApiFaults, EachStateHasItsStatus) {
  FakeService service;
  ApiSettings settings;
  settings.keys = *ApiKeys::Load({"key"}, "");
  Router router(settings);
  const auto answer = [&router](const char* key) {
    HttpRequest request;
    request.method = "POST";
    request.path = "/generate";
    request.headers = {{"Content-Type", "application/json"}, {"Authorization", key}};
    request.body = R"({"prompt":"x"})";
    return router.Handle(request);
  };
  const auto expect = [&](const HttpReply& reply, int status, const char* code, bool again) {
    EXPECT_EQ(reply.status, status);
    EXPECT_THAT(reply.body, HasSubstr(std::string("\"code\":\"") + code + "\""));
    EXPECT_EQ(!FindHeader(reply.headers, "Retry-After").empty(), again);
  };
  expect(answer(""), 401, "invalid_api_key", false);
  expect(answer("Bearer kez"), 401, "invalid_api_key", false);
  expect(answer("Bearer key"), 503, "unavailable", true);  // loading
  router.Open(service);
  service.refusal = Error{ErrorKind::kOverloaded, "the queue is full", {}};
  expect(answer("Bearer key"), 429, "queue_full", true);
  service.refusal = Error{ErrorKind::kUnavailable, "the server is stopping", {}};
  expect(answer("Bearer key"), 503, "unavailable", true);
  service.refusal = Error{ErrorKind::kDeadlineExceeded, "it took too long", {}};
  expect(answer("Bearer key"), 504, "deadline_exceeded", false);
}

TEST(ApiFaults, AStreamThatFailsEndsWithItsError) {
  FakeService service;
  const Router router(service);
  HttpRequest request;
  request.method = "POST";
  request.path = "/generate";
  request.headers = {{"Content-Type", "application/json"}, {"Accept", "text/event-stream"}};
  request.body = R"({"prompt":"x","stream":true})";
  std::thread engine([&service] {
    ASSERT_TRUE(Eventually([&] { return service.submitted() == 1; }));
    service.Send(0, 'a');
    service.Fail(0, ErrorKind::kDeadlineExceeded, "it took too long");
  });
  const HttpReply reply = router.Handle(request);
  engine.join();
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.next().then, BodyPart::Then::kMore);
  const BodyPart last = reply.next();
  EXPECT_EQ(last.then, BodyPart::Then::kClose);
  EXPECT_THAT(WithoutIds(last.data),
              AllOf(StartsWith("data: {\"error\":{"), HasSubstr("deadline_exceeded"),
                    Not(HasSubstr("[DONE]"))));
}

}  // namespace
}  // namespace lockstep
