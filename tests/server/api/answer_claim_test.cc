// Which choices a claim has, and how each is made again.
#include "server/api/answer_claim.h"

#include <gmock/gmock.h>

#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t kVocab = 128;

class AnswerClaimTest : public testing::Test {
 protected:
  static Claim Read(const char* body) { return *ReadClaim(*ParseStrictObject(body), kVocab); }
  // "PROMPT SEED" of each, or what differs.
  std::vector<std::string> Choose(Claim& claim) {
    if (const auto differs = ChooseAnswers(service_, claim, request_, &whole_)) {
      return {std::string(differs->what)};
    }
    std::vector<std::string> chosen;
    for (const ClaimedChoice& choice : claim.choices) {
      chosen.push_back(std::to_string(choice.prompt) + " " + std::to_string(choice.seed));
    }
    return chosen;
  }
  static Receipt Of(const std::vector<int32_t>& prompt, uint64_t seed) {
    return {"", seed, "", HexDigest(prompt), ""};
  }

  AnswerClaimTest() {
    request_.prompts = {std::string("x"), std::string("y")};
    request_.n = request_.best_of = 2;
    request_.add_special = false;
    request_.has_seed = true;
    request_.options.sampling.seed = 7;
  }

  FakeService service_;
  GenerateRequest request_;
  bool whole_ = false;
};

TEST_F(AnswerClaimTest, EachElementOfAListIsAChoice) {
  const Claim claim = Read(R"({"answer":{"choices":[{"token_ids":[1]},{"index":5}]}})");
  ASSERT_EQ(claim.choices.size(), 2u);
  EXPECT_EQ(claim.list, "choices");
  EXPECT_THAT(*claim.choices[0].tokens, ElementsAre(1));
  EXPECT_EQ(claim.choices[1].place, 5u);
  EXPECT_EQ(Read(R"({"answer":[{"content":"a"},{"content":"b"}]})").choices.size(), 2u);
  EXPECT_EQ(Read(R"({"answer":{"text":"a"}})").choices.size(), 1u);
  const Claim one = Read(R"({"answer":{"choices":[{},{"text":"b"}]},"index":1})");
  ASSERT_EQ(one.choices.size(), 1u);
  EXPECT_EQ(one.choices[0].place, 1u);
  EXPECT_EQ(one.answer["choices"], (Json::array({{{"text", "b"}}})));
  EXPECT_EQ(WithOneChoice(claim, 1)["choices"], (Json::array({{{"index", 5}}})));
}

TEST_F(AnswerClaimTest, APlaceSaysPromptAndSeed) {
  Claim claim = Read(R"({"answer":{"choices":[{},{},{},{}]}})");
  EXPECT_THAT(Choose(claim), ElementsAre("0 7", "0 8", "1 7", "1 8"));
  Claim swapped = Read(R"({"answer":{"choices":[{"index":3},{"index":0}]}})");
  EXPECT_THAT(Choose(swapped), ElementsAre("1 8", "0 7"));
  Claim twice = Read(R"({"answer":{"choices":[{"index":3},{"index":3}]}})");
  EXPECT_THAT(Choose(twice), ElementsAre("answer"));
  Claim more = Read(R"({"answer":{"choices":[{},{},{},{},{}]}})");
  EXPECT_THAT(Choose(more), ElementsAre("answer"));
  EXPECT_FALSE(whole_);
}

TEST_F(AnswerClaimTest, AReceiptSaysPromptAndSeed) {
  Claim claim = Read(R"({"answer":{"choices":[{},{}]}})");
  claim.choices[0].receipt = Of({'y'}, 8);
  claim.choices[1].receipt = Of({'x'}, 7);
  EXPECT_THAT(Choose(claim), ElementsAre("1 8", "0 7"));
  claim.choices[1].receipt = Of({'y'}, 8);
  EXPECT_THAT(Choose(claim), ElementsAre("answer"));
  claim.choices[1].receipt = Of({'z'}, 8);
  EXPECT_THAT(Choose(claim), ElementsAre("prompt"));
  claim.choices[1].receipt = Of({'x'}, 9);  // of n above 2
  EXPECT_THAT(Choose(claim), ElementsAre("receipt"));
  // Where none was sent, one of them says the first one's.
  request_.has_seed = false;
  claim.choices[0].receipt = std::nullopt;
  claim.choices[1].receipt = Of({'x'}, 10);
  EXPECT_THAT(Choose(claim), ElementsAre("0 9", "0 10"));
}

TEST_F(AnswerClaimTest, WhatWasChosenAmongMoreIsMadeFromAll) {
  request_.best_of = 3;
  Claim claim = Read(R"({"answer":{"choices":[{},{},{},{}]}})");
  Choose(claim);
  EXPECT_TRUE(whole_);
  request_.has_seed = false;
  claim.choices[1].receipt = Of({'x'}, 5);
  EXPECT_THAT(Choose(claim), ElementsAre("0 5"));
  EXPECT_FALSE(whole_);
  EXPECT_THAT(claim.left_out, ElementsAre("choices[0]", "choices[2]", "choices[3]"));
  EXPECT_EQ(claim.answer["choices"].size(), 1u);
}

TEST_F(AnswerClaimTest, DetailsOfBestOfSayTheFirstSeed) {
  request_.prompts.resize(1);
  request_.n = 1;
  request_.has_seed = false;
  Claim claim = Read(R"({"answer":{"details":{"seed":6,"best_of_sequences":[{"seed":5}]}}})");
  Choose(claim);
  EXPECT_TRUE(whole_);
  EXPECT_EQ(request_.options.sampling.seed, 5u);
  EXPECT_THAT(claim.left_out, IsEmpty());
}

}  // namespace
}  // namespace lockstep
