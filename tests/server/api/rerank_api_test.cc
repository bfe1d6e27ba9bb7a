#include "server/api/rerank_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/server/api/api_fixture.h"
#include "tests/server/generation/fake_embeddings.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

class RerankApi : public ApiFixture {
 protected:
  RerankApi() : ApiFixture("") { service_.SetEmbeddings(embeddings_, /*alone=*/true); }
  // The fake's vectors differ by the texts' lengths alone: the nearer these, the larger the cosine.
  static constexpr char kDocuments[] =
      R"({"query":"abc","documents":["abcdefgh","abc",{"text":"abcde"},"xyz"])";
  FakeEmbeddings embeddings_;
};

TEST_F(RerankApi, TheBestIsFirst) {
  for (const char* path : {"/v1/rerank", "/v2/rerank", "/rerank"}) {
    const Json answer = Answer(Post(path, std::string(kDocuments) + R"(,"model":"m"})"));
    EXPECT_EQ(answer["model"], "m");
    ASSERT_EQ(answer["results"].size(), 4u);
    std::vector<int> order;
    for (const Json& result : answer["results"]) {
      order.push_back(result["index"].get<int>());
      EXPECT_FALSE(result.contains("document"));
    }
    EXPECT_THAT(order, testing::ElementsAre(1, 3, 2, 0));  // of equal ones, the first
    EXPECT_NEAR(answer["results"][0]["relevance_score"].get<double>(), 1, 1e-6);
    EXPECT_EQ(answer["usage"]["total_tokens"], 5 + 10 + 5 + 7 + 5);
    EXPECT_TRUE(answer["id"].is_string() && answer["meta"].is_object());
  }
  const Json two = Answer(
      Post("/v1/rerank", std::string(kDocuments) + R"(,"top_n":2,"return_documents":true})"));
  EXPECT_EQ(
      Answer(Post("/v1/rerank", std::string(kDocuments) + R"(,"top_n":0})"))["results"].size(), 4u);
  ASSERT_EQ(two["results"].size(), 2u);
  EXPECT_EQ(two["results"][1]["document"]["text"], "xyz");
}

TEST_F(RerankApi, TextsAreOfTheOtherDialect) {
  const Json answer =
      Answer(Post("/rerank", R"({"query":"a","texts":["abcdef","b"],"return_text":true})"));
  ASSERT_EQ(answer.size(), 2u);
  EXPECT_EQ(answer[0]["index"], 1);
  EXPECT_EQ(answer[0]["text"], "b");
  EXPECT_GT(answer[0]["score"], answer[1]["score"]);
  const HttpReply empty = Post("/rerank", R"({"query":"a","texts":[]})");
  EXPECT_EQ(empty.status, 400);
  EXPECT_THAT(empty.body, HasSubstr(R"("error_type":"Empty")"));
  EXPECT_EQ(Post("/rerank", R"({"texts":["a"]})").status, 422);
}

TEST_F(RerankApi, ScoresOfOneWithManyOrOfPairs) {
  const Json many = Answer(Post("/score", R"({"text_1":"a","text_2":["a","abcdef"]})"));
  EXPECT_EQ(many["object"], "list");
  ASSERT_EQ(many["data"].size(), 2u);
  EXPECT_EQ(many["data"][0]["object"], "score");
  EXPECT_NEAR(many["data"][0]["score"].get<double>(), 1, 1e-6);
  EXPECT_LT(many["data"][1]["score"].get<double>(), 0.9999);
  const Json pairs =
      Answer(Post("/v1/score", R"({"queries":["a","abcdef"],"documents":["b","uvwxyz"]})"));
  for (const Json& score : pairs["data"]) {
    EXPECT_NEAR(score["score"].get<double>(), 1, 1e-6);
  }
  EXPECT_EQ(Answer(Post("/score", R"({"data_1":"a","data_2":"b"})"))["data"].size(), 1u);
  EXPECT_EQ(Answer(Post("/score", R"({"queries":"a","items":["b","c"]})"))["data"].size(), 2u);
}

// A model that reads the two together. Its scores are logits, which become probabilities.
TEST_F(RerankApi, PairsAreScoredByTheModel) {
  embeddings_.pairs = true;
  const Json answer = Answer(Post("/v1/rerank", R"({"query":"abc","documents":["abcd","abc"]})"));
  ASSERT_EQ(answer["results"].size(), 2u);
  EXPECT_EQ(answer["results"][0]["index"], 1);
  EXPECT_EQ(answer["results"][0]["relevance_score"], 0.5);
  EXPECT_NEAR(answer["results"][1]["relevance_score"].get<double>(), 1 / (1 + std::exp(1)), 1e-7);
  EXPECT_EQ(answer["usage"]["total_tokens"], 10 + 9);
  EXPECT_THAT(embeddings_.LastTexts(), testing::ElementsAre("<abc>abcd>", "<abc>abc>"));
  const char kRaw[] = R"({"query":"abc","texts":["abcd"],"raw_scores":true})";
  EXPECT_EQ(Answer(Post("/rerank", kRaw))[0]["score"], -1.0);
  const Json pairs = Answer(Post("/score", R"({"text_1":["a","bc"],"text_2":["a","b"]})"));
  EXPECT_EQ(pairs["data"][0]["score"], 0.5);
  EXPECT_GT(pairs["data"][1]["score"], 0.5);
  // A decoder's are probabilities by themselves.
  embeddings_.logits = false;
  EXPECT_EQ(Answer(Post("/rerank", R"({"query":"abc","texts":["ab"]})"))[0]["score"], 1.0);
}

TEST_F(RerankApi, PairsHaveTheContextTogetherAndMakeNoVectors) {
  embeddings_.pairs = true;
  const std::string body = R"({"query":"abc","documents":["abcdefgh"])";
  const HttpReply refused = Post("/v1/rerank", body + "}");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("documents with what is around it has 14 tokens"));
  Answer(Post("/v1/rerank", body + R"(,"truncate_prompt_tokens":-1})"));
  EXPECT_THAT(embeddings_.LastTexts(), testing::ElementsAre("<abc>abcd>"));
  const HttpReply query = Post("/v1/rerank", R"({"query":"0123456789","documents":["a"]})");
  EXPECT_EQ(query.status, 400);
  EXPECT_THAT(query.body, HasSubstr("query with what is around it has 13 tokens"));
  EXPECT_THAT(query.body, HasSubstr(R"("param":"query")"));
  const HttpReply second =
      Post("/score", R"({"text_1":["a","0123456789"],"text_2":["a","0123456789"]})");
  EXPECT_THAT(second.body, HasSubstr("text_1[1] with what is around it has 13 tokens"));
  const HttpReply vectors = Post("/v1/embeddings", R"({"input":"a"})");
  EXPECT_EQ(vectors.status, 400);
  EXPECT_THAT(vectors.body, HasSubstr("makes no vectors"));
}

// The longer of the two first, as the servers do it whose fields these are.
TEST_F(RerankApi, WhereItIsAskedForBothTextsAreCut) {
  embeddings_.pairs = true;
  const auto cut = [this](const char* path, const std::string& body) {
    Answer(Post(path, body));
    return embeddings_.LastTexts().at(0);
  };
  EXPECT_EQ(
      cut("/v1/rerank", R"({"query":"0123456789","documents":["a"],"truncate_prompt_tokens":-1})"),
      "<012345>a>");
  EXPECT_EQ(cut("/score", R"({"text_1":"0123456789","text_2":"abcdefgh",
                              "truncate_prompt_tokens":8})"),
            "<012>ab>");
  EXPECT_EQ(cut("/rerank", R"({"query":"012","texts":["abcdefgh"],"truncate":true})"),
            "<012>abcd>");
  EXPECT_EQ(cut("/rerank", R"({"query":"012","texts":["abcdefgh"],"truncate":true,
                               "truncation_direction":"Left"})"),
            "<012>efgh>");
  EXPECT_EQ(cut("/similarity", R"({"inputs":{"source_sentence":"0123456","sentences":["ab"]},
                    "parameters":{"truncate":true,"truncation_direction":"left"}})"),
            "<23456>ab>");
  const HttpReply none =
      Post("/v1/rerank", R"({"query":"a","documents":["a"],"truncate_prompt_tokens":2})");
  EXPECT_EQ(none.status, 400);
  EXPECT_THAT(none.body, HasSubstr("truncate_prompt_tokens: around a query and a text the model "
                                   "has 3 tokens, and both together may have 2"));
}

TEST_F(RerankApi, InfoSaysWhatTheModelIsFor) {
  HttpRequest request;
  request.method = "GET";
  request.path = "/info";
  EXPECT_TRUE(Answer(router_.Handle(request))["model_type"].contains("embedding"));
  embeddings_.pairs = true;
  EXPECT_EQ(Answer(router_.Handle(request))["model_type"].dump(),
            R"({"reranker":{"id2label":{"0":"LABEL_0"},"label2id":{"LABEL_0":0}}})");
}

TEST_F(RerankApi, RefusalsNameTheField) {
  const std::tuple<const char*, const char*, const char*> kCases[] = {
      {"/v1/rerank", R"({"documents":["a"]})", "query is missing"},
      {"/v1/rerank", R"({"query":"a"})", "documents must be a list of 1 to 2048"},
      {"/v1/rerank", R"({"query":"a","documents":[]})", "documents must be a list"},
      {"/v1/rerank", R"({"query":"a","documents":[7]})", "documents[0] must be a text"},
      {"/v1/rerank", R"({"query":"a","documents":[{}]})", "documents[0].text is missing"},
      {"/v1/rerank", R"({"query":"a","documents":["a"],"top_n":-1})", "top_n"},
      {"/v1/rerank", R"({"query":"a","documents":["0123456789"]})", "documents has 12 tokens"},
      {"/v1/rerank", R"({"query":"0123456789","documents":["a"]})", "query has 12 tokens"},
      {"/score", R"({"text_1":["a","b"],"text_2":["a","b","c"]})", "text_1 has 2 texts"},
      {"/score", R"({"text_1":"a"})", "text_2 is missing"},
  };
  for (const auto& [path, body, says] : kCases) {
    const HttpReply reply = Post(path, body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_THAT(reply.body, HasSubstr(says));
  }
}

TEST_F(RerankApi, ErrorsAreAboutTheFieldsThatWereSent) {
  const std::tuple<const char*, const char*, const char*, const char*> kCases[] = {
      {"/v1/rerank", R"({"query":"a","documents":["b","0123456789"]})",
       "documents[1] has 12 tokens", R"("param":"documents")"},
      {"/v1/rerank", R"({"query":"0123456789","documents":["a"]})", "query has 12 tokens",
       R"("param":"query")"},
      {"/score", R"({"queries":["a","0123456789"],"documents":["a","b"]})",
       "queries[1] has 12 tokens", R"("param":"queries")"},
      {"/score", R"({"data_1":"a","data_2":["0123456789","b"]})", "data_2[0] has 12 tokens",
       R"("param":"data_2")"},
      {"/score", R"({"text_1":"a","text_2":"b","truncate_prompt_tokens":0})",
       "must be a number of tokens, or -1", R"("param":"truncate_prompt_tokens")"},
  };
  for (const auto& [path, body, says, names] : kCases) {
    const HttpReply reply = Post(path, body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_THAT(reply.body, AllOf(HasSubstr(says), HasSubstr(names)));
  }
}

// A null is a field that is not there.
TEST_F(RerankApi, TheDialectIsThatOfTheFieldsThatAreThere) {
  const Json answer = Answer(Post("/rerank", R"({"query":"a","documents":["a"],"texts":null})"));
  EXPECT_EQ(answer["results"].size(), 1u);
}

// Cohere's limit is of a document alone.
TEST_F(RerankApi, ADocumentsLimitLeavesTheQueryWhole) {
  Answer(Post("/v2/rerank",
              R"({"query":"abcd","documents":["0123456789","ab"],"max_tokens_per_doc":5})"));
  EXPECT_THAT(embeddings_.LastTexts(), testing::ElementsAre("<abcd>", "<012>", "<ab>"));
  embeddings_.pairs = true;
  Answer(Post("/v2/rerank",
              R"({"query":"abcd","documents":["0123456789","a"],"max_tokens_per_doc":3})"));
  EXPECT_THAT(embeddings_.LastTexts(), testing::ElementsAre("<abcd>012>", "<abcd>a>"));
  // Near the context, or beyond it, it asks for what there is.
  for (const char* limit : {"6", "4000"}) {
    Answer(Post("/v2/rerank",
                std::string(R"({"query":"abcd","documents":["0123456789"],"max_tokens_per_doc":)") +
                    limit + "}"));
    EXPECT_THAT(embeddings_.LastTexts(), testing::ElementsAre("<abcd>012>"));
  }
  const HttpReply query =
      Post("/v2/rerank", R"({"query":"0123456789","documents":["a"],"max_tokens_per_doc":3})");
  EXPECT_EQ(query.status, 400);
  EXPECT_EQ(Post("/rerank", R"({"query":"a","documents":["a"],"max_tokens_per_doc":0})").status,
            400);
}

// The query is read anew with each document: of much of both, hours of a thread.
TEST_F(RerankApi, HowMuchPairsAreToReadHasABound) {
  embeddings_.pairs = true;
  std::string body = R"({"query":")" + std::string(size_t{1} << 20, 'a') + R"(","documents":["b")";
  for (int i = 0; i < 70; ++i) body += R"(,"b")";
  const HttpReply reply = Post("/rerank", body + "]}");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("query is read anew with each of documents"));
}

TEST_F(RerankApi, NothingIsReadThatNobodyWaitsFor) {
  HttpRequest request = JsonRequest("/rerank", R"({"query":"a","documents":["b","c"]})");
  for (const bool pairs : {false, true}) {
    embeddings_.pairs = pairs;
    int asked = 0;
    request.client_gone = [&asked] { return ++asked > 1; };
    EXPECT_EQ(router_.Handle(request).status, 499);
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(embeddings_.submitted(), 0u);
  }
  request.client_gone = [] { return false; };
  request.headers.emplace_back("X-Request-Timeout-Ms", "1");
  embeddings_.encode_delay = std::chrono::milliseconds(3);
  const HttpReply late = router_.Handle(request);
  EXPECT_EQ(late.status, 504);
  EXPECT_THAT(late.body, HasSubstr("not read within 0.001 s"));
}

}  // namespace
}  // namespace lockstep
