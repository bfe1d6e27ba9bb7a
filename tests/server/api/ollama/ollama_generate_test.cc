// /api/generate before a fake service: which prompt the model gets, and the tokens to go on from.
#include "server/api/ollama/ollama_generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class OllamaGenerateTest : public ApiFixture {
 protected:
  OllamaGenerateTest()
      : ApiFixture("ta", "<s>{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}") {
  }

  HttpReply Post(const std::string& fields) {
    return PostJson(router_, "/api/generate", R"({"model":"any","stream":false,)" + fields + "}");
  }
  Json Answer(const std::string& fields) { return ApiFixture::Answer(Post(fields)); }
  // What the model was given; token 1, a trusted "<s>", is shown as a dollar.
  std::string Prompt(const std::string& fields) {
    Answer(fields);
    std::string text;
    for (const int32_t token : service_.request(service_.submitted() - 1).prompt) {
      text += token == 1 ? '$' : static_cast<char>(token);
    }
    return text;
  }
};

TEST_F(OllamaGenerateTest, ThePromptIsAMessage) {
  EXPECT_EQ(Prompt(R"("prompt":"hi","system":"","template":"","suffix":"","images":[])"), "$u:hi;");
  EXPECT_EQ(Prompt(R"("prompt":"hi","system":"be")"), "$s:be;u:hi;");
  EXPECT_EQ(Prompt(R"("prompt":"<s>")"), "$u:<s>;");
}

// Who sends it raw is the template.
TEST_F(OllamaGenerateTest, RawIsThePromptAsItIs) {
  EXPECT_EQ(Prompt(R"("prompt":"<s>hi","raw":true)"), "$hi");
  EXPECT_FALSE(Answer(R"("prompt":"hi","raw":true)").contains("context"));
  for (const char* fields :
       {R"("prompt":"x","raw":true,"system":"s")", R"("prompt":"x","raw":true,"context":[5])"}) {
    const HttpReply reply = Post(fields);
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr("raw")) << fields;
  }
}

TEST_F(OllamaGenerateTest, AModelWithoutATemplateGoesOnWithTheText) {
  FakeService plain;
  plain.script = "ta";
  const Router router(plain);
  const HttpReply reply =
      PostJson(router, "/api/generate", R"({"prompt":"<s>hi","system":"s","stream":false})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(FindHeader(reply.headers, "x-ignored-params"), "system");
  EXPECT_EQ(plain.request(0).prompt, (std::vector<int32_t>{'<', 's', '>', 'h', 'i'}));
}

TEST_F(OllamaGenerateTest, TheContextIsWhereTheNextOneGoesOn) {
  const Json first = Answer(R"("prompt":"a")");
  EXPECT_EQ(first["response"], "ta");
  EXPECT_EQ(first["context"], (std::vector<int32_t>{1, 'u', ':', 'a', ';', 't', 'a'}));
  EXPECT_EQ(Prompt(R"("prompt":"b","context":)" + Dump(first["context"])), "$u:a;tau:b;");
  for (const char* context : {"1", "[-1]", "[128]", "[\"a\"]"}) {
    EXPECT_THAT(Post(R"("prompt":"b","context":)" + std::string(context)).body,
                HasSubstr("context"));
  }
}

TEST_F(OllamaGenerateTest, RefusesByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("prompt":"x","suffix":"y")", "suffix"},
      {R"("prompt":"x","template":"{{ .Prompt }}")", "template"},
      {R"("prompt":"x","images":["aGk="])", "images"},
      {R"("prompt":1)", "prompt"},
      {R"("prompt":"x","system":1)", "system"},
  };
  for (const auto& [fields, says] : cases) {
    const HttpReply reply = Post(fields);
    EXPECT_EQ(reply.status, 400) << fields;
    EXPECT_THAT(Json::parse(reply.body, nullptr, false)["error"].get<std::string>(),
                HasSubstr(says));
  }
}

TEST_F(OllamaGenerateTest, WithoutAPromptTheModelIsLoadedAlready) {
  EXPECT_EQ(Answer(R"("prompt":"")")["done_reason"], "load");
  EXPECT_EQ(Answer(R"("keep_alive":-1)")["done_reason"], "load");
  const Json unload = Answer(R"("keep_alive":0)");
  EXPECT_EQ(unload["done_reason"], "unload");
  EXPECT_EQ(unload["response"], "");
  EXPECT_EQ(service_.submitted(), 0u);
}

TEST_F(OllamaGenerateTest, StreamsLines) {
  HttpReply reply = PostJson(router_, "/api/generate", R"({"prompt":"a"})");
  EXPECT_EQ(reply.content_type, "application/x-ndjson");
  const Json first = Json::parse(reply.next().data, nullptr, false);
  EXPECT_EQ(first["model"], "fake");
  EXPECT_EQ(first["response"], "t");
  EXPECT_EQ(first["done"], false);
  EXPECT_EQ(Json::parse(reply.next().data, nullptr, false)["response"], "a");
  const BodyPart end = reply.next();
  EXPECT_EQ(end.then, BodyPart::Then::kLast);
  const Json last = Json::parse(end.data, nullptr, false);
  EXPECT_EQ(last["response"], "");
  EXPECT_EQ(last["done_reason"], "length");
  EXPECT_EQ(last["context"].size(), 7u);
}

// One text and one seed are one answer, whoever asks.
TEST_F(OllamaGenerateTest, AsksForTheSameAsTheOtherDialects) {
  constexpr char kMessages[] = R"({"messages":[{"role":"user","content":"hi"}],"stream":false,)";
  constexpr char kSampling[] =
      R"("seed":5,"temperature":0.5,"top_k":9,"top_p":0.8,"min_p":0.1,"stop":["q"])";
  const std::string options = std::string(R"("options":{)") + kSampling + "}";
  PostJson(router_, "/v1/chat/completions", kMessages + std::string(kSampling) + "}");
  PostJson(router_, "/api/chat", kMessages + options + "}");
  Post(R"("prompt":"hi",)" + options);
  ASSERT_EQ(service_.submitted(), 3u);
  const Job chat = service_.request(0);
  for (const size_t i : {1, 2}) {
    const Job other = service_.request(i);
    EXPECT_EQ(other.prompt, chat.prompt);
    EXPECT_EQ(other.options.max_tokens, chat.options.max_tokens);
    EXPECT_EQ(other.options.stop, chat.options.stop);
    const SamplingParams &a = chat.options.sampling, &b = other.options.sampling;
    EXPECT_EQ(std::tie(a.seed, a.temperature, a.top_k, a.top_p, a.min_p, a.repetition_penalty,
                       a.presence_penalty, a.frequency_penalty),
              std::tie(b.seed, b.temperature, b.top_k, b.top_p, b.min_p, b.repetition_penalty,
                       b.presence_penalty, b.frequency_penalty));
  }
}

}  // namespace
}  // namespace lockstep
