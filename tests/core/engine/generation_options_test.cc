#include "core/engine/generation_options.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace lockstep {
namespace {

constexpr size_t kVocab = 10, kContext = 4;

Status Check(const std::vector<int32_t>& prompt, const GenerationOptions& options) {
  return CheckGeneration(prompt, options, kVocab, kContext);
}

TEST(GenerationOptionsTest, AnAnswerNeedsRoomAndAPromptAloneDoesNot) {
  GenerationOptions options;
  EXPECT_TRUE(Check({1, 2, 3}, options));
  EXPECT_EQ(Check({1, 2, 3, 4}, options).error().kind, ErrorKind::kContextExceeded);
  options.max_tokens = 0;
  EXPECT_EQ(Check({1}, options).error().param, "max_tokens");
  options.prompt_logprobs = 0;
  EXPECT_TRUE(Check({1, 2, 3, 4}, options));
  EXPECT_EQ(Check({1, 2, 3, 4, 5}, options).error().kind, ErrorKind::kContextExceeded);
}

TEST(GenerationOptionsTest, WhatTheModelDoesNotHaveIsRefused) {
  EXPECT_EQ(Check({}, {}).error().param, "prompt");
  EXPECT_EQ(Check({10}, {}).error().param, "prompt");
  EXPECT_EQ(Check({-1}, {}).error().param, "prompt");
  GenerationOptions options;
  options.sampling.logit_bias = {{10, 1}};
  EXPECT_EQ(Check({1}, options).error().param, "logit_bias");
  options.sampling.logit_bias = {{9, std::numeric_limits<float>::infinity()}};
  EXPECT_EQ(Check({1}, options).error().param, "logit_bias");
  options = {};
  options.stop = {"a", ""};
  EXPECT_EQ(Check({1}, options).error().param, "stop");
  options = {};
  options.thought.close = {10};
  EXPECT_EQ(Check({1}, options).error().kind, ErrorKind::kInvalidArgument);
  options = {};
  options.bans.sequences = {{}};
  EXPECT_EQ(Check({1}, options).error().kind, ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace lockstep
