// Streams that break off behind any event and go on: in every dialect that has server-sent events,
// what comes is what would have come, to the byte. And the ids that cannot be gone on from.
#include "server/api/event_ids.h"

#include <gmock/gmock.h>

#include <regex>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr char kCall[] =
    "So: <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>";
constexpr char kTool[] =
    R"({"type":"function","function":{"name":"f","parameters":{"type":"object"}}})";

// The events of a stream, with the signs of life among them. A response says when it ended.
std::vector<std::string> EventsOf(std::string text) {
  text = std::regex_replace(text, std::regex("\"completed_at\":\\d+"), "\"completed_at\":0");
  std::vector<std::string> events;
  for (size_t end; (end = text.find("\n\n")) != text.npos; text.erase(0, end + 2)) {
    events.push_back(text.substr(0, end + 2));
  }
  EXPECT_EQ(text, "");
  return events;
}

std::string IdOf(const std::string& event) {
  EXPECT_TRUE(event.starts_with("id: ")) << event;
  return event.substr(4, event.find('\n') - 4);
}

class EventIdsTest : public ApiFixture {
 protected:
  EventIdsTest() : ApiFixture("A tale.", kCallTemplate) {}

  static HttpRequest Request(const std::string& path, const std::string& body,
                             const std::string& id = {}) {
    HttpRequest request = JsonRequest(path, body);
    request.headers.emplace_back("Accept", "text/event-stream");
    if (!id.empty()) request.headers.emplace_back("last-event-id", id);
    return request;
  }
  // A fixture has one service; a replica is another one, which knows nothing of the first.
  static std::vector<std::string> StreamOf(const Router& replica, const HttpRequest& request) {
    const HttpReply reply = replica.Handle(request);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.content_type, "text/event-stream; charset=utf-8");
    return EventsOf(Read(reply));
  }
  std::vector<std::string> Stream(const std::string& path, const std::string& body) {
    return StreamOf(router_, Request(path, body));
  }
  // Breaks the stream off behind each event, and goes on at a replica.
  void GoesOnBehindEach(const std::string& path, const std::string& body) {
    FakeService other_service;
    other_service.script = service_.script;
    other_service.script_end = service_.script_end;
    other_service.SetChatTemplate(kCallTemplate);
    const Router other(other_service);
    const std::vector<std::string> whole = Stream(path, body);
    ASSERT_GE(whole.size(), 3u);
    for (size_t i = 0; i < whole.size(); ++i) {
      const std::vector<std::string> rest = StreamOf(other, Request(path, body, IdOf(whole[i])));
      EXPECT_EQ(rest, std::vector<std::string>(whole.begin() + static_cast<ptrdiff_t>(i) + 1,
                                               whole.end()))
          << path << " behind event " << i;
    }
  }
  // What is said of a request that cannot be gone on with.
  std::string Refusal(const HttpRequest& request, int status = 400) {
    const HttpReply reply = router_.Handle(request);
    EXPECT_EQ(reply.status, status) << reply.body;
    EXPECT_THAT(reply.body, HasSubstr("Last-Event-ID"));
    return reply.body;
  }
};

TEST_F(EventIdsTest, EveryDialectGoesOn) {
  const std::string chat = R"("messages":[{"role":"user","content":"x"}],"stream":true)";
  GoesOnBehindEach("/generate", R"({"prompt":"x","stream":true})");
  GoesOnBehindEach("/generate_stream", R"({"inputs":"x"})");
  GoesOnBehindEach("/v1/completions", R"({"prompt":"x","stream":true})");
  GoesOnBehindEach("/completion", R"({"prompt":"x","stream":true})");
  GoesOnBehindEach("/v1/responses", R"({"input":"x","stream":true})");
  GoesOnBehindEach("/v1/messages", R"({"max_tokens":99,)" + chat + "}");
  GoesOnBehindEach("/v1/chat/completions",
                   R"({"stream_options":{"include_usage":true},"logprobs":true,)" + chat + "}");
}

// Many a client takes an event's data for its first line. The packages of OpenAI ask for JSON.
TEST_F(EventIdsTest, WhoDoesNotAskForEventsGetsNoIds) {
  for (const char* accept : {"", "*/*", "application/json"}) {
    HttpRequest request = JsonRequest("/v1/completions", R"({"prompt":"x","stream":true})");
    if (*accept != 0) request.headers.emplace_back("Accept", accept);
    for (const std::string& event : StreamOf(router_, request)) {
      EXPECT_THAT(event, StartsWith("data: "));
    }
  }
}

// The ids of calls are those of the answer that broke off.
TEST_F(EventIdsTest, CallsOfToolsGoOn) {
  service_.script = kCall;
  service_.script_end = FinishReason::kStop;
  const std::string messages = R"("messages":[{"role":"user","content":"x"}],"stream":true)";
  GoesOnBehindEach("/v1/chat/completions",
                   R"({"tools":[)" + std::string(kTool) + "]," + messages + "}");
  GoesOnBehindEach("/v1/messages",
                   R"({"max_tokens":99,"tools":[{"name":"f","input_schema":{"type":"object"}}],)" +
                       messages + "}");
  GoesOnBehindEach("/v1/responses",
                   R"({"input":"x","stream":true,"tools":[{"type":"function","name":"f",)"
                   R"("parameters":{"type":"object"}}]})");
}

TEST_F(EventIdsTest, SeveralAnswersGoOnEachWhereItWas) {
  GoesOnBehindEach("/v1/completions", R"({"prompt":["x","y"],"n":2,"stream":true,"echo":true})");
}

// In an order that time makes, and that another replica need not keep.
TEST_F(EventIdsTest, InterleavedAnswersMissNothing) {
  service_.script.clear();
  const std::string body = R"({"prompt":"x","n":2,"stream":true})";
  auto begun = Begin([&] { return router_.Handle(Request("/v1/completions", body)); });
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 2; }));
  for (const char c : {'a', 'b', 'c'}) service_.Send(1, c);
  service_.Send(0, 'p');
  const HttpReply reply = begun.get();
  std::string last;
  for (int i = 0; i < 4; ++i) last = reply.next().data;
  auto resumed =
      Begin([&] { return router_.Handle(Request("/v1/completions", body, IdOf(last))); });
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 4; }));
  for (const char c : {'p', 'q'}) service_.Send(2, c);
  for (const char c : {'a', 'b', 'c', 'd'}) service_.Send(3, c);
  const HttpReply rest = resumed.get();
  EXPECT_THAT(rest.next().data, HasSubstr(R"("index":0,"text":"q")"));
  EXPECT_THAT(rest.next().data, HasSubstr(R"("index":1,"text":"d")"));
}

TEST_F(EventIdsTest, TheSeedThatWasDrawnIsKept) {
  const std::string body = R"({"prompt":"x","stream":true})";
  const std::string id = IdOf(Stream("/generate", body)[1]);
  StreamOf(router_, Request("/generate", body, id));
  EXPECT_EQ(service_.request(0).options.sampling.seed, service_.request(1).options.sampling.seed);
  // Two may run at a time, so that the engine must not take them for one.
  EXPECT_NE(service_.request(0).id, service_.request(1).id);
}

TEST_F(EventIdsTest, TheLogTellsAStreamThatWentOn) {
  const std::string body = R"({"prompt":"x","stream":true})";
  const HttpReply first = router_.Handle(Request("/generate", body));
  const std::string id = IdOf(EventsOf(Read(first))[0]);
  const HttpReply second = router_.Handle(Request("/generate", body, id));
  EXPECT_FALSE(first.record->resumed);
  EXPECT_TRUE(second.record->resumed);
  EXPECT_EQ(first.record->id, second.record->id);
}

TEST_F(EventIdsTest, WhatMeansNothingMayDiffer) {
  const std::string id =
      IdOf(Stream("/v1/completions", R"({"prompt":"x","seed":3,"stream":true})")[2]);
  for (
      const char* same :
      {R"({"stream": true, "seed": 3.0, "prompt": "x", "stop": null})",
       R"({"prompt":"x","seed":3,"stream":true,"prediction":{"type":"content","content":"A t"}})"}) {
    EXPECT_THAT(StreamOf(router_, Request("/v1/completions", same, id))[0], HasSubstr("text"));
  }
}

TEST_F(EventIdsTest, AnErrorSaysWhatDiffers) {
  const std::string path = "/v1/chat/completions";
  const std::string body = R"({"messages":[{"role":"user","content":"x"}],"stream":true})";
  const std::string id = IdOf(Stream(path, body)[2]);
  const std::string other = R"({"messages":[{"role":"user","content":"y"}],"stream":true})";
  EXPECT_THAT(Refusal(Request(path, other, id)), HasSubstr("another request"));
  EXPECT_THAT(Refusal(Request("/chat/completions", body, id)), HasSubstr("the same route"));
  service_.served().fingerprint = "ls1-another";
  EXPECT_THAT(Refusal(Request(path, body, id)),
              HasSubstr("another model's answer: this is ls1-an"));
  service_.served().fingerprint = "ls1-0123456789abcdef";
  service_.SetChatTemplate("{{ strftime_now('%Y') }}{{ messages[0].content }}");
  EXPECT_THAT(Refusal(Request(path, body, id)), HasSubstr("shows the date"));
  EXPECT_TRUE(service_.cancelled(service_.submitted() - 1));
  // Each API has its own form and status of an error.
  EXPECT_THAT(Refusal(Request("/generate_stream", R"({"inputs":"x"})", id), 422),
              HasSubstr(R"("error_type":"validation")"));
  EXPECT_THAT(Refusal(Request("/v1/messages", R"({"max_tokens":9,)" + body.substr(1), id)),
              StartsWith(R"({"type":"error")"));
}

TEST_F(EventIdsTest, ADamagedIdIsRefused) {
  const std::string body = R"({"prompt":"x","stream":true})";
  const std::string id = IdOf(Stream("/v1/completions", body)[2]);
  EXPECT_EQ(id.find('.'), 60u);
  for (std::string wrong :
       {std::string("17"), std::string("x\x80"), id.substr(0, 59), id.substr(0, 60),
        id.substr(0, 62), id + ".", id + ".x", id + ".-1", id + ".99999999999999999999",
        "B" + id.substr(1), id.substr(0, 30) + "!" + id.substr(31)}) {
    EXPECT_THAT(Refusal(Request("/v1/completions", body, wrong)),
                HasSubstr("invalid_request_error"))
        << wrong;
  }
  for (size_t i = 2; i < 60; ++i) {
    std::string wrong = id;
    wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
    Refusal(Request("/v1/completions", body, wrong));
  }
  EXPECT_THAT(Refusal(Request("/v1/completions", body, "AgAA" + id.substr(4))),
              HasSubstr("another version"));
  // Of two answers, where the request has one.
  EXPECT_THAT(Refusal(Request("/v1/completions", body, id + ".7")), HasSubstr("damaged"));
  // That there are not so many events is known only at the end.
  const std::string past = id.substr(0, id.rfind('.')) + ".1000";
  const auto events = StreamOf(router_, Request("/v1/completions", body, past));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_THAT(events[0], HasSubstr("past the end of the answer"));
}

TEST_F(EventIdsTest, OnlyServerSentEventsHaveIds) {
  const std::string id = IdOf(Stream("/generate", R"({"prompt":"x","stream":true})")[0]);
  EXPECT_THAT(Refusal(Request("/generate", R"({"prompt":"x"})", id)), HasSubstr("stream"));
  HttpRequest lines = Request("/generate", R"({"prompt":"x","stream":true})", id);
  lines.headers[1].second = "*/*";
  EXPECT_THAT(Refusal(lines), HasSubstr("Accept: text/event-stream"));
  Refusal(Request("/api/generate", R"({"model":"m","prompt":"x"})", id));
  lines.headers.pop_back();
  EXPECT_THAT(Read(router_.Handle(lines)), StartsWith("{"));
}

// A server whose streams say every 20 ms that they wait.
class WaitingTest : public EventIdsTest {
 protected:
  static ApiSettings Settings() {
    ApiSettings settings;
    settings.generate.keep_alive = std::chrono::milliseconds(20);
    return settings;
  }
  const Router impatient_{service_, Settings()};

  static int NumberOf(const std::string& event) {
    constexpr std::string_view kName = "\"sequence_number\":";
    const size_t at = event.find(kName);
    EXPECT_NE(at, event.npos) << event;
    return std::stoi(event.substr(at + kName.size()));
  }
  HttpReply Begun(const std::string& path, const std::string& body, const std::string& id = {}) {
    service_.script.clear();
    auto handling = Begin([&] { return impatient_.Handle(Request(path, body, id)); });
    service_.Send(service_.submitted() - 1, 'a');
    return handling.get();
  }
};

// The client's place is behind the signs of life that it has had, whose numbers count.
TEST_F(WaitingTest, SignsOfLifeHaveTheirPlace) {
  const std::string body = R"({"input":"x","stream":true})";
  const HttpReply reply = Begun("/v1/responses", body);
  std::string last = reply.next().data;
  while (last.find("prompt_progress") == last.npos) last = reply.next().data;
  const int number = NumberOf(last);
  auto handling =
      Begin([&] { return impatient_.Handle(Request("/v1/responses", body, IdOf(last))); });
  const HttpReply rest = handling.get();
  EXPECT_EQ(rest.next().data, ": keep-alive\n\n");  // there is nothing new for the client
  for (const char c : {'a', 'b'}) service_.Send(service_.submitted() - 1, c);
  std::string next = rest.next().data;
  while (next.starts_with(':')) next = rest.next().data;
  EXPECT_EQ(NumberOf(next), number + 1);
}

// OpenAI's and Anthropic's clients for Python would read an event without data otherwise.
TEST_F(WaitingTest, NoEmptyLineFollowsACommentBehindAnId) {
  const HttpReply reply = Begun("/generate_stream", R"({"inputs":"x"})");
  EXPECT_THAT(reply.next().data, StartsWith("id: "));
  std::string comment;
  while (comment.empty()) comment = reply.next().data;
  EXPECT_THAT(comment, StartsWith(": {\"prompt_progress\""));
  EXPECT_EQ(comment.find('\n'), comment.size() - 1);
}

// Behind an error, such as that of a server that stops, a stream can go on elsewhere.
TEST_F(WaitingTest, AnErrorHasThePlaceBeforeIt) {
  const std::string body = R"({"prompt":"x","stream":true})";
  const HttpReply reply = Begun("/v1/completions", body);
  const std::string token = reply.next().data;
  service_.Fail(0, ErrorKind::kUnavailable, "shutting down");
  std::string last;
  while (last.find("shutting down") == last.npos) last = reply.next().data;
  const HttpReply rest = Begun("/v1/completions", body, IdOf(last));
  service_.Send(1, 'b');
  std::string next;
  while (next.empty() || next[0] == ':') next = rest.next().data;
  EXPECT_THAT(next, HasSubstr(R"("text":"b")"));
}

}  // namespace
}  // namespace lockstep
