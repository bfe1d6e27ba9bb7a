// What the routes of OpenAI's API take, refuse, ignore and tell.
#include <gmock/gmock.h>

#include <map>
#include <set>
#include <sstream>

#include "tests/server/api/openai/openai_api_fixture.h"
#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class OpenAiApiTest : public OpenAiApiFixture {};

TEST_F(OpenAiApiTest, RefusesBadFieldsByName) {
  const std::pair<const char*, std::vector<const char*>> cases[] = {
      {"model", {"1", "[]"}},
      {"max_tokens", {"-2", "1.5", "\"5\"", "true", "2147483648", "18446744073709551616"}},
      {"temperature", {"-1", "1e9", "\"hot\""}},
      {"top_p", {"-0.1", "1.01"}},
      {"top_k", {"-2", "1099511627776"}},
      {"seed", {"1.5", "\"1\"", "18446744073709551616"}},
      {"n", {"0", "9", "1.5", "\"2\"", "1000000"}},
      {"best_of", {"0", "9", "true"}},
      {"stop", {"1", "[1]"}},
      {"repetition_penalty", {"0", "-1"}},
      {"repeat_penalty", {"0", "\"1\""}},
      {"logit_bias", {R"({"128":1})", R"({"x":1})", R"({"1":101})", "[1]"}},
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
      {R"("prompt_logprobs":1,"stream":true)", "prompt_logprobs"},
      {R"("prompt_logprobs":21)", "prompt_logprobs"},
      {R"("grammar":"root ::= \"a\"","guided_choice":["a"])", "guided_choice"},
      {R"("guided_json":{},"response_format":{"type":"json_object"})", "guided_json"},
      {R"("structured_outputs":{"regex":"a","choice":["a"]})", "structured_outputs.choice"},
      {R"("structured_outputs":{"structural_tag":"a"})", "structured_outputs.structural_tag"},
      {R"("guided_regex":"(")", "guided_regex"},
      {R"("response_format":{"type":"regex"})", "response_format.value"},
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
  const Router strict(service_, settings);
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
      PostJson(Router(service_, settings), kCompletions, R"({"prompt":"x","model":"any"})").status,
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
      PostJson(Router(service_, settings), kCompletions, R"({"prompt":"x",)" + fields + "}");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("--strict"));
  const HttpReply nested = Complete(R"("stream":true,"stream_options":{"nonsense":1},"tools":[])");
  EXPECT_EQ(FindHeader(nested.headers, "X-Ignored-Params"), "stream_options.nonsense, tools");
}

// To ignore them would be to answer another question.
TEST_F(OpenAiApiTest, RefusesUnsupportedFieldsThatBindTheAnswer) {
  for (const std::string field :
       {R"("suffix":"y")", R"("images":["x"])", R"("use_beam_search":true)"}) {
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
  HttpReply reply = Complete(R"("verbosity":"low",
      "prompt_cache_retention":"24h","prompt_cache_key":"k","safety_identifier":"s","user":"u",
      "service_tier":"flex","store":true,"web_search_options":{},"unheard_of":null)");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"),
            "store, service_tier, verbosity, prompt_cache_retention, web_search_options");
  reply = Complete(R"("store":false,"service_tier":"default","metadata":{},"verbosity":null)");
  EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"), "");
}

TEST_F(OpenAiApiTest, APredictionIsTakenAndCounted) {
  for (const std::string content : {R"("some text")", R"([{"type":"text","text":"some text"}])"}) {
    const HttpReply reply =
        Complete(R"("prediction":{"type":"content","content":)" + content + "}");
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"), "");
    const Job job = service_.request(service_.submitted() - 1);
    ASSERT_NE(job.options.prediction, nullptr);
    EXPECT_EQ(job.options.prediction->size(), 9u);  // this service has a token for each byte
    const Json details = Json::parse(reply.body)["usage"]["completion_tokens_details"];
    EXPECT_EQ(details["accepted_prediction_tokens"], 0);
    EXPECT_EQ(details["rejected_prediction_tokens"], 0);
  }
  EXPECT_EQ(Complete(R"("prediction":null)").status, 200);
  for (const std::string value : {"7", "{}", R"({"content":7})", R"({"content":["a"]})"}) {
    const HttpReply reply = Complete(R"("prediction":)" + value);
    EXPECT_EQ(reply.status, 400) << value;
    EXPECT_NE(reply.body.find("prediction"), std::string::npos) << reply.body;
  }
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
      {R"("json_schema":)" + schema, R"({"a": false})", "{}"},
      {R"("regex":"(ab)*c")", "ababc", "xc"},
      {R"("ebnf":"root ::= \"x\"")", "x", "y"},
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

// However the choices' pieces are interleaved.
TEST_F(OpenAiApiTest, UsageInAPieceIsThatOfItsChoice) {
  const std::string text =
      Read(Complete(R"("n":3,"stream":true,"stream_options":{"continuous_usage_stats":true})"));
  std::map<size_t, size_t> pieces;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("data: {")) continue;
    const Json json = *ParseStrictObject(line.substr(6));
    if (json["choices"].empty()) continue;
    const Json& choice = json["choices"][0];
    const bool token = choice["finish_reason"].is_null();
    const size_t made = pieces[choice["index"].get<size_t>()] += token ? 1 : 0;
    EXPECT_EQ(json["usage"],
              (Json{{"prompt_tokens", 4}, {"completion_tokens", made}, {"total_tokens", 4 + made}}))
        << line;
  }
  EXPECT_EQ(pieces.size(), 3u);
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

}  // namespace
}  // namespace lockstep
