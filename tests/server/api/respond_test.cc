// How a generation becomes a reply, on the server's own route: whole and streamed, failed before
// and behind the first token, and left by its client.
#include "server/api/respond.h"

#include <gmock/gmock.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Then = BodyPart::Then;

class RespondTest : public ApiFixture {
 protected:
  RespondTest() : ApiFixture("") {}

  HttpReply Generate(const std::string& body) { return Post("/generate", body); }
  // A stream with its first token.
  HttpReply Begun() {
    auto handling = Begin([&] { return Generate(R"({"prompt":"x","stream":true})"); });
    service_.Send(0, 'a');
    return handling.get();
  }
};

TEST_F(RespondTest, AnswersWhole) {
  service_.script = "tale";
  const HttpReply reply = Generate(R"({"prompt":"once","seed":18446744073709551615})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_THAT(reply.body, HasSubstr(R"("text":"tale","tokens":[116,97,108,101])"));
  EXPECT_THAT(reply.body, HasSubstr(R"("finish_reason":"length")"));
  EXPECT_THAT(reply.body, HasSubstr(R"("prompt_tokens":4,"completion_tokens":4)"));
  EXPECT_THAT(reply.body, HasSubstr(R"("seed":18446744073709551615,)"));
  EXPECT_EQ(reply.body.find("logprobs"), std::string::npos);
  EXPECT_EQ(reply.body.find("done"), std::string::npos);
  EXPECT_EQ(reply.record->outcome, "length");
  EXPECT_EQ(reply.record->completion_tokens, 4u);
  EXPECT_THAT(Generate(R"({"prompt":[1,2],"logprobs":1})").body,
              HasSubstr(R"("logprobs":[{"token":116,"text":"t","logprob":-0.1)"));
  EXPECT_EQ(service_.request(1).prompt, (std::vector<int32_t>{1, 2}));
}

TEST_F(RespondTest, ChoosesAndTellsASeedThatADoubleHolds) {
  service_.script = "x";
  uint64_t last = 0;
  for (size_t i = 0; i < 8; ++i) {
    const HttpReply reply = Generate(R"({"prompt":"x"})");
    const uint64_t seed = service_.request(i).options.sampling.seed;
    EXPECT_THAT(reply.body, HasSubstr("\"seed\":" + std::to_string(seed) + ","));
    EXPECT_LT(seed, uint64_t{1} << 53);
    EXPECT_NE(seed, last);
    last = seed;
  }
}

TEST_F(RespondTest, StreamsTokenByTokenInBothFramings) {
  for (const bool sse : {false, true}) {
    const size_t i = service_.submitted();
    auto handling = Begin([&] {
      HttpRequest request = JsonRequest("/generate", R"({"prompt":"x","stream":true})");
      request.headers.emplace_back("Accept", sse ? "text/Event-Stream" : "*/*");
      return router_.Handle(request);
    });
    service_.Send(i, 'a');
    HttpReply reply = handling.get();  // with its first token, without waiting for a second
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.content_type,
              sse ? "text/event-stream; charset=utf-8" : "application/x-ndjson");
    EXPECT_EQ(FindHeader(reply.headers, "Cache-Control"), "no-cache");
    EXPECT_EQ(FindHeader(reply.headers, "X-Accel-Buffering"), "no");
    const std::string before = sse ? "data: " : "", after = sse ? "\n\n" : "\n";
    const auto text = [sse](const BodyPart& part) {
      return sse ? WithoutIds(part.data) : part.data;
    };
    EXPECT_EQ(text(reply.next()), before + R"({"index":0,"token":97,"text":"a"})" + after);
    service_.Send(i, 'b');
    EXPECT_EQ(text(reply.next()), before + R"({"index":1,"token":98,"text":"b"})" + after);
    service_.Finish(i);
    const BodyPart end = reply.next();
    EXPECT_EQ(end.then, Then::kLast);
    EXPECT_THAT(text(end), StartsWith(before + R"({"id":"gen-)"));
    EXPECT_THAT(end.data, HasSubstr(R"("text":"ab","tokens":[97,98],"finish_reason":"stop")"));
    EXPECT_THAT(end.data, testing::EndsWith(R"("done":true})" + after));
    EXPECT_EQ(reply.record->outcome, "stop");
    reply.next = nullptr;
    EXPECT_FALSE(service_.cancelled(i));
  }
}

TEST_F(RespondTest, ErrorsBeforeTheFirstTokenHaveAStatus) {
  for (const char* stream : {"true", "false"}) {
    service_.refusal = Error{ErrorKind::kOverloaded, "full", {}};
    const std::string body = std::string(R"({"prompt":"x","stream":)") + stream + "}";
    EXPECT_EQ(Generate(body).status, 429);
    service_.refusal = Error{ErrorKind::kContextExceeded, "long", "prompt"};
    const HttpReply reply = Generate(body);
    EXPECT_EQ(reply.status, 400);
    EXPECT_EQ(reply.record->outcome, "context_length_exceeded");

    service_.refusal.reset();
    const size_t i = service_.submitted();
    auto handling = Begin([&] { return Generate(body); });
    service_.Fail(i, ErrorKind::kInternal, "no finite logit");
    EXPECT_EQ(handling.get().status, 500);
  }
}

TEST_F(RespondTest, AnErrorMidStreamIsTheLastEvent) {
  HttpReply reply = Begun();
  EXPECT_EQ(reply.next().then, Then::kMore);
  service_.Fail(0, ErrorKind::kUnavailable, "shutting down");
  const BodyPart end = reply.next();
  EXPECT_EQ(end.then, Then::kClose);
  EXPECT_EQ(end.data, R"({"error":{"message":"shutting down","type":"server_error","param":null,)"
                      R"("code":"unavailable"}})"
                      "\n");
  EXPECT_EQ(reply.record->outcome, "unavailable");
}

TEST_F(RespondTest, AClientThatGoesAwayCancels) {
  for (const char* stream : {"true", "false"}) {
    std::atomic<bool> gone{false};
    HttpRequest request =
        JsonRequest("/generate", std::string(R"({"prompt":"x","stream":)") + stream + "}");
    request.client_gone = [&gone] { return gone.load(); };
    const size_t i = service_.submitted();
    auto handling = Begin([&] { return router_.Handle(request); });
    EXPECT_FALSE(service_.cancelled(i));
    gone = true;
    const HttpReply reply = handling.get();  // no token has to come for it
    EXPECT_TRUE(service_.cancelled(i));
    EXPECT_EQ(reply.record->outcome, "cancelled");
    EXPECT_EQ(reply.record->first_token_ms, 0);
  }
}

TEST_F(RespondTest, AStreamThatIsNotReadToItsEndCancels) {
  HttpReply reply = Begun();
  EXPECT_FALSE(service_.cancelled(0));
  reply.next = nullptr;
  EXPECT_TRUE(service_.cancelled(0));
  EXPECT_EQ(reply.record->outcome, "cancelled");
  EXPECT_GT(reply.record->first_token_ms, 0);
}

}  // namespace
}  // namespace lockstep
