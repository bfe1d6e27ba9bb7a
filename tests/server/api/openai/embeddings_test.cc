#include "server/api/openai/embeddings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"
#include "tests/server/generation/fake_embeddings.h"

namespace lockstep {
namespace {

class EmbeddingsApi : public ApiFixture {
 protected:
  EmbeddingsApi() : ApiFixture("") { service_.SetEmbeddings(embeddings_, /*alone=*/true); }
  static std::vector<float> Floats(const Json& array) { return array.get<std::vector<float>>(); }
  FakeEmbeddings embeddings_;
};

TEST_F(EmbeddingsApi, TheAnswerIsOpenAis) {
  const Json answer =
      Answer(Post("/v1/embeddings", R"({"input":["a","bc"],"model":"m","user":"u"})"));
  EXPECT_EQ(answer["object"], "list");
  EXPECT_EQ(answer["model"], "m");
  EXPECT_EQ(answer["usage"], Json({{"prompt_tokens", 7}, {"total_tokens", 7}}));
  ASSERT_EQ(answer["data"].size(), 2u);
  EXPECT_EQ(answer["data"][1]["object"], "embedding");
  EXPECT_EQ(answer["data"][1]["index"], 1);
  // All digits that tell a float from its neighbours are there.
  EXPECT_EQ(Floats(answer["data"][0]["embedding"]), FakeEmbeddings::VectorOf({'<', 'a', '>'}));
  EXPECT_EQ(Floats(answer["data"][1]["embedding"]), FakeEmbeddings::VectorOf({'<', 'b', 'c', '>'}));
}

// The vector of one token 0 is (1, 0, 0, 1) / sqrt(2): base64 of 0x3f3504f3, 0, 0, 0x3f3504f3.
TEST_F(EmbeddingsApi, Base64HasTheBytesOfFloats) {
  const Json answer = Answer(Post("/v1/embeddings", R"({"input":[0],"encoding_format":"base64"})"));
  EXPECT_EQ(answer["data"][0]["embedding"], "8wQ1PwAAAAAAAAAA8wQ1Pw==");
}

TEST_F(EmbeddingsApi, DimensionsAreCutAndBroughtToTheLengthOne) {
  const Json answer = Answer(Post("/v1/embeddings", R"({"input":[[3,4]],"dimensions":2})"));
  const std::vector<float> vector = Floats(answer["data"][0]["embedding"]);
  ASSERT_EQ(vector.size(), 2u);
  EXPECT_NEAR(vector[0], 2 / std::sqrt(13), 1e-7);
  EXPECT_NEAR(vector[1], 3 / std::sqrt(13), 1e-7);
}

TEST_F(EmbeddingsApi, UnknownFieldsAreNamed) {
  EXPECT_EQ(Ignored(Post("/v1/embeddings", R"({"input":"a","input_type":"query"})")), "input_type");
}

}  // namespace
}  // namespace lockstep
