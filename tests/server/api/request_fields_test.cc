// What requests of every dialect may say of their tokens, and what becomes of it.
#include "server/api/request_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/router.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using Ids = std::vector<int32_t>;

class RequestFieldsTest : public testing::Test {
 protected:
  RequestFieldsTest() { service_.script = "tale"; }

  HttpReply Post(const std::string& fields) {
    return PostJson(router_, "/v1/completions", R"({"prompt":"once",)" + fields + "}");
  }
  GenerationOptions Options(const std::string& fields) {
    const HttpReply reply = Post(fields);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(FindHeader(reply.headers, "X-Ignored-Params"), "") << fields;
    return service_.request(service_.submitted() - 1).options;
  }
  void ExpectRefused(const std::string& fields, const std::string& param) {
    const HttpReply reply = Post(fields);
    EXPECT_EQ(reply.status, 400) << fields;
    EXPECT_THAT(reply.body, HasSubstr("\"param\":\"" + param + "\"")) << fields;
  }

  FakeService service_;
  Router router_{service_};
};

TEST_F(RequestFieldsTest, WhereAnAnswerMayEnd) {
  EXPECT_EQ(Options(R"("min_tokens":5)").bans.min_tokens, 5u);
  EXPECT_EQ(Options(R"("stop_token_ids":[3,7])").stop_ids, (Ids{3, 7}));
  EXPECT_TRUE(Options(R"("min_tokens":0,"stop_token_ids":[],"bad_words":[])").bans.empty());
  ExpectRefused(R"("min_tokens":-1)", "min_tokens");
  ExpectRefused(R"("stop_token_ids":[128])", "stop_token_ids");
  ExpectRefused(R"("stop_token_ids":3)", "stop_token_ids");
}

TEST_F(RequestFieldsTest, WhichTokensItMayHave) {
  EXPECT_EQ(Options(R"("allowed_token_ids":[65,66])").bans.allowed, (Ids{65, 66}));
  // With a space before them as well, unless that is a token of its own, as here.
  EXPECT_THAT(Options(R"("bad_words":["ab"," c",""])").bans.sequences,
              ElementsAre(Ids{'a', 'b'}, Ids{'c'}));
  ExpectRefused(R"("allowed_token_ids":["a"])", "allowed_token_ids");
  ExpectRefused(R"("bad_words":[1])", "bad_words");
}

// What leaves nothing leaves the likeliest token.
TEST_F(RequestFieldsTest, NoShareOfTheTokensIsTheLikeliestOne) {
  EXPECT_EQ(Options(R"("top_p":0)").sampling.top_p, 1e-9F);
  EXPECT_EQ(Options(R"("top_p":1e-30)").sampling.top_p, 1e-9F);
  EXPECT_EQ(Options(R"("top_p":0.25)").sampling.top_p, 0.25F);
  EXPECT_EQ(Options(R"("top_p":null)").sampling.top_p, 1);
  ExpectRefused(R"("top_p":-0.5)", "top_p");
}

// llama-server's pairs beside OpenAI's object.
TEST_F(RequestFieldsTest, FormsOfBiases) {
  EXPECT_THAT(Options(R"("logit_bias":{"65":2})").sampling.logit_bias, ElementsAre(Pair(65, 2)));
  const GenerationOptions pairs = Options(R"("logit_bias":[[66,-1.5],["AC",3],[70,false]])");
  EXPECT_THAT(pairs.sampling.logit_bias, ElementsAre(Pair('A', 3), Pair(66, -1.5f), Pair('C', 3)));
  EXPECT_THAT(pairs.bans.sequences, ElementsAre(Ids{70}));
  const GenerationOptions object = Options(R"("logit_bias":{"65":2,"70":false})");
  EXPECT_THAT(object.sampling.logit_bias, ElementsAre(Pair(65, 2)));
  EXPECT_THAT(object.bans.sequences, ElementsAre(Ids{70}));
  EXPECT_TRUE(Options(R"("logit_bias":[])").sampling.logit_bias.empty());
  EXPECT_TRUE(Options(R"("logit_bias":{})").sampling.logit_bias.empty());
  for (const char* bias :
       {"[1]", "[[1]]", "[[128,1]]", R"([["",1]])", "[[1,true]]", "[[1,101]]", R"({"1":true})"}) {
    ExpectRefused(std::string("\"logit_bias\":") + bias, "logit_bias");
  }
}

TEST_F(RequestFieldsTest, TheStopInTheText) {
  service_.script_end = FinishReason::kStop;
  service_.script_stop = 0;
  const HttpReply without = Post(R"("stop":"!!")"),
                  with = Post(R"("stop":"!!","include_stop_str_in_output":true)");
  EXPECT_THAT(without.body, HasSubstr(R"("text":"tale")"));
  EXPECT_THAT(with.body, HasSubstr(R"("text":"tale!!")"));
}

TEST_F(RequestFieldsTest, TheLastTokensOfAPrompt) {
  Options(R"("truncate_prompt_tokens":2)");
  EXPECT_EQ(service_.request(service_.submitted() - 1).prompt, (Ids{'c', 'e'}));
  Options(R"("truncate_prompt_tokens":9)");
  EXPECT_EQ(service_.request(service_.submitted() - 1).prompt.size(), 4u);
  // As many as leave room for an answer.
  const std::string words(70, 'x');
  EXPECT_EQ(PostJson(router_, "/v1/completions",
                     R"({"prompt":")" + words + R"(","max_tokens":1,"truncate_prompt_tokens":-1})")
                .status,
            200);
  EXPECT_EQ(service_.request(service_.submitted() - 1).prompt.size(), service_.model().context - 1);
  ExpectRefused(R"("truncate_prompt_tokens":0)", "truncate_prompt_tokens");
  ExpectRefused(R"("truncate_prompt_tokens":-2)", "truncate_prompt_tokens");
}

}  // namespace
}  // namespace lockstep
