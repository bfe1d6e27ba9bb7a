#include "server/generation/generate_types.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(GenerateTypesTest, RatesCountWhatTheirPhaseMade) {
  Answer answer;
  answer.prompt_tokens = 30;
  answer.tokens = {1, 2, 3, 4, 5};
  answer.stats.cached_tokens = 10;
  answer.stats.prefill_s = 2;
  answer.stats.decode_s = 0.5;
  EXPECT_EQ(PrefillTokensPerSecond(answer), 10);
  EXPECT_EQ(DecodeTokensPerSecond(answer), 8);
}

TEST(GenerateTypesTest, WithoutTimeOrTokensThereIsNoRate) {
  const Answer answer;
  EXPECT_EQ(PrefillTokensPerSecond(answer), 0);
  EXPECT_EQ(DecodeTokensPerSecond(answer), 0);
}

TEST(GenerateTypesTest, AnAnswerEndsByItselfOrByItsLength) {
  EXPECT_EQ(FinishName(FinishReason::kStop), "stop");
  EXPECT_EQ(FinishName(FinishReason::kLength), "length");
}

}  // namespace
}  // namespace lockstep
