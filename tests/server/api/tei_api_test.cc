#include "server/api/tei_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"
#include "tests/server/generation/fake_embeddings.h"

namespace lockstep {
namespace {

class TeiApi : public ApiFixture {
 protected:
  TeiApi() : ApiFixture("") { service_.SetEmbeddings(embeddings_, /*alone=*/true); }
  FakeEmbeddings embeddings_;
};

// Wherever it is seen that there is not enough.
TEST(TeiErrors, MemoryIsNoFieldsMistake) {
  const HttpReply reply = TeiErrorReply({ErrorKind::kInvalidArgument, "about 3 MiB", {}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.body, R"({"error":"about 3 MiB","error_type":"Validation"})");
}

// Also behind the bare address, where huggingface_hub's client sends it.
TEST_F(TeiApi, AnAnswerIsAListOfVectors) {
  for (const char* path : {"/embed", "/"}) {
    const Json answer = Answer(Post(path, R"({"inputs":["a","bc"],"normalize":true})"));
    ASSERT_EQ(answer.size(), 2u);
    EXPECT_EQ(answer[0].get<std::vector<float>>(), FakeEmbeddings::VectorOf({'<', 'a', '>'}));
    EXPECT_EQ(Answer(Post(path, R"({"inputs":"a"})")).size(), 1u);
  }
  EXPECT_EQ(Answer(Post("/embed", R"({"inputs":"a","dimensions":3})"))[0].size(), 3u);
}

TEST_F(TeiApi, VectorsMayStayAsTheyArePooled) {
  const std::vector<int32_t> tokens = {'<', 'a', '>'};
  const auto vector = [&](const std::string& fields) {
    return Answer(Post("/embed", R"({"inputs":"a","normalize":)" + fields + "}"))[0]
        .get<std::vector<float>>();
  };
  const std::vector<float> pooled = FakeEmbeddings::VectorOf(tokens, /*unit=*/false);
  EXPECT_EQ(vector("false"), pooled);
  EXPECT_EQ(vector("true"), FakeEmbeddings::VectorOf(tokens));
  EXPECT_EQ(vector(R"(false,"dimensions":2)"),
            std::vector<float>(pooled.begin(), pooled.begin() + 2));
}

TEST_F(TeiApi, EachTokenHasAVectorOfItsOwn) {
  const Json answer = Answer(Post("/embed_all", R"({"inputs":["bc",""],"truncate":true})"));
  EXPECT_EQ(answer, Json::parse("[[[60,0.5],[98,0.5],[99,0.5],[62,0.5]],[[60,0.5],[62,0.5]]]"));
  EXPECT_EQ(Answer(Post("/embed_all", R"({"inputs":[[98]]})")), Json::parse("[[[98,0.5]]]"));
}

TEST_F(TeiApi, SimilarityIsTheCosine) {
  for (const char* path : {"/similarity", "/"}) {
    const Json answer = Answer(Post(path, R"({"inputs":{"source_sentence":"a",
        "sentences":["a","0123456789"]},"parameters":{"truncate":true}})"));
    ASSERT_EQ(answer.size(), 2u);
    EXPECT_NEAR(answer[0].get<double>(), 1, 1e-6);
    EXPECT_LT(answer[1].get<double>(), 0.9999);
  }
}

TEST_F(TeiApi, ErrorsAreTheDialects) {
  const std::tuple<const char*, const char*, int, const char*> kCases[] = {
      {"/embed", R"({"inputs":[]})", 400, "Empty"},
      {"/embed", R"({})", 422, "Validation"},
      {"/embed", R"({"inputs":"0123456789"})", 413, "Validation"},
      {"/embed", R"({"inputs")", 400, "Validation"},
      {"/embed", R"([])", 400, "Validation"},
      {"/embed_all", R"({"inputs":[]})", 400, "Empty"},
      {"/embed_all", R"({"inputs":"0123456789"})", 413, "Validation"},
      {"/embed_all", R"({"inputs":"a","truncation_direction":"up"})", 422, "Validation"},
      {"/embed", R"({"inputs":"a","prompt_name":"query"})", 422, "Validation"},
      {"/embed", R"({"inputs":"a","truncation_direction":"up"})", 422, "Validation"},
      {"/similarity", R"({"inputs":{"source_sentence":"a","sentences":[]}})", 400, "Empty"},
      {"/similarity", R"({"inputs":{"sentences":["a"]}})", 422, "Validation"},
      {"/similarity", R"({"inputs":"a"})", 422, "Validation"},
  };
  for (const auto& [path, body, status, type] : kCases) {
    const HttpReply reply = Post(path, body);
    EXPECT_EQ(reply.status, status) << path << body;
    const Json json = Json::parse(reply.body, nullptr, false);
    EXPECT_EQ(json["error_type"], type) << reply.body;
    EXPECT_TRUE(json["error"].is_string());
  }
  std::string many = R"({"inputs":["a")";
  for (size_t i = 0; i < kMaxInputs; ++i) many += R"(,"a")";
  const HttpReply batch = Post("/embed", many + "]}");
  EXPECT_EQ(batch.status, 413);
  EXPECT_THAT(batch.body, testing::HasSubstr("inputs has 2049 texts"));
  embeddings_.refusal = Error{ErrorKind::kOverloaded, "too much waits", {}, 7};
  const HttpReply full = Post("/embed", R"({"inputs":"a"})");
  EXPECT_EQ(full.status, 429);
  EXPECT_THAT(full.body, testing::HasSubstr(R"("error_type":"Overloaded")"));
}

}  // namespace
}  // namespace lockstep
