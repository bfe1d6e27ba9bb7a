// The dialect of text-generation-inference before a fake service.
#include "server/api/tgi_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class TgiApiTest : public ApiFixture {
 protected:
  TgiApiTest() : ApiFixture("ta\n") {}

  HttpReply Generate(const std::string& parameters) {
    return Post("/generate", R"({"inputs":"once","parameters":{)" + parameters + "}}");
  }
};

TEST_F(TgiApiTest, RefusesInItsOwnForm) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"inputs":"","parameters":{}})", "inputs is empty"},
      {R"({"inputs":["a"]})", "inputs must be a string"},
      {R"({"inputs":"x","prompt":"y"})", "prompt and inputs"},
      {R"({"inputs":"x","parameters":[]})", "parameters must be an object"},
      {R"({"inputs":"x","parameters":{"max_new_tokens":0}})", "parameters.max_new_tokens must be"},
      {R"({"inputs":"x","parameters":{"temperature":-1}})", "parameters.temperature"},
      {R"({"inputs":"x","parameters":{"typical_p":0}})", "parameters.typical_p"},
      {R"({"inputs":"x","parameters":{"watermark":true}})", "parameters.watermark"},
      {R"({"inputs":"x","parameters":{"adapter_id":"a"}})", "parameters.adapter_id"},
      {R"({"inputs":"x","stream":true,"parameters":{"decoder_input_details":true}})", "streamed"},
      {R"({"inputs":"x","parameters":{"best_of":2}})", "do_sample"},
      {R"({"inputs":"x","stream":true,"parameters":{"best_of":2,"do_sample":true}})", "streamed"},
      {R"({"inputs":"x","parameters":{"stop":["a",1]}})", "parameters.stop"},
  };
  for (const auto& [body, says] : cases) {
    SCOPED_TRACE(body);
    for (const char* path : {"/generate", "/"}) {
      const HttpReply reply = Post(path, body);
      EXPECT_EQ(reply.status, 422);
      EXPECT_THAT(reply.body, testing::StartsWith(R"({"error":")"));
      EXPECT_THAT(reply.body, HasSubstr(R"("error_type":"validation"})"));
      const Json json = Json::parse(reply.body, nullptr, false);
      EXPECT_THAT(json["error"].get<std::string>(), HasSubstr(says));
    }
  }
  EXPECT_EQ(Post("/generate_stream", R"({"prompt":"x"})").status, 422);
  EXPECT_EQ(service_.submitted(), 0u);
  const std::pair<ErrorKind, int> kinds[] = {{ErrorKind::kOverloaded, 429},
                                             {ErrorKind::kContextExceeded, 422},
                                             {ErrorKind::kUnavailable, 503},
                                             {ErrorKind::kInternal, 424}};
  for (const auto& [kind, status] : kinds) {
    service_.refusal = Error{kind, "why", {}};
    const HttpReply reply = Generate("");
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(FindHeader(reply.headers, "Retry-After").empty(), status != 429 && status != 503);
  }
}

TEST_F(TgiApiTest, TakesTheLikeliestUnlessAskedForChance) {
  const std::pair<const char*, float> cases[] = {
      {"", 0},
      {R"("do_sample":false)", 0},
      {R"("do_sample":true)", 1},
      {R"("temperature":0.5)", 0.5f},
      {R"("top_k":5)", 1},
      {R"("top_p":0.5)", 1},
      {R"("repetition_penalty":1.5)", 0},
  };
  for (const auto& [parameters, temperature] : cases) {
    SCOPED_TRACE(parameters);
    const size_t i = service_.submitted();
    EXPECT_EQ(Generate(parameters).status, 200);
    const GenerationOptions params = service_.request(i).options;
    EXPECT_EQ(params.sampling.temperature, temperature);
    EXPECT_EQ(params.max_tokens, 100u);
    EXPECT_EQ(params.sampling.min_p, 0);
  }
  EXPECT_EQ(Post("/generate", R"({"inputs":"x"})").status, 200);
  EXPECT_EQ(LastOptions().sampling.temperature, 0);
  EXPECT_EQ(Generate(R"("truncate":2)").status, 200);
  EXPECT_EQ(service_.request(service_.submitted() - 1).prompt, (std::vector<int32_t>{'c', 'e'}));
}

TEST_F(TgiApiTest, StopsHaveAnOlderNameToo) {
  const HttpReply reply = Generate(R"("stop":["a"],"stop_sequences":["b","c"])");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"), "");
  EXPECT_EQ(LastOptions().stop, (std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(TgiApiTest, AnswersInItsForm) {
  EXPECT_EQ(Generate("").body, R"({"generated_text":"ta\n"})");
  EXPECT_EQ(Post("/", R"({"inputs":"x"})").body, R"([{"generated_text":"ta\n"}])");
  EXPECT_EQ(Generate(R"("return_full_text":true)").body, R"({"generated_text":"onceta\n"})");
  service_.script = std::string("t\0", 2);
  EXPECT_EQ(Generate(R"("details":true,"top_n_tokens":1,"seed":7)").body,
            R"({"generated_text":"t","details":{"finish_reason":"length","generated_tokens":2,)"
            R"("seed":7,"prefill":[],"tokens":[)"
            R"({"id":116,"text":"t","logprob":-0.1,"special":false},)"
            R"({"id":0,"text":"</s>","logprob":-0.1,"special":true}],"top_tokens":[)"
            R"([{"id":116,"text":"t","logprob":-0.1,"special":false},)"
            R"({"id":122,"text":"z","logprob":-2.5,"special":false}],)"
            R"([{"id":0,"text":"</s>","logprob":-0.1,"special":true},)"
            R"({"id":122,"text":"z","logprob":-2.5,"special":false}]]}})");
}

TEST_F(TgiApiTest, TheBestComesWithTheOthers) {
  service_.logprob = [](size_t i) { return i == 1 ? -0.5f : -1.0f; };
  const Json json =
      Json::parse(Generate(R"("best_of":3,"do_sample":true,"details":true,"seed":5)").body);
  EXPECT_EQ(json["details"]["seed"], 6);
  ASSERT_EQ(json["details"]["best_of_sequences"].size(), 2u);
  EXPECT_EQ(json["details"]["best_of_sequences"][0]["seed"], 5);
  EXPECT_EQ(json["details"]["best_of_sequences"][1]["generated_text"], "ta\n");
}

TEST_F(TgiApiTest, StreamsTheWholeTextWithTheLastToken) {
  for (const char* path : {"/generate", "/generate_stream", "/"}) {
    const HttpReply reply = Post(path, R"({"inputs":"x","stream":true,"parameters":{"seed":1}})");
    EXPECT_EQ(reply.content_type, "text/event-stream; charset=utf-8");
    EXPECT_EQ(reply.next().data,
              R"(data: {"index":1,"token":{"id":116,"text":"t","logprob":-0.1,"special":false},)"
              R"("generated_text":null,"details":null})"
              "\n\n");
    reply.next();
    EXPECT_EQ(reply.next().data,
              R"(data: {"index":3,"token":{"id":10,"text":"\n","logprob":-0.1,"special":false},)"
              R"("generated_text":"ta\n","details":{"finish_reason":"length",)"
              R"("generated_tokens":3,"seed":1,"input_length":1}})"
              "\n\n");
    const BodyPart end = reply.next();
    EXPECT_EQ(end.data, "");
    EXPECT_EQ(end.then, BodyPart::Then::kLast);
  }
}

TEST_F(TgiApiTest, IgnoresUnknownFieldsAndTells) {
  const char* const body = R"({"inputs":"x","options":{"wait_for_model":true},"a":null,
                               "parameters":{"max_tokens":5}})";
  const HttpReply reply = Post("/generate", body);
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"), "parameters.max_tokens, options");
  ApiSettings settings;
  settings.generate.strict = true;
  EXPECT_EQ(PostJson(Router(service_, settings), "/generate", body).status, 422);
}

// Its clients look for a token in each event.
TEST_F(TgiApiTest, AStreamThatWaitsHasComments) {
  ApiSettings settings;
  settings.generate.keep_alive = std::chrono::milliseconds(20);
  const Router router(service_, settings);
  service_.script.clear();
  const HttpReply reply = PostJson(router, "/generate_stream", R"({"inputs":"once"})");
  EXPECT_THAT(reply.next().data,
              testing::StartsWith(R"(: {"prompt_progress":{"total":4,"cache":0,"processed":0)"));
}

}  // namespace
}  // namespace lockstep
