#include "server/api/answer_json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lockstep {
namespace {

TEST(AnswerJson, UsageIsAddedUp) {
  EXPECT_EQ(Dump(UsageJson({.prompt_tokens = 30, .completion_tokens = 11, .cached_tokens = 16})),
            R"({"prompt_tokens":30,"completion_tokens":11,"total_tokens":41,)"
            R"("prompt_tokens_details":{"cached_tokens":16}})");
}

TEST(AnswerJson, ASeedHasTheSignThatItCameWith) {
  Answer answer;
  answer.seed = static_cast<uint64_t>(-1);
  EXPECT_EQ(Dump(SeedJson(answer)), "18446744073709551615");
  answer.negative_seed = true;
  EXPECT_EQ(Dump(SeedJson(answer)), "-1");
}

TEST(AnswerJson, ALogprobIsTheShortestNumberOfItsFloat) {
  for (const float logprob : {-0.1f, -0.33333334f, 0.0f, -1e-20f, -9998.5f}) {
    const double number = LogprobNumber(logprob);
    EXPECT_EQ(static_cast<float>(number), logprob);
    EXPECT_LE(Dump(Json(number)).size(), 12u) << number;
  }
  EXPECT_EQ(Dump(Json(LogprobNumber(-0.1f))), "-0.1");
  EXPECT_EQ(LogprobNumber(-std::numeric_limits<float>::infinity()), -9999);
  EXPECT_EQ(LogprobNumber(-1e30f), -9999);
}

TEST(AnswerJson, BytesAreNumbersWithoutASign) {
  EXPECT_EQ(Dump(BytesJson("a\xC3\xA9")), "[97,195,169]");
  EXPECT_EQ(Dump(BytesJson("")), "[]");
}

}  // namespace
}  // namespace lockstep
