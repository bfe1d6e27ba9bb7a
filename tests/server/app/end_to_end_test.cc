// What the parts promise together.
#include <future>
#include <thread>
#include <vector>

#include "core/base/utf8.h"
#include "tests/server/app/end_to_end_fixture.h"

namespace lockstep {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

using EndToEndTest = EndToEndFixture;

json Request(uint64_t seed, bool stream = false) {
  return {{"prompt", "Once upon a time"}, {"max_tokens", 40}, {"temperature", 1.5},
          {"ignore_eos", true},           {"seed", seed},     {"stream", stream}};
}

TEST_F(EndToEndTest, TheSeedDecidesStreamedOrNot) {
  const json plain = Answer(Request(7));
  EXPECT_EQ(plain["tokens"].size(), 40u);
  EXPECT_EQ(plain["finish_reason"], "length");
  EXPECT_EQ(plain["system_fingerprint"], model_->fingerprint);
  EXPECT_EQ(Promised(Answer(Request(7))), Promised(plain));
  EXPECT_EQ(Promised(Answer(Request(7, true))), Promised(plain));
  EXPECT_NE(Answer(Request(8))["tokens"], plain["tokens"]);

  json seedless = Request(0);
  seedless.erase("seed");
  const json chosen = Answer(seedless);
  EXPECT_EQ(Promised(Answer(Request(chosen["seed"]))), Promised(chosen));
}

// States after the first turn's prompt and answer are kept, and the second goes on from them.
class RecurrentEndToEndTest : public EndToEndFixture {
 protected:
  RecurrentEndToEndTest() : EndToEndFixture({.architecture = "qwen35"}, 1 << 20) {}
  static json Bytes(const json& answer) { return {answer["text"], answer["tokens"]}; }
};

TEST_F(RecurrentEndToEndTest, AWarmTurnAndARegeneratedOneAreTheColdOnes) {
  json first = Request(7), second = Request(8);
  first["prompt"] = "It was a dark night when the last of the travellers came to our door.";
  first["max_tokens"] = 20;
  const json answer = Answer(first);
  ASSERT_EQ(answer["tokens"].size(), 20u);
  second["prompt"] = first["prompt"].get<std::string>() + "abc. Then?";
  second["max_tokens"] = 20;
  const json warm = Answer(second), again = Answer(first);
  for (const json& reused : {warm, again}) {
    EXPECT_GE(reused["usage"]["prompt_tokens_details"]["cached_tokens"], 32) << reused;
  }
  EXPECT_EQ(Bytes(again), Bytes(answer));
  Restart();
  const json cold = Answer(second);
  EXPECT_EQ(cold["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  EXPECT_EQ(Bytes(cold), Bytes(warm));
}

TEST_F(EndToEndTest, SixteenAtOnceGetWhatEachGetsAlone) {
  std::vector<json> requests;
  for (uint64_t i = 0; i < 16; ++i) {
    json request = Request(i, i % 2 == 0);
    request["prompt"] = std::string(1 + 5 * i, static_cast<char>('a' + i));
    request["max_tokens"] = 10 + i;
    requests.push_back(request);
  }
  std::vector<std::future<json>> together;
  for (const json& request : requests) {
    together.push_back(std::async(std::launch::async, [&] { return Answer(request); }));
  }
  std::vector<json> answers;
  for (auto& answer : together) answers.push_back(answer.get());
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(answers[i]["tokens"].size(), 10 + i);
    EXPECT_EQ(Promised(answers[i]), Promised(Answer(requests[i])));
  }
  EXPECT_TRUE(AllFree());
}

// Random bytes as tokens: hardly any is a whole character.
TEST_F(EndToEndTest, EventsAreWholeCharactersAndAddUpToTheText) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const std::string reply = Post(Request(seed, true));
    std::string text;
    json tokens = json::array();
    size_t at = 0;
    for (size_t i = 0; (at = reply.find("{\"index\"", at)) != reply.npos; ++i) {
      const size_t end = reply.find('\n', at);
      const json event = json::parse(reply.substr(at, end - at));  // throws on broken UTF-8
      EXPECT_EQ(event["index"], i);
      EXPECT_TRUE(IsUtf8(event["text"].get<std::string>()));
      text += event["text"].get<std::string>();
      tokens.push_back(event["token"]);
      at = end;
    }
    const size_t last = reply.rfind("{\"id\"");
    const json answer = json::parse(reply.substr(last, reply.find('\n', last) - last));
    EXPECT_EQ(answer["text"], text);
    EXPECT_EQ(answer["tokens"], tokens);
    EXPECT_EQ(answer["done"], true);
  }
}

TEST_F(EndToEndTest, PromptsFillTheContextAndNoMore) {
  const auto ids = [](size_t n) {
    return json{{"prompt", std::vector<int>(n, 65)}, {"max_tokens", 1000}, {"ignore_eos", true}};
  };
  const json answer = Answer(ids(kContext - 3));
  EXPECT_EQ(answer["tokens"].size(), 3u);  // max_tokens is cut to what fits
  EXPECT_EQ(answer["finish_reason"], "length");
  EXPECT_EQ(Answer(ids(kContext - 1))["tokens"].size(), 1u);
  for (const size_t n : {kContext, kContext + 1, size_t{100'000}}) {
    const std::string reply = Post(ids(n));
    EXPECT_THAT(reply, StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(reply, HasSubstr("context_length_exceeded"));
  }
}

TEST_F(EndToEndTest, LogprobsComeWhenAskedFor) {
  json request = Request(1);
  request["logprobs"] = 3;
  const json answer = Answer(request);
  ASSERT_EQ(answer["logprobs"].size(), 40u);
  for (size_t i = 0; i < 40; ++i) {
    const json& entry = answer["logprobs"][i];
    EXPECT_EQ(entry["token"], answer["tokens"][i]);
    EXPECT_LE(entry["logprob"].get<double>(), 0);
    ASSERT_EQ(entry["top"].size(), 3u);
    EXPECT_GE(entry["top"][0]["logprob"].get<double>(), entry["top"][2]["logprob"].get<double>());
  }
  request.erase("logprobs");
  EXPECT_EQ(Promised(Answer(request)), Promised(answer));
}

TEST_F(EndToEndTest, ClientsThatGoAwayFreeTheirSessions) {
  for (int round = 0; round < 5; ++round) {
    std::vector<std::unique_ptr<RawClient>> clients;  // more than there are sessions
    for (uint64_t i = 0; i < 2 * kSessions; ++i) {
      json request = Request(i, i % 2 == 0);
      request["max_tokens"] = 100;
      clients.push_back(std::make_unique<RawClient>(server_->port()));
      clients.back()->Generate(request.dump());
    }
    clients[0]->ReadUntil("\"index\"");
    for (size_t i = 0; i < clients.size(); ++i) {
      if (i % 2 == 0) clients[i]->Reset();
    }
    clients.clear();
    EXPECT_TRUE(AllFree());
    EXPECT_TRUE(Eventually([&] { return server_->active() == 0; }));
  }
  EXPECT_EQ(Promised(Answer(Request(7))), Promised(Answer(Request(7, true))));
}

TEST_F(EndToEndTest, BadRequestsLeaveNoTrace) {
  const json before = Promised(Answer(Request(7)));
  for (const char* body : {"", "{", "[]", R"({"prompt":""})", R"({"prompt":[320]})",
                           R"({"prompt":"x","top_p":2})", R"({"prompt":"x","stop":[1]})",
                           R"({"prompt":"x","colour":"y"})", "{\"prompt\":\"\xff\"}"}) {
    RawClient client(server_->port());
    client.Generate(body);
    EXPECT_THAT(client.ReadReply(), StartsWith("HTTP/1.1 400 ")) << body;
  }
  EXPECT_EQ(Promised(Answer(Request(7))), before);
  EXPECT_EQ(sessions_->available(), kSessions);
  json nul = Request(7);
  nul["prompt"] = std::string("a\0b", 3);
  EXPECT_EQ(Answer(nul)["finish_reason"], "length");
}

TEST_F(EndToEndTest, DrainAnswersWhatRunsAndRefusesWhatComes) {
  RawClient running(server_->port()), late(server_->port());
  json request = Request(7, true);
  request["max_tokens"] = 100;
  running.Generate(request.dump());
  running.ReadUntil("\"index\"");
  auto drained = std::async(std::launch::async,
                            [this] { return scheduler_->Drain(std::chrono::seconds(20)); });
  while (!scheduler_->state().draining) std::this_thread::yield();
  late.Generate(Request(1).dump());
  const std::string refused = late.ReadReply();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(refused, HasSubstr("Retry-After: 1\r\n"));
  late.SendRequest("GET /readyz");
  EXPECT_THAT(late.ReadReply(), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("draining")));
  EXPECT_TRUE(drained.get());
  EXPECT_TRUE(server_->Stop(std::chrono::seconds(5)));
  EXPECT_THAT(running.ReadToEnd(), HasSubstr("\"done\":true"));
}

}  // namespace
}  // namespace lockstep
