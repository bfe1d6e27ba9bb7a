// What /v1/completions answers, whole and streamed.
#include <gmock/gmock.h>

#include <future>
#include <optional>
#include <set>

#include "tests/server/api/openai/openai_api_fixture.h"

namespace lockstep {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class CompletionsTest : public OpenAiApiFixture {
 protected:
  // A stream that has no token yet, of routes that give a sign of life so often.
  std::future<HttpReply> BeginStream(std::chrono::milliseconds keep_alive,
                                     const HttpHeaders& headers = {}) {
    ApiSettings settings;
    settings.generate.keep_alive = keep_alive;
    service_.script.clear();
    slow_.emplace(service_, settings);
    HttpRequest request = JsonRequest(kCompletions, R"({"prompt":"xyz","stream":true})");
    request.headers.insert(request.headers.end(), headers.begin(), headers.end());
    return Begin([this, request] { return slow_->Handle(request); });
  }

  std::optional<Router> slow_;
};

TEST_F(CompletionsTest, CompletesWhole) {
  Json answer = Answer(Complete(R"("seed":7,"logprobs":1)"));
  EXPECT_THAT(answer["id"].get<std::string>(), StartsWith("cmpl-"));
  EXPECT_GT(answer["created"].get<int64_t>(), 1'700'000'000);
  answer.erase("id");
  answer.erase("created");
  EXPECT_EQ(answer["choices"][0]["receipt"]["seed"], 7);
  answer["choices"][0].erase("receipt");
  EXPECT_EQ(answer.dump(),
            R"({"object":"text_completion","model":"fake",)"
            R"("system_fingerprint":"ls1-0123456789abcdef",)"
            R"("choices":[{"index":0,"text":"tale","logprobs":{"tokens":["t","a","l","e"],)"
            R"("token_logprobs":[-0.1,-0.1,-0.1,-0.1],)"
            R"("top_logprobs":[{"t":-0.1,"z":-2.5},{"a":-0.1,"z":-2.5},{"l":-0.1,"z":-2.5},)"
            R"({"e":-0.1,"z":-2.5}],"text_offset":[0,1,2,3]},"finish_reason":"length","seed":7}],)"
            R"("usage":{"prompt_tokens":4,"completion_tokens":4,"total_tokens":8,)"
            R"("prompt_tokens_details":{"cached_tokens":0}}})");
}

// The fake has BOS where control tokens are parsed, and else none.
TEST_F(CompletionsTest, AnEmptyPromptIsBosAlone) {
  for (const char* const path : {kCompletions, "/completion"}) {
    const Json answer = Answer(Post(path, R"({"prompt":"","parse_special":true,"max_tokens":4})"));
    EXPECT_EQ(path == std::string(kCompletions) ? answer["choices"][0]["text"] : answer["content"],
              "tale");
    EXPECT_EQ(LastPrompt(), "^");
  }
}

TEST_F(CompletionsTest, WithoutBosThereIsNoEmptyPrompt) {
  for (const char* const path : {kCompletions, "/completion", "/generate"}) {
    ExpectRefused(path, R"({"prompt":""})", 400, "prompt");
    ExpectRefused(path, R"({"prompt":[]})", 400, "prompt");
  }
  ExpectRefused(kCompletions, R"({"prompt":"","parse_special":true,"add_special_tokens":false})",
                400, "prompt");
  ExpectRefused(kCompletions, R"({"prompt":["a",""],"stream":true})", 400, "prompt");
}

TEST_F(CompletionsTest, EchoWithLogprobsHasThoseOfThePrompt) {
  for (const char* fields : {R"("echo":true,"logprobs":1)", R"("echo":true,"logprobs":1,"n":2)"}) {
    const Json answer = Answer(Complete(fields));
    const Json& choice = answer["choices"].back();
    EXPECT_EQ(choice["text"], "oncetale");
    EXPECT_EQ(choice["logprobs"].dump(),
              R"({"tokens":["o","n","c","e","t","a","l","e"],)"
              R"("token_logprobs":[null,-0.25,-0.5,-0.75,-0.1,-0.1,-0.1,-0.1],)"
              R"("top_logprobs":[null,{"z":-0.125,"n":-0.25},{"z":-0.125,"c":-0.5},)"
              R"({"z":-0.125,"e":-0.75},{"t":-0.1,"z":-2.5},{"a":-0.1,"z":-2.5},)"
              R"({"l":-0.1,"z":-2.5},{"e":-0.1,"z":-2.5}],)"
              R"("text_offset":[0,1,2,3,4,5,6,7]})");
    EXPECT_FALSE(choice.contains("prompt_logprobs"));
  }
}

TEST_F(CompletionsTest, APromptAloneHasItsLogprobs) {
  const Json answer = Answer(Complete(R"("echo":true,"logprobs":0,"max_tokens":0)"));
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(choice["text"], "once");
  EXPECT_EQ(choice["logprobs"]["token_logprobs"].dump(), "[null,-0.25,-0.5,-0.75]");
  EXPECT_EQ(choice["logprobs"]["top_logprobs"][1].dump(), R"({"n":-0.25})");
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
}

TEST_F(CompletionsTest, AStreamsFirstPieceHasThePromptsLogprobs) {
  for (const char* fields : {R"("echo":true,"logprobs":1,"stream":true)",
                             R"("echo":true,"logprobs":1,"stream":true,"max_tokens":0)"}) {
    const std::vector<Json> events = Events(Read(Complete(fields)));
    const Json& first = events.at(0)["choices"][0];
    EXPECT_EQ(first["text"], "once");
    EXPECT_EQ(first["logprobs"]["token_logprobs"].dump(), "[null,-0.25,-0.5,-0.75]");
    EXPECT_EQ(first["logprobs"]["text_offset"].dump(), "[0,1,2,3]");
    if (events.size() <= 3) continue;
    EXPECT_EQ(events.at(1)["choices"][0]["logprobs"]["text_offset"].dump(), "[4]");
  }
}

TEST_F(CompletionsTest, PromptLogprobsAreThereByIds) {
  const Json choice = Answer(Complete(R"("prompt_logprobs":1,"max_tokens":2)"))["choices"][0];
  EXPECT_EQ(choice["text"], "tale");  // the fake's
  EXPECT_TRUE(choice["logprobs"].is_null());
  EXPECT_EQ(choice["prompt_logprobs"].dump(),
            R"([null,{"110":{"logprob":-0.25,"rank":7,"decoded_token":"n"},)"
            R"("122":{"logprob":-0.125,"rank":1,"decoded_token":"z"}},)"
            R"({"99":{"logprob":-0.5,"rank":7,"decoded_token":"c"},)"
            R"("122":{"logprob":-0.125,"rank":1,"decoded_token":"z"}},)"
            R"({"101":{"logprob":-0.75,"rank":7,"decoded_token":"e"},)"
            R"("122":{"logprob":-0.125,"rank":1,"decoded_token":"z"}}])");
  // With echo each has as many as it asks for.
  const Json both =
      Answer(Complete(R"("prompt_logprobs":0,"echo":true,"logprobs":2)"))["choices"][0];
  EXPECT_EQ(both["prompt_logprobs"][1].size(), 1u);
  EXPECT_EQ(both["logprobs"]["top_logprobs"][1].size(), 3u);
}

TEST_F(CompletionsTest, ControlTokensOfTextsAreAskedFor) {
  const auto prompt = [this](const std::string& fields) {
    EXPECT_EQ(Post(kCompletions, R"({"prompt":"a^b")" + fields + "}").status, 200);
    return service_.Decode(service_.request(service_.submitted() - 1).prompt);
  };
  EXPECT_EQ(prompt(""), "a^b");  // the fake's own encoding of a prompt
  EXPECT_EQ(prompt(R"(,"parse_special":true)"), "^a^b");
  EXPECT_EQ(prompt(R"(,"add_special_tokens":false)"), "a?b");
  EXPECT_EQ(prompt(R"(,"parse_special":true,"add_special_tokens":false)"), "a^b");
  EXPECT_EQ(Complete(R"("skip_special_tokens":true)").status, 200);
  EXPECT_EQ(service_.request(service_.submitted() - 1).options.spoken, nullptr);
  EXPECT_EQ(Complete(R"("skip_special_tokens":false)").status, 200);
  const auto spoken = service_.request(service_.submitted() - 1).options.spoken;
  ASSERT_NE(spoken, nullptr);
  EXPECT_EQ(spoken->at(1), "<s>");
  EXPECT_EQ(spoken->size(), 2u);
}

TEST_F(CompletionsTest, TokensAreToldByTheirIds) {
  const Json choice = Answer(Complete(R"("return_token_ids":true)"))["choices"][0];
  EXPECT_EQ(choice["token_ids"].dump(), "[116,97,108,101]");
  EXPECT_EQ(choice["prompt_token_ids"].dump(), "[111,110,99,101]");
}

TEST_F(CompletionsTest, MorePromptsAreTakenForATokenEach) {
  const auto ask = [this](size_t prompts, const std::string& fields) {
    return Post(
        kCompletions,
        Json{{"prompt", std::vector<std::string>(prompts, "x")}}.dump(-1).insert(1, fields + ","));
  };
  EXPECT_EQ(Answer(ask(128, R"("max_tokens":1)"))["choices"].size(), 128u);
  EXPECT_EQ(Answer(ask(128, R"("max_tokens":0,"echo":true,"logprobs":1)"))["choices"].size(), 128u);
  EXPECT_EQ(ask(129, R"("max_tokens":1)").status, 400);
  EXPECT_EQ(ask(33, R"("max_tokens":2)").status, 400);
  EXPECT_EQ(ask(32, R"("max_tokens":2)").status, 200);
}

TEST_F(CompletionsTest, EachPromptHasNAnswersWithSeedsInARow) {
  const Json answer =
      Answer(Post(kCompletions, R"({"prompt":[[97],[98,99]],"n":2,"seed":-1,"echo":true})"));
  ASSERT_EQ(answer["choices"].size(), 4u);
  const char* const texts[] = {"atale", "atale", "bctale", "bctale"};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(answer["choices"][i]["index"], i);
    EXPECT_EQ(answer["choices"][i]["text"], texts[i]);
    EXPECT_EQ(answer["choices"][i]["seed"], i % 2 == 0 ? -1 : 0);
    EXPECT_EQ(service_.request(i).options.sampling.seed, i % 2 == 0 ? UINT64_MAX : 0);
    EXPECT_EQ(service_.request(i).prompt.size(), i < 2 ? 1u : 2u);
  }
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 16);
  EXPECT_EQ(Answer(Post(kCompletions, R"({"prompt":["a","b"]})"))["choices"].size(), 2u);
}

TEST_F(CompletionsTest, BestOfPicksByTheMeanLogprob) {
  service_.logprob = [](size_t i) { return i == 2 ? -0.5f : i == 0 ? -1.0f : -3.0f; };
  const Json answer = Answer(Complete(R"("n":2,"best_of":4,"seed":10)"));
  ASSERT_EQ(answer["choices"].size(), 2u);
  EXPECT_EQ(answer["choices"][0]["seed"], 12);
  EXPECT_EQ(answer["choices"][1]["seed"], 10);
  EXPECT_TRUE(answer["choices"][0]["logprobs"].is_null());
  EXPECT_EQ(answer["usage"]["completion_tokens"], 16);
}

TEST_F(CompletionsTest, StreamsPiecesThenUsageThenDone) {
  const HttpReply reply = Complete(
      R"("seed":7,"n":2,"stream":true,"stream_options":{"include_usage":true},"echo":true)");
  EXPECT_EQ(reply.content_type, "text/event-stream; charset=utf-8");
  const std::vector<Json> events = Events(Read(reply));
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events.back(), "[DONE]");
  const Json& usage = events[events.size() - 2];
  EXPECT_EQ(usage["choices"].size(), 0u);
  EXPECT_EQ(usage["usage"]["completion_tokens"], 8);
  std::string texts[2];
  std::set<std::string> heads;
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    heads.insert(events[i]["id"].dump() + events[i]["created"].dump() + events[i]["model"].dump());
    EXPECT_TRUE(events[i]["usage"].is_null());
    const Json& choice = events[i]["choices"].at(0);
    texts[choice["index"].get<size_t>()] += choice["text"].get<std::string>();
    EXPECT_EQ(choice["finish_reason"].is_null(), !choice.contains("seed"));
  }
  EXPECT_EQ(heads.size(), 1u);
  EXPECT_EQ(texts[0], "oncetale");
  EXPECT_EQ(texts[1], "oncetale");
  EXPECT_EQ(Read(Complete(R"("stream":true)")).find("\"usage\""), std::string::npos);
}

TEST_F(CompletionsTest, AFailureMidStreamIsTheLastEvent) {
  service_.script.clear();
  auto handling = Begin([&] { return Complete(R"("stream":true)"); });
  service_.Send(0, 'a');
  const HttpReply reply = handling.get();
  EXPECT_THAT(reply.next().data, HasSubstr(R"("text":"a")"));
  service_.Fail(0, ErrorKind::kDeadlineExceeded, "too long");
  const BodyPart end = reply.next();
  EXPECT_EQ(end.then, BodyPart::Then::kClose);
  EXPECT_EQ(end.data, R"(data: {"error":{"message":"too long","type":"server_error","param":null,)"
                      R"("code":"deadline_exceeded"}})"
                      "\n\n");
}

TEST_F(CompletionsTest, OneFailedAnswerFailsAndCancelsAll) {
  service_.script.clear();
  auto handling = std::async(std::launch::async, [&] { return Complete(R"("n":3)"); });
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 3; }));
  service_.Fail(1, ErrorKind::kInternal, "no finite logit");
  EXPECT_EQ(handling.get().status, 500);
  EXPECT_TRUE(service_.cancelled(0) && service_.cancelled(2));
}

// Clients count events and not comments, so that an empty piece says that the server is there.
TEST_F(CompletionsTest, AStreamThatWaitsHasEmptyPieces) {
  auto handling = BeginStream(std::chrono::milliseconds(30));
  service_.request(0).progress->read = 2;
  service_.request(0).progress->cached = 1;
  service_.request(0).progress->begun = true;
  const HttpReply reply = handling.get();
  for (int i = 0; i < 2; ++i) {
    std::string event = reply.next().data;
    ASSERT_THAT(event, StartsWith("data: "));
    const Json json = *ParseStrictObject(event.substr(6));
    EXPECT_EQ(json["choices"], Json::parse(R"([{"index": 0, "text": "", "logprobs": null,
                                                "finish_reason": null}])"));
    EXPECT_EQ(json["prompt_progress"]["total"], 3);
    EXPECT_EQ(json["prompt_progress"]["processed"], 2);
    EXPECT_EQ(json["prompt_progress"]["cache"], 1);
    EXPECT_GE(json["prompt_progress"]["time_ms"], 30);
  }
  service_.Send(0, 'a');
  EXPECT_THAT(reply.next().data, StartsWith("data: {"));
  service_.Finish(0);
  EXPECT_THAT(Read(reply), EndsWith("data: [DONE]\n\n"));
}

// What the queue says comes as a status, although it says it later than the first sign of life.
TEST_F(CompletionsTest, AStreamBeginsWithItsSession) {
  auto handling = BeginStream(std::chrono::milliseconds(50));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  service_.Fail(0, ErrorKind::kUnavailable, "no session became free");
  EXPECT_EQ(handling.get().status, 503);
}

TEST_F(CompletionsTest, ANearDeadlineIsAStatus) {
  auto handling = BeginStream(std::chrono::milliseconds(100), {{"X-Request-Timeout-Ms", "300"}});
  service_.request(0).progress->begun = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  service_.Fail(0, ErrorKind::kDeadlineExceeded, "too late");
  EXPECT_EQ(handling.get().status, 504);
}

// A queue with places for two: the others come when these have ended.
TEST_F(CompletionsTest, AnswersThatFindNoPlaceWaitForTheirSiblings) {
  service_.script.clear();
  service_.places = 2;
  auto handling = std::async(std::launch::async, [&] { return Complete(R"("n":3)"); });
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 2; }));
  service_.places = 3;
  service_.Send(1, 'a');
  service_.Finish(1);
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 3; }));
  service_.Finish(0);
  service_.Finish(2);
  EXPECT_EQ(Answer(handling.get())["choices"][1]["text"], "a");
  service_.places = 3;
  EXPECT_EQ(Complete(R"("n":2)").status, 429);
}

}  // namespace
}  // namespace lockstep
