// What llama-server's routes answer, whole and streamed, and what their fields become.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LlamaApiTest : public ApiFixture {
 protected:
  LlamaApiTest() : ApiFixture("ta\n") { service_.served().fill = {'P', 'S', 'M', 'R', 'F'}; }

  HttpReply Complete(const std::string& fields) {
    return Post("/completion", R"({"prompt":"xyz")" + fields + "}");
  }
  HttpReply Infill(const std::string& fields) {
    return Post("/infill", R"({"input_prefix":"ab","input_suffix":"cd")" + fields + "}");
  }
  static std::vector<Json> Events(const std::string& text) {
    std::vector<Json> events;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find("\n\n", at);
      EXPECT_EQ(text.substr(at, 6), "data: ");
      events.push_back(Json::parse(text.substr(at + 6, end - at - 6), nullptr, false));
      at = end + 2;
    }
    return events;
  }
};

TEST_F(LlamaApiTest, CompletesWhole) {
  Json answer = Answer(Complete(R"(,"seed":7,"n_predict":3)"));
  EXPECT_EQ(answer["generation_settings"]["seed"], 7);
  EXPECT_EQ(answer["generation_settings"]["n_predict"], 3);
  EXPECT_EQ(answer["timings"]["prompt_n"], 3);
  EXPECT_EQ(answer["timings"]["predicted_n"], 3);
  EXPECT_EQ(answer["timings"]["prompt_ms"], 2.0);
  answer.erase("generation_settings");
  answer.erase("timings");
  EXPECT_EQ(answer.dump(),
            R"({"index":0,"content":"ta\n","tokens":[],"id_slot":0,"stop":true,"model":"fake",)"
            R"("tokens_predicted":3,"tokens_evaluated":3,"prompt":"xyz","has_new_line":true,)"
            R"("truncated":false,"stop_type":"limit","stopping_word":"","tokens_cached":5})");
  const Json tokens = Answer(Complete(R"(,"return_tokens":true,"n_probs":1)"));
  EXPECT_EQ(tokens["tokens"].dump(), "[116,97,10]");
  EXPECT_EQ(tokens["completion_probabilities"][0].dump(),
            R"({"id":116,"token":"t","bytes":[116],"logprob":-0.1,"top_logprobs":[)"
            R"({"id":116,"token":"t","bytes":[116],"logprob":-0.1},)"
            R"({"id":122,"token":"z","bytes":[122],"logprob":-2.5}]})");
}

TEST_F(LlamaApiTest, AStreamEndsWithAllButTheText) {
  const HttpReply reply = Complete(R"(,"stream":true)");
  EXPECT_EQ(reply.content_type, "text/event-stream; charset=utf-8");
  const std::vector<Json> events = Events(Read(reply));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].dump(), R"({"index":0,"content":"t","tokens":[116],"stop":false,"id_slot":0,)"
                              R"("tokens_predicted":1,"tokens_evaluated":3})");
  EXPECT_EQ(events[3]["content"], "");
  EXPECT_EQ(events[3]["stop"], true);
  EXPECT_EQ(events[3]["tokens_predicted"], 3);
}

TEST_F(LlamaApiTest, WhyItStoppedIsTold) {
  service_.script_end = FinishReason::kStop;
  EXPECT_EQ(Answer(Complete(""))["stop_type"], "eos");
  service_.script_stop = 1;
  const Json word = Answer(Complete(R"(,"stop":["a","b"])"));
  EXPECT_EQ(word["stop_type"], "word");
  EXPECT_EQ(word["stopping_word"], "b");
}

TEST_F(LlamaApiTest, DefaultsAreThoseOfLlamaServer) {
  ASSERT_EQ(Complete("").status, 200);
  const GenerationOptions options = LastOptions();
  EXPECT_EQ(options.max_tokens, size_t{INT32_MAX});
  EXPECT_EQ(options.sampling.temperature, 0.8f);
  EXPECT_EQ(options.sampling.top_k, 40);
  EXPECT_EQ(options.sampling.top_p, 0.95f);
  EXPECT_EQ(options.sampling.min_p, 0.05f);
  EXPECT_EQ(options.sampling.repetition_penalty, 1);
  EXPECT_EQ(options.sampling.repeat_last_n, 64);
  EXPECT_EQ(options.sampling.logprobs, -1);
}

TEST_F(LlamaApiTest, NoSeedIsWrittenInTwoWays) {
  for (const char* any : {"-1", "4294967295"}) {
    const std::string fields = std::string(R"(,"seed":)") + any;
    Complete(fields);
    const uint64_t first = LastOptions().sampling.seed;
    Complete(fields);
    EXPECT_NE(LastOptions().sampling.seed, first) << any;
  }
  Complete(R"(,"seed":4294967294)");
  EXPECT_EQ(LastOptions().sampling.seed, 4294967294u);
}

TEST_F(LlamaApiTest, ListedSamplersAloneChoose) {
  const HttpReply reply =
      Complete(R"(,"top_k":7,"top_p":0.5,"min_p":0.2,"repeat_penalty":1.5,"seed":3,)"
               R"("samplers":["top_k","top_p","infill"])");
  EXPECT_EQ(Ignored(reply), "samplers[2]");
  const SamplingParams sampling = LastOptions().sampling;
  EXPECT_EQ(sampling.top_k, 7);
  EXPECT_EQ(sampling.top_p, 0.5f);
  EXPECT_EQ(sampling.min_p, 0);
  EXPECT_EQ(sampling.temperature, 1);
  EXPECT_EQ(sampling.repetition_penalty, 1);
  EXPECT_EQ(sampling.seed, 3u);
  EXPECT_EQ(
      Ignored(Complete(R"(,"samplers":["penalties","dry","top_n_sigma","typ_p","min_p","xtc",)"
                       R"("temperature"],"repeat_penalty":1.5)")),
      "");
  EXPECT_EQ(LastOptions().sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(LastOptions().sampling.temperature, 0.8f);
  EXPECT_EQ(LastOptions().sampling.top_k, 0);
  EXPECT_EQ(Ignored(Complete(R"(,"samplers":"edkypmxts","top_k":3,"min_p":0.5)")), "");
  EXPECT_EQ(LastOptions().sampling.top_k, 3);
  EXPECT_EQ(LastOptions().sampling.min_p, 0.5f);
  EXPECT_EQ(Ignored(Complete(R"(,"samplers":"kz")")), "samplers[1]");
  EXPECT_EQ(Complete(R"(,"samplers":[1])").status, 400);
}

TEST_F(LlamaApiTest, WhatCannotBeDoneIsNamed) {
  EXPECT_EQ(Ignored(Complete(R"(,"id_slot":0,"cache_prompt":true,"n_keep":4,"n_indent":0,)"
                             R"("t_max_predict_ms":-1,"mirostat":0,"image_data":[],"lora":[])")),
            "");
  EXPECT_EQ(Ignored(Complete(R"(,"n_indent":4,"t_max_prompt_ms":500,"t_max_predict_ms":1000,)"
                             R"("mirostat":2,"post_sampling_probs":true,"speculative.n_max":3)")),
            "n_indent, t_max_prompt_ms, t_max_predict_ms, mirostat, post_sampling_probs, "
            "speculative.n_max");
  EXPECT_EQ(Complete(R"(,"lora":[{"id":0,"scale":1}])").status, 400);
  EXPECT_EQ(Complete(R"(,"image_data":[{"data":"x"}])").status, 400);
}

TEST_F(LlamaApiTest, ResponseFieldsAreTakenOut) {
  EXPECT_EQ(Answer(Complete(R"(,"response_fields":["content","generation_settings/top_k","none",)"
                            R"("timings/prompt_n","prompt/x"])"))
                .dump(),
            R"({"content":"ta\n","generation_settings/top_k":40,"timings/prompt_n":3})");
  // A warm-up of llama.vim.
  EXPECT_EQ(Answer(Complete(R"(,"n_predict":0,"samplers":[],"response_fields":[""])")).dump(),
            "{}");
}

TEST_F(LlamaApiTest, NoTokensReadThePromptIntoTheCache) {
  const Json answer = Answer(Complete(R"(,"n_predict":0,"return_tokens":true)"));
  EXPECT_EQ(LastOptions().max_tokens, 1u);
  EXPECT_EQ(answer["content"], "");
  EXPECT_EQ(answer["tokens"].size(), 0u);
  EXPECT_EQ(answer["tokens_predicted"], 0);
  const std::vector<Json> events = Events(Read(Complete(R"(,"n_predict":0,"stream":true)")));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0]["stop"], true);
}

TEST_F(LlamaApiTest, PromptsAreTextsIdsBothOrSeveral) {
  const auto ask = [this](const char* prompt) {
    return Post("/completion", std::string(R"({"prompt":)") + prompt + R"(,"n_predict":1})");
  };
  EXPECT_EQ(Answer(ask("[97,98]"))["prompt"], "ab");
  EXPECT_EQ(Answer(ask(R"([97,"bc",100])"))["prompt"], "abcd");
  EXPECT_EQ(Answer(ask(R"(["^",100])"))["prompt"], "^?d");  // BOS, and a text
  const Json two = Answer(ask(R"(["ab",[99]])"));
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[1]["prompt"], "c");
  EXPECT_EQ(two[1]["index"], 1);
  EXPECT_EQ(Answer(ask(R"({"prompt_string":"ab","multimodal_data":[]})"))["prompt"], "ab");
  for (const char* prompt :
       {"\"\"", "[]", "null", "7", "[[1],2.5]", "[128]", "[\"a\",\"\"]", "{}",
        R"({"prompt_string":1})", R"({"prompt_string":"a","multimodal_data":["eA=="]})"}) {
    EXPECT_EQ(ask(prompt).status, 400) << prompt;
  }
  EXPECT_EQ(Answer(Post("/completion", R"({"prompt":"^","parse_special":true})"))["prompt"], "^^");
}

TEST_F(LlamaApiTest, OneAddressHasBothDialects) {
  EXPECT_TRUE(Answer(Post("/completions", R"({"prompt":"x","max_tokens":3})")).contains("choices"));
  EXPECT_TRUE(Answer(Post("/completions", R"({"prompt":"x","n_predict":3})")).contains("content"));
  const char kNull[] = R"({"prompt":"x","max_tokens":3,"n_predict":null})";
  EXPECT_TRUE(Answer(Post("/completions", kNull)).contains("choices"));
}

TEST_F(LlamaApiTest, AGapIsFilled) {
  service_.served().context = 4096;
  const Json answer = Answer(
      Infill(R"(,"prompt":"x","input_extra":[{"filename":"a.c","text":"one"},{"text":"two"}])"));
  EXPECT_EQ(answer["prompt"], "Rmyproject\nFa.c\noneFtmp\ntwoFfilename\nPabxScdM");
  EXPECT_EQ(answer["content"], "ta\n");
  for (const char* fields : {R"(,"prompt":7)", R"(,"input_extra":{})", R"(,"input_extra":[{}])",
                             R"(,"input_extra":[{"text":1}])"}) {
    EXPECT_EQ(Infill(fields).status, 400) << fields;
  }
  EXPECT_EQ(Post("/infill", R"({"input_prefix":"a"})").status, 400);
  EXPECT_EQ(Post("/infill", R"({"input_suffix":"a"})").status, 400);
}

TEST_F(LlamaApiTest, AModelWithoutGapsSaysSo) {
  service_.served().fill = {};
  const HttpReply reply = Infill("");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("no token for prefix, suffix, middle"));
  EXPECT_EQ(Post("/v1/completions", R"({"prompt":"a","suffix":"b"})").status, 400);
  EXPECT_EQ(Post("/api/generate", R"({"prompt":"a","suffix":"b"})").status, 400);
}

TEST_F(LlamaApiTest, SuffixesOfOtherDialectsAreGaps) {
  ASSERT_EQ(Post("/v1/completions", R"({"prompt":"ab","suffix":"cd"})").status, 200);
  EXPECT_EQ(LastPrompt(), "PabScdM");
  ASSERT_EQ(Post("/api/generate", R"({"prompt":"ab","suffix":"cd","stream":false})").status, 200);
  EXPECT_EQ(LastPrompt(), "PabScdM");
  EXPECT_EQ(Post("/v1/completions", R"({"prompt":"ab","suffix":"cd","echo":true})").status, 400);
  EXPECT_EQ(Post("/v1/completions", R"({"prompt":[97],"suffix":"cd"})").status, 400);
}

TEST_F(LlamaApiTest, SamplersOfAllDialectsAreRead) {
  constexpr char kFields[] =
      R"("typical_p":0.5,"top_n_sigma":2,"xtc_probability":0.25,"xtc_threshold":0.2,)"
      R"("dynatemp_range":0.5,"dynatemp_exponent":2,"repeat_last_n":9,"dry_multiplier":0.75,)"
      R"("dry_base":2,"dry_allowed_length":3,"dry_penalty_last_n":50,"dry_sequence_breakers":["t"])";
  for (const std::string path : {"/completion", "/generate", "/v1/completions", "/api/generate"}) {
    SCOPED_TRACE(path);
    const std::string fields =
        path == "/api/generate" ? R"("options":{)" + std::string(kFields) + "}" : kFields;
    ASSERT_EQ(Post(path, R"({"prompt":"x",)" + fields + "}").status, 200);
    const SamplingParams sampling = LastOptions().sampling;
    EXPECT_EQ(sampling.typical_p, 0.5f);
    EXPECT_EQ(sampling.top_n_sigma, 2);
    EXPECT_EQ(sampling.xtc_probability, 0.25f);
    EXPECT_EQ(sampling.xtc_threshold, 0.2f);
    EXPECT_EQ(sampling.dynatemp_range, 0.5f);
    EXPECT_EQ(sampling.dynatemp_exponent, 2);
    EXPECT_EQ(sampling.repeat_last_n, 9);
    EXPECT_EQ(sampling.dry.multiplier, 0.75f);
    EXPECT_EQ(sampling.dry.base, 2);
    EXPECT_EQ(sampling.dry.allowed_length, 3);
    EXPECT_EQ(sampling.dry.last_n, 50);
    ASSERT_NE(sampling.dry.breakers, nullptr);
    EXPECT_TRUE((*sampling.dry.breakers)['t']);
    EXPECT_FALSE((*sampling.dry.breakers)['\n']);
  }
  ASSERT_EQ(Complete(R"(,"dry_multiplier":1,"dry_base":0.5)").status, 200);
  EXPECT_TRUE((*LastOptions().sampling.dry.breakers)['\n']);
  EXPECT_EQ(LastOptions().sampling.dry.base, 1.75f);
  for (const char* field :
       {R"("typical_p":0)", R"("xtc_probability":1.5)", R"("dry_multiplier":-1)",
        R"("dry_sequence_breakers":[""])", R"("dry_sequence_breakers":"x")",
        R"("dynatemp_range":-1)", R"("repeat_last_n":-2)", R"("top_n_sigma":"1")",
        R"("temperature":101)"}) {
    EXPECT_EQ(Complete(std::string(",") + field).status, 400) << field;
  }
}

TEST_F(LlamaApiTest, NumbersBelowTheirRangeMeanWhatTheyDoToLlamaServer) {
  ASSERT_EQ(Complete(R"(,"n_predict":-2,"temperature":-1)").status, 200);
  EXPECT_EQ(LastOptions().max_tokens, size_t{INT32_MAX});
  EXPECT_EQ(LastOptions().sampling.temperature, 0);
  ASSERT_EQ(Complete(R"(,"temperature":0.5)").status, 200);
  EXPECT_EQ(LastOptions().sampling.temperature, 0.5F);
}

}  // namespace
}  // namespace lockstep
