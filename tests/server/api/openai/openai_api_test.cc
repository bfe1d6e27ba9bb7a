// The routes of OpenAI's API before a fake service: what they take, what they answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <set>

#include "server/api/router.h"
#include "server/json/json_text.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"
#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kCompletions[] = "/v1/completions";

class OpenAiApiTest : public testing::Test {
 protected:
  OpenAiApiTest() { service_.script = "tale"; }

  HttpReply Post(const std::string& path, const std::string& body) {
    return PostJson(handlers_, path, body);
  }
  // A prompt and further fields.
  HttpReply Complete(const std::string& fields) {
    return Post(kCompletions, R"({"prompt":"once",)" + fields + "}");
  }
  Json Answer(const HttpReply& reply) {
    EXPECT_EQ(reply.status, 200) << reply.body;
    return Json::parse(reply.body, nullptr, false);
  }
  // What a stream sends, as one text.
  static std::string Read(const HttpReply& reply) {
    std::string text;
    BodyPart part;
    do {
      part = reply.next();
      text += part.data;
    } while (part.then == BodyPart::Then::kMore);
    return text;
  }
  // The objects of its events; [DONE] as a string.
  static std::vector<Json> Events(const std::string& text) {
    std::vector<Json> events;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find("\n\n", at);
      EXPECT_EQ(text.substr(at, 6), "data: ");
      const std::string data = text.substr(at + 6, end - at - 6);
      events.push_back(data == "[DONE]" ? Json(data) : Json::parse(data, nullptr, false));
      at = end + 2;
    }
    return events;
  }
  void ExpectRefused(const std::string& path, const std::string& body, int status,
                     const std::string& param, const std::string& code = "null") {
    SCOPED_TRACE(path + " " + body.substr(0, 200));
    const HttpReply reply = Post(path, body);
    EXPECT_EQ(reply.status, status);
    const Json error = Json::parse(reply.body, nullptr, false)["error"];
    EXPECT_EQ(error["param"], param) << reply.body;
    EXPECT_EQ(error["code"].is_null() ? "null" : error["code"].get<std::string>(), code);
    EXPECT_FALSE(error["message"].get<std::string>().empty());
    EXPECT_EQ(service_.submitted(), 0u);
  }

  FakeService service_;
  ApiHandlers handlers_{service_};
};

TEST_F(OpenAiApiTest, RefusesBadFieldsByName) {
  const std::pair<const char*, std::vector<const char*>> cases[] = {
      {"model", {"1", "[]"}},
      {"max_tokens", {"-2", "1.5", "\"5\"", "true", "2147483648", "18446744073709551616"}},
      {"temperature", {"-1", "1e9", "\"hot\""}},
      {"top_p", {"0", "1.01"}},
      {"top_k", {"-2", "1099511627776"}},
      {"seed", {"1.5", "\"1\"", "18446744073709551616"}},
      {"n", {"0", "9", "1.5", "\"2\"", "1000000"}},
      {"best_of", {"0", "9", "true"}},
      {"stop", {"1", "[1]"}},
      {"repetition_penalty", {"0", "-1"}},
      {"repeat_penalty", {"0", "\"1\""}},
      {"logit_bias", {R"({"128":1})", R"({"x":1})", R"({"1":101})", "[]"}},
      {"logprobs", {"true", "-1", "21"}},
      {"echo", {"1", "\"yes\""}},
      {"suffix", {"\"end\"", "1"}},
      {"stream", {"\"yes\"", "1"}},
      {"stream_options", {"{}", "true", R"({"include_usage":true})"}},
      {"user", {"1"}},
      {"store", {"1"}},
      {"service_tier", {"1"}},
      {"metadata", {"[]", "1"}},
  };
  for (const auto& [name, values] : cases) {
    for (const std::string value : values) {
      const std::string body = std::string(R"({"prompt":"x",")") + name + "\":" + value + "}";
      ExpectRefused(kCompletions, body, 400, name);
    }
  }
  for (const char* prompt :
       {"\"\"", "null", "1", "{}", "true", "[]", "[\"\"]", "[-1]", "[128]", "[1.5]", "[1,\"a\"]",
        "[\"a\",1]", "[[]]", "[[1],[128]]", "[[1],\"a\"]", "[\"a\",[1]]", "[null]", "[[[1]]]"}) {
    ExpectRefused(kCompletions, std::string(R"({"prompt":)") + prompt + "}", 400, "prompt");
  }
  ExpectRefused(kCompletions, "{}", 400, "prompt");
}

TEST_F(OpenAiApiTest, RefusesWhatDoesNotGoTogether) {
  const std::tuple<const char*, const char*> cases[] = {
      {R"("n":3,"best_of":2)", "best_of"},
      {R"("n":1,"best_of":2,"stream":true)", "best_of"},
      {R"("repeat_penalty":1.5,"repetition_penalty":1.25)", "repeat_penalty"},
      {R"("echo":true,"logprobs":1)", "echo"},
      {R"("grammar":"root ::= \"a\"","guided_choice":["a"])", "guided_choice"},
      {R"("guided_json":{},"response_format":{"type":"json_object"})", "guided_json"},
      {R"("structured_outputs":{"regex":"a","choice":["a"]})", "structured_outputs.choice"},
      {R"("structured_outputs":{"structural_tag":"a"})", "structured_outputs.structural_tag"},
      {R"("guided_regex":"(")", "guided_regex"},
      {R"("stream":true,"stream_options":{"include_obfuscation":true})",
       "stream_options.include_obfuscation"},
  };
  for (const auto& [fields, param] : cases) {
    ExpectRefused(kCompletions, std::string(R"({"prompt":"x",)") + fields + "}", 400, param);
  }
  std::string prompts;
  for (int i = 0; i < 33; ++i) prompts += i > 0 ? ",\"x\"" : "\"x\"";
  ExpectRefused(kCompletions, "{\"prompt\":[" + prompts + "]}", 400, "prompt");
  ExpectRefused(kCompletions, "{\"prompt\":[" + prompts.substr(4) + "],\"n\":3}", 400, "n");
}

TEST_F(OpenAiApiTest, AnswersToAnyNameByDefault) {
  ExpectRefused(kCompletions, R"({"prompt":"x","model":")" + std::string(257, 'x') + "\"}", 400,
                "model");
  EXPECT_EQ(Answer(Complete(R"("model":"gpt")"))["model"], "gpt");
  EXPECT_EQ(Answer(Complete(R"("model":"fake")"))["model"], "fake");
  EXPECT_EQ(Answer(Complete(R"("model":null)"))["model"], "fake");
}

TEST_F(OpenAiApiTest, StrictlyAnswersToItsNamesAndAliases) {
  ApiSettings settings;
  settings.generate.names = {{"gpt"}, true};
  const ApiHandlers strict(service_, settings);
  const auto status = [&](const std::string& path, const std::string& model) {
    return PostJson(strict, path, R"({"prompt":"x","model":")" + model + "\"}").status;
  };
  for (const char* path : {kCompletions, "/generate", "/tokenize"}) {
    SCOPED_TRACE(path);
    for (const char* name :
         {"fake", "Fake of 64 Tokens", "gpt", "gpt:latest", "fake:latest", "dummy", "tgi"}) {
      EXPECT_EQ(status(path, name), 200) << name;
    }
    for (const char* name : {"gpt2", "gpt:8b", "", ":latest", "*"}) {
      EXPECT_EQ(status(path, name), 404) << name;
    }
  }
  const HttpReply refused = PostJson(strict, kCompletions, R"({"prompt":"x","model":"gpt2"})");
  EXPECT_THAT(refused.body, HasSubstr(R"("param":"model","code":"model_not_found")"));
  EXPECT_THAT(refused.body, HasSubstr("--model-alias"));
  HttpRequest models;
  models.method = "GET";
  models.path = "/v1/models";
  EXPECT_EQ(Answer(strict.Handle(models))["data"].size(), 2u);
  models.path = "/v1/models/gpt";
  EXPECT_EQ(Answer(strict.Handle(models))["id"], "gpt");
  models.path = "/v1/models/gpt2";
  EXPECT_EQ(strict.Handle(models).status, 404);
  settings.generate.names.aliases = {"*"};
  EXPECT_EQ(
      PostJson(ApiHandlers(service_, settings), kCompletions, R"({"prompt":"x","model":"any"})")
          .status,
      200);
}

TEST_F(OpenAiApiTest, IgnoresUnknownFieldsAndTells) {
  const std::string fields =
      R"("logit_bias":null,"a\nb":1,"mirostat":2,"colour":null,"min_tokens":0)";
  const HttpReply reply = Complete(fields);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"), "a\\x0ab, mirostat");
  ApiSettings settings;
  settings.generate.strict = true;
  const HttpReply refused =
      PostJson(ApiHandlers(service_, settings), kCompletions, R"({"prompt":"x",)" + fields + "}");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("--strict"));
  const HttpReply nested = Complete(R"("stream":true,"stream_options":{"nonsense":1},"tools":[])");
  EXPECT_EQ(FindHeader(nested.headers, "X-Ignored-Params"), "stream_options.nonsense, tools");
}

// To ignore them would be to answer another question.
TEST_F(OpenAiApiTest, RefusesUnsupportedFieldsThatBindTheAnswer) {
  for (const std::string field :
       {R"("suffix":"y")", R"("min_tokens":5)", R"("bad_words":["a"])", R"("stop_token_ids":[3])",
        R"("allowed_token_ids":[1])", R"("images":["x"])", R"("use_beam_search":true)"}) {
    EXPECT_EQ(Complete(field).status, 400) << field;
  }
  for (const std::string field :
       {R"("suffix":"")", R"("min_tokens":0)", R"("bad_words":[])", R"("use_beam_search":false)"}) {
    const HttpReply reply = Complete(field);
    EXPECT_EQ(reply.status, 200) << field;
    EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"), "") << field;
  }
}

TEST_F(OpenAiApiTest, FieldsForOthersServersAreTakenAndTold) {
  HttpReply reply = Complete(R"("verbosity":"low","prediction":{"type":"content","content":"x"},
      "prompt_cache_retention":"24h","prompt_cache_key":"k","safety_identifier":"s","user":"u",
      "service_tier":"flex","store":true,"web_search_options":{},"unheard_of":null)");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"),
            "store, service_tier, verbosity, prediction, prompt_cache_retention, "
            "web_search_options");
  reply = Complete(R"("store":false,"service_tier":"default","metadata":{},"verbosity":null)");
  EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"), "");
}

// Each way to say what an answer must be binds it, in whichever mode the server is.
TEST_F(OpenAiApiTest, WhateverBindsAnAnswerBindsIt) {
  constexpr char kSchema[] = R"({"type":"object","properties":{"a":{"type":"boolean"}},
      "required":["a"],"additionalProperties":false})";
  const std::string schema = kSchema;
  const std::tuple<std::string, const char*, const char*> cases[] = {
      {R"("response_format":{"type":"json_object","value":)" + schema + "}", R"({"a": true})",
       "{}"},
      {R"("response_format":{"type":"json_object","schema":)" + schema + "}", R"({"a": true})",
       "{}"},
      {R"("response_format":{"type":"json","value":)" + schema + "}", R"({"a": true})", "{}"},
      {R"("response_format":{"type":"json_object"})", R"({"b": 1})", "1"},
      {R"("response_format":{"type":"regex","value":"[0-9]+"})", "12", "1a"},
      {R"("structured_outputs":{"json":)" + schema + "}", R"({"a": true})", "{}"},
      {R"("structured_outputs":{"json":"{\"type\":\"object\"}"})", "{}", "1"},
      {R"("structured_outputs":{"json_object":true})", "{}", "1"},
      {R"("structured_outputs":{"choice":["yes","no"]})", "no", "maybe"},
      {R"("structured_outputs":{"grammar":"root ::= \"x\""})", "x", "y"},
      {R"("guided_json":)" + schema, R"({"a": false})", "{}"},
      {R"("guided_regex":"(ab)*c|\"")", "ababc", "xc"},
      {R"("guided_regex":"[^a]\n?")", "b\n", "\x01"},
      {R"("guided_choice":["a\"b","c"])", "a\"b", "ab"},
      {R"("guided_grammar":"root ::= \"x\"")", "x", "y"},
  };
  for (const auto& [field, good, bad] : cases) {
    SCOPED_TRACE(field);
    const HttpReply reply = Complete(field);
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"), "");
    const auto grammar = service_.request(service_.submitted() - 1).options.grammar;
    ASSERT_NE(grammar, nullptr);
    EXPECT_TRUE(Matches(grammar->grammar(), good));
    EXPECT_FALSE(Matches(grammar->grammar(), bad));
  }
}

TEST_F(OpenAiApiTest, NoTokensAndAllThatThereIsRoomFor) {
  const Json answer = Answer(Complete(R"("max_tokens":0,"echo":true)"));
  EXPECT_EQ(answer["choices"][0]["text"], "once");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 0);
  EXPECT_EQ(service_.submitted(), 0u);
  const HttpReply stream = Complete(R"("max_tokens":0,"echo":true,"stream":true)");
  EXPECT_THAT(stream.next().data, HasSubstr(R"("text":"once")"));
  Answer(Complete(R"("max_tokens":-1)"));
  EXPECT_EQ(service_.request(0).options.max_tokens, size_t{INT32_MAX});
}

TEST_F(OpenAiApiTest, UsageInEachPieceWhereItIsAskedFor) {
  const HttpReply reply =
      Complete(R"("stream":true,"stream_options":{"continuous_usage_stats":true})");
  EXPECT_THAT(reply.next().data, HasSubstr(R"("completion_tokens":1)"));
  EXPECT_THAT(reply.next().data, HasSubstr(R"("completion_tokens":2)"));
}

TEST_F(OpenAiApiTest, DefaultsAreThoseThatOpenAiDocuments) {
  Answer(Complete(R"("seed":null,"stop":null,"stream":null,"n":null,"best_of":null)"));
  const GenerationOptions params = service_.request(0).options;
  EXPECT_EQ(params.max_tokens, 16u);
  EXPECT_EQ(params.sampling.temperature, 1);
  EXPECT_EQ(params.sampling.top_p, 1);
  EXPECT_EQ(params.sampling.top_k, 0);
  EXPECT_EQ(params.sampling.min_p, 0);
  EXPECT_EQ(params.sampling.logprobs, -1);
  Answer(Complete(R"("max_tokens":7,"temperature":0,"top_p":0.5,"top_k":3,"min_p":0.25,
                     "repeat_penalty":1.5,"presence_penalty":-2,"frequency_penalty":2,
                     "logit_bias":{"5":-100},"seed":-3,"stop":["a","b"],"ignore_eos":true,
                     "user":"u","metadata":{},"store":false,"service_tier":"auto")"));
  const GenerationOptions all = service_.request(1).options;
  EXPECT_EQ(all.max_tokens, 7u);
  EXPECT_EQ(all.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(all.sampling.seed, static_cast<uint64_t>(-3));
  EXPECT_THAT(all.sampling.logit_bias, ElementsAre(testing::Pair(5, -100)));
  EXPECT_THAT(all.stop, ElementsAre("a", "b"));
  EXPECT_TRUE(all.ignore_eos);
}

TEST_F(OpenAiApiTest, CompletesWhole) {
  Json answer = Answer(Complete(R"("seed":7,"logprobs":1)"));
  EXPECT_THAT(answer["id"].get<std::string>(), StartsWith("cmpl-"));
  EXPECT_GT(answer["created"].get<int64_t>(), 1'700'000'000);
  answer.erase("id");
  answer.erase("created");
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

TEST_F(OpenAiApiTest, EachPromptHasNAnswersWithSeedsInARow) {
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

TEST_F(OpenAiApiTest, BestOfPicksByTheMeanLogprob) {
  service_.logprob = [](size_t i) { return i == 2 ? -0.5f : i == 0 ? -1.0f : -3.0f; };
  const Json answer = Answer(Complete(R"("n":2,"best_of":4,"seed":10)"));
  ASSERT_EQ(answer["choices"].size(), 2u);
  EXPECT_EQ(answer["choices"][0]["seed"], 12);
  EXPECT_EQ(answer["choices"][1]["seed"], 10);
  EXPECT_TRUE(answer["choices"][0]["logprobs"].is_null());
  EXPECT_EQ(answer["usage"]["completion_tokens"], 16);
}

TEST_F(OpenAiApiTest, StreamsPiecesThenUsageThenDone) {
  const HttpReply reply = Complete(
      R"("seed":7,"n":2,"stream":true,"stream_options":{"include_usage":true},"echo":true)");
  EXPECT_EQ(reply.content_type, "text/event-stream");
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

TEST_F(OpenAiApiTest, AFailureMidStreamIsTheLastEvent) {
  service_.script.clear();
  auto handling = std::async(std::launch::async, [&] { return Complete(R"("stream":true)"); });
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 1; }));
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

TEST_F(OpenAiApiTest, OneFailedAnswerFailsAndCancelsAll) {
  service_.script.clear();
  auto handling = std::async(std::launch::async, [&] { return Complete(R"("n":3)"); });
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 3; }));
  service_.Fail(1, ErrorKind::kInternal, "no finite logit");
  EXPECT_EQ(handling.get().status, 500);
  EXPECT_TRUE(service_.cancelled(0) && service_.cancelled(2));
}

// Clients count events and not comments, so that an empty piece says that the server is there.
TEST_F(OpenAiApiTest, AStreamThatWaitsHasEmptyPieces) {
  ApiSettings settings;
  settings.generate.keep_alive = std::chrono::milliseconds(30);
  service_.script.clear();
  const ApiHandlers handlers(service_, settings);
  auto handling = std::async(std::launch::async, [&] {
    return PostJson(handlers, kCompletions, R"({"prompt":"xyz","stream":true})");
  });
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 1; }));
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
TEST_F(OpenAiApiTest, AStreamBeginsWithItsSession) {
  ApiSettings settings;
  settings.generate.keep_alive = std::chrono::milliseconds(50);
  service_.script.clear();
  const ApiHandlers handlers(service_, settings);
  auto handling = std::async(std::launch::async, [&] {
    return PostJson(handlers, kCompletions, R"({"prompt":"xyz","stream":true})");
  });
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 1; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  service_.Fail(0, ErrorKind::kUnavailable, "no session became free");
  EXPECT_EQ(handling.get().status, 503);
}

TEST_F(OpenAiApiTest, ANearDeadlineIsAStatus) {
  ApiSettings settings;
  settings.generate.keep_alive = std::chrono::milliseconds(100);
  service_.script.clear();
  const ApiHandlers handlers(service_, settings);
  auto handling = std::async(std::launch::async, [&] {
    HttpRequest request = JsonRequest(kCompletions, R"({"prompt":"xyz","stream":true})");
    request.headers.emplace_back("X-Request-Timeout-Ms", "300");
    return handlers.Handle(request);
  });
  ASSERT_TRUE(Eventually([&] { return service_.submitted() == 1; }));
  service_.request(0).progress->begun = true;
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  service_.Fail(0, ErrorKind::kDeadlineExceeded, "too late");
  EXPECT_EQ(handling.get().status, 504);
}

// A queue with places for two: the others come when these have ended.
TEST_F(OpenAiApiTest, AnswersThatFindNoPlaceWaitForTheirSiblings) {
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
