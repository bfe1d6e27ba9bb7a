// What all dialects of requests for vectors have in common, and which model is asked.
#include "server/api/encode_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"
#include "tests/server/generation/fake_embeddings.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class EncodeApi : public ApiFixture {
 protected:
  explicit EncodeApi(bool alone = true) : ApiFixture("text") {
    service_.SetEmbeddings(embeddings_, alone);
  }
  Json Get(const std::string& path) {
    HttpRequest request;
    request.method = "GET";
    request.path = path;
    return Json::parse(router_.Handle(request).body, nullptr, false);
  }
  FakeEmbeddings embeddings_;
};

class EncodeBeside : public EncodeApi {
 protected:
  EncodeBeside() : EncodeApi(/*alone=*/false) {}
};

TEST_F(EncodeApi, TextsAreReadAsTheModelReadsThemAndIdsAsTheyAre) {
  const auto texts = [this](const std::string& input) {
    const HttpReply reply = Post("/v1/embeddings", R"({"input":)" + input + "}");
    EXPECT_EQ(reply.status, 200) << reply.body;
    return embeddings_.LastTexts();
  };
  EXPECT_THAT(texts(R"("ab")"), ElementsAre("<ab>"));
  EXPECT_THAT(texts(R"(["ab","","c"])"), ElementsAre("<ab>", "<>", "<c>"));
  EXPECT_THAT(texts("[97,98]"), ElementsAre("ab"));
  EXPECT_THAT(texts(R"([[97],[98,99],"d"])"), ElementsAre("a", "bc", "<d>"));
  EXPECT_EQ(embeddings_.submitted(), 4u);
}

TEST_F(EncodeApi, WhatIsTooLongIsAnErrorOrCut) {
  const auto cut = [this](const std::string& path, const std::string& rest) {
    const HttpReply reply = Post(path, rest);
    EXPECT_EQ(reply.status, 200) << reply.body;
    return embeddings_.LastTexts()[0];
  };
  EXPECT_EQ(cut("/embed", R"({"inputs":"0123456789","truncate":true})"), "<01234567>");
  EXPECT_EQ(cut("/embed", R"({"inputs":"0123456789","truncate":true,
                             "truncation_direction":"Left"})"),
            "<23456789>");
  EXPECT_EQ(cut("/v1/embeddings", R"({"input":"0123456789","truncate_prompt_tokens":-1})"),
            "<01234567>");
  EXPECT_EQ(cut("/v1/embeddings", R"({"input":"0123456789","truncate_prompt_tokens":4})"), "<01>");
  EXPECT_EQ(cut("/v1/embeddings", R"({"input":"0123456789","truncate_prompt_tokens":1})"), "<");
  EXPECT_EQ(cut("/v1/embeddings", R"({"input":"01","truncate_prompt_tokens":4})"), "<01>");
  EXPECT_EQ(cut("/api/embed", R"({"input":"0123456789"})"), "<01234567>");

  const HttpReply refused = Post("/v1/embeddings", R"({"input":["ok","0123456789"]})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("input[1] has 12 tokens, and a text may have 10"));
  EXPECT_THAT(refused.body, HasSubstr(R"("param":"input","code":"context_length_exceeded")"));
}

TEST_F(EncodeApi, RefusalsNameTheField) {
  const std::pair<const char*, const char*> kCases[] = {
      {"{}", "input is missing"},
      {R"({"input":[]})", "input is empty"},
      {R"({"input":[[]]})", "input has no tokens"},
      {R"({"input":7})", "input must be a text"},
      {R"({"input":["a",7]})", "input[1] must be a text"},
      {R"({"input":[97,"a"]})", "input[1] must be a token id"},
      {R"({"input":[128]})", "input[0] must be a token id from 0 to 127"},
      {R"({"input":"a","dimensions":5})", "dimensions is 5, and the model's vectors have 4"},
      {R"({"input":"a","dimensions":0})", "dimensions must be at least 1"},
      {R"({"input":"a","encoding_format":"int8"})", "encoding_format must be float or base64"},
      {R"({"input":"a","truncate_prompt_tokens":0})", "truncate_prompt_tokens must be"},
  };
  for (const auto& [body, says] : kCases) {
    const HttpReply reply = Post("/v1/embeddings", body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_THAT(reply.body, HasSubstr(says)) << body;
  }
  std::string many = R"({"input":["a")";
  for (size_t i = 1; i <= kMaxInputs; ++i) many += R"(,"a")";
  EXPECT_THAT(Post("/v1/embeddings", many + "]}").body, HasSubstr("2049 texts"));
  EXPECT_EQ(embeddings_.submitted(), 0u);
}

TEST_F(EncodeApi, ErrorsOfTheSchedulerAreTold) {
  embeddings_.refusal = Error{ErrorKind::kOverloaded, "too much waits", {}, 7};
  const HttpReply full = Post("/v1/embeddings", R"({"input":"a"})");
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(FindHeader(full.headers, "Retry-After"), "7");
}

TEST_F(EncodeApi, AClientThatLeavesIsEncodedNoFurther) {
  embeddings_.silent = true;
  HttpRequest request = JsonRequest("/v1/embeddings", R"({"input":"a"})");
  request.client_gone = [this] { return embeddings_.submitted() > 0; };
  EXPECT_EQ(router_.Handle(request).status, 499);
  EXPECT_TRUE(embeddings_.cancelled());
}

TEST_F(EncodeApi, AnEncoderGeneratesNothing) {
  const std::pair<const char*, const char*> kCases[] = {
      {"/generate", R"({"prompt":"a"})"},
      {"/generate", R"({"inputs":"a"})"},
      {"/v1/completions", R"({"prompt":"a","max_tokens":0})"},
      {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"a"}]})"},
      {"/v1/messages", R"({"max_tokens":1,"messages":[{"role":"user","content":"a"}]})"},
      {"/v1/responses", R"({"input":"a"})"},
      {"/api/generate", R"({"prompt":"a"})"},
  };
  service_.SetChatError(GeneratesNothing(embeddings_.model()));
  for (const auto& [path, body] : kCases) {
    const HttpReply reply = Post(path, body);
    EXPECT_THAT(reply.status, testing::AnyOf(400, 422)) << path;
    EXPECT_THAT(reply.body, HasSubstr("makes vectors of texts and generates nothing")) << path;
  }
}

TEST_F(EncodeApi, ARerankerIsSentPairs) {
  embeddings_.pairs = true;
  service_.served().scores_pairs = true;
  const char* const kRoutes[] = {"/v1/completions", "/completion"};
  for (const char* path : kRoutes) {
    const HttpReply reply = Post(path, R"({"prompt":"a"})");
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr("scores a query and a document together and generates "
                                      "nothing: send them to /v1/rerank"));
  }
  EXPECT_EQ(Get("/v1/models")["data"][0]["capabilities"], Json::array({"rerank"}));
  EXPECT_EQ(Get("/props")["capabilities"], Json::array({"rerank"}));
  EXPECT_EQ(Get("/api/tags")["models"][0]["capabilities"], Json::array({"rerank"}));
}

TEST_F(EncodeApi, AGapIsNotFilled) {
  const HttpReply reply = Post("/infill", R"({"input_prefix":"a","input_suffix":"b"})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("makes vectors of texts and generates nothing"));
}

TEST_F(EncodeApi, AWrongItemIsNamed) {
  const std::tuple<const char*, const char*, const char*> kCases[] = {
      {"/v1/embeddings", R"({"input":["a",1]})", "input[1] must be a text, or a list of token ids"},
      {"/api/embed", R"({"input":["a",[1]]})", "input[1] must be a text"},
      {"/similarity", R"({"inputs":{"source_sentence":"a","sentences":["a",{}]}})",
       "inputs.sentences[1] must be a text"}};
  for (const auto& [path, body, says] : kCases) {
    EXPECT_THAT(Post(path, body).body, HasSubstr(says));
  }
}

TEST_F(EncodeApi, WhatTheServerSaysOfTheModel) {
  EXPECT_EQ(Get("/v1/models")["data"][0]["capabilities"], Json::array({"embedding"}));
  EXPECT_EQ(Get("/props")["capabilities"], Json::array({"embedding"}));
  EXPECT_EQ(Get("/api/tags")["models"][0]["capabilities"], Json::array({"embedding"}));
  const Json info = Get("/info");
  EXPECT_EQ(info["model_type"]["embedding"]["pooling"], "mean");
  EXPECT_EQ(info["max_input_length"], 10);
  service_.served().bos = 'C', service_.served().eos = 'S', service_.served().pad = 'P';
  EXPECT_EQ(Get("/props")["bos_token"], "C");
  EXPECT_EQ(Get("/props")["eos_token"], "S");
  EXPECT_EQ(Get("/tokenizer_info")["pad_token"], "P");
}

TEST_F(EncodeBeside, TheRequestsModelChooses) {
  EXPECT_THAT(Post("/generate", R"({"prompt":"a"})").body, HasSubstr(R"("text":"text")"));
  EXPECT_THAT(Post("/generate", R"({"prompt":"a","model":"fake"})").body, HasSubstr("text"));
  EXPECT_EQ(Post("/v1/embeddings", R"({"input":"a"})").status, 200);
  EXPECT_EQ(Post("/v1/embeddings", R"({"input":"a","model":"text-embedding-3-small"})").status,
            200);
  EXPECT_EQ(Post("/v1/embeddings", R"({"input":"a","model":"encoder:latest"})").status, 200);
  const HttpReply chat = Post("/v1/embeddings", R"({"input":"a","model":"fake"})");
  EXPECT_EQ(chat.status, 400);
  EXPECT_THAT(chat.body, HasSubstr("which generates text and makes no vectors"));
  const HttpReply encoder = Post("/v1/completions", R"({"prompt":"a","model":"encoder"})");
  EXPECT_EQ(encoder.status, 400);
  EXPECT_THAT(encoder.body, HasSubstr(R"(model is \"encoder\", which makes vectors of texts and )"
                                      R"(generates nothing: send \"fake\", or none)"));

  const Json models = Get("/v1/models")["data"];
  ASSERT_EQ(models.size(), 2u);
  EXPECT_EQ(models[0]["capabilities"], Json::array({"completion"}));
  EXPECT_EQ(models[1]["id"], "encoder");
  EXPECT_EQ(Get("/v1/models/encoder")["capabilities"], Json::array({"embedding"}));
  EXPECT_EQ(Get("/api/tags")["models"][1]["name"], "encoder:latest");
  EXPECT_EQ(Answer(Post("/api/show", R"({"model":"encoder"})"))["capabilities"],
            Json::array({"embedding"}));
  EXPECT_EQ(Answer(Post("/api/show", R"({"model":"fake"})"))["capabilities"][0], "completion");
  EXPECT_EQ(Get("/info")["model_pipeline_tag"], "text-generation");
}

// A name that belongs to neither is that of the one that a route needs.
TEST_F(EncodeBeside, NamesWhereOthersAreRefused) {
  ApiSettings settings;
  settings.generate.names.strict = true;
  settings.generate.names.aliases = {"text-embedding-3-small"};
  Router router(std::move(settings));
  router.Open(service_);
  for (const char* name :
       {"encoder", "encoder:latest", "Encoder of 4", "dummy", "tgi", "text-embedding-3-small"}) {
    const std::string body = R"({"input":"a","model":")" + std::string(name) + R"("})";
    EXPECT_EQ(PostJson(router, "/v1/embeddings", body).status, 200) << name;
  }
  EXPECT_EQ(PostJson(router, "/v1/embeddings", R"({"input":"a","model":"other"})").status, 404);
}

// Tokens are those of the model that is named.
TEST_F(EncodeBeside, TokensOfTheModelThatIsNamed) {
  FakeService encoder;
  encoder.SetEmbeddings(embeddings_, /*alone=*/true);
  embeddings_.served_alone = &encoder;
  const auto context = [this](const char* path, const std::string& body) {
    return Answer(Post(path, body))["max_model_len"];
  };
  EXPECT_EQ(context("/tokenize", R"({"content":"ab"})"), 64);
  EXPECT_EQ(context("/tokenize", R"({"content":"ab","model":"fake"})"), 64);
  EXPECT_EQ(context("/tokenize", R"({"content":"ab","model":"other"})"), 64);
  EXPECT_EQ(context("/tokenize", R"({"content":"ab","model":"encoder:latest"})"), 10);
  EXPECT_EQ(Answer(Post("/detokenize", R"({"tokens":[97],"model":"encoder"})"))["content"], "a");
  EXPECT_EQ(Answer(Post("/v1/completions/render", R"({"prompt":"a","model":"encoder"})")).dump(),
            R"([{"token_ids":[97]}])");
  service_.SetChatTemplate("{{ messages[0].content }}");
  const HttpReply chat =
      Post("/tokenize", R"({"messages":[{"role":"user","content":"a"}],"model":"encoder"})");
  EXPECT_EQ(chat.status, 400);
  EXPECT_THAT(chat.body, HasSubstr("generates nothing: send"));
}

TEST(EncodeNowhere, AModelThatGeneratesSaysSo) {
  FakeService service;
  const Router router(service);
  const std::pair<const char*, const char*> kRoutes[] = {
      {"/v1/embeddings", R"({"error":{"message":"\"fake\" generates text and makes no vectors)"},
      {"/api/embed", R"({"error":"\"fake\" generates text)"},
      {"/api/embeddings", R"({"error":"\"fake\" generates text)"},
      {"/embed", R"({"error":"\"fake\" generates text)"},
  };
  for (const auto& [path, begin] : kRoutes) {
    const HttpReply reply = PostJson(router, path, R"({"input":"a"})");
    EXPECT_EQ(reply.status, 400) << path;
    EXPECT_THAT(reply.body, testing::StartsWith(begin));
    EXPECT_THAT(reply.body, HasSubstr("--embedding-model"));
  }
}

}  // namespace
}  // namespace lockstep
