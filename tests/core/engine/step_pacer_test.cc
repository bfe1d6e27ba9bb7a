#include "core/engine/step_pacer.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

// A machine of a fixed speed, asked for a number of steps.
StepStats RunSteps(StepPacer& pacer, size_t decoding, double decode_s, double token_s, int steps) {
  StepStats step;
  for (int i = 0; i < steps; ++i) {
    pacer.Observe({decode_s, decoding, 0});
    step.decoding = decoding;
    step.prefill_tokens = pacer.PrefillTokens(decoding);
    step.seconds =
        (decoding > 0 ? decode_s : 0) + static_cast<double>(step.prefill_tokens) * token_s;
    pacer.Observe(step);
  }
  return step;
}

TEST(StepPacerTest, StepsEndWithinTheTimeThatAStreamMayPause) {
  for (const double token_s : {0.001, 0.0025, 0.006}) {
    StepPacer pacer(512);
    const StepStats step = RunSteps(pacer, 8, 0.05, token_s, 30);
    EXPECT_LE(step.seconds, 0.22) << token_s;
    EXPECT_GE(step.seconds, 0.14) << token_s;
  }
}

TEST(StepPacerTest, WhereNobodyReadsStepsAreLongerButStillEnd) {
  StepPacer pacer(512);
  const StepStats step = RunSteps(pacer, 0, 0, 0.0025, 30);
  EXPECT_NEAR(step.seconds, 0.5, 0.05);
}

TEST(StepPacerTest, KeepsBetweenTheLeastAndTheMost) {
  StepPacer fast(512), slow(512), small(7);
  EXPECT_EQ(RunSteps(fast, 4, 0.001, 1e-6, 10).prefill_tokens, 512u);
  EXPECT_EQ(RunSteps(slow, 4, 5.0, 1.0, 10).prefill_tokens, 16u);  // a prompt must come to its end
  EXPECT_EQ(RunSteps(small, 4, 5.0, 1.0, 10).prefill_tokens, 7u);
  EXPECT_EQ(RunSteps(small, 4, 0.001, 1e-6, 10).prefill_tokens, 7u);
}

TEST(StepPacerTest, FollowsAMachineThatBecomesSlower) {
  StepPacer pacer(512);
  RunSteps(pacer, 8, 0.02, 0.0005, 20);
  EXPECT_LE(RunSteps(pacer, 8, 0.04, 0.004, 20).seconds, 0.25);
}

// A machine on which a row takes so much of the time of a step of one.
double LeastChanceWhere(double row_share, size_t streams) {
  StepPacer pacer(512);
  for (size_t i = 0; i < 200; ++i) {
    StepStats step;
    step.decoding = streams;
    step.drafted = i % 5;
    const auto rows = static_cast<double>(step.decoding + step.drafted);
    step.seconds = 0.01 * (1 + row_share * (rows - 1));
    pacer.Observe(step);
  }
  return pacer.LeastChance(streams);
}

TEST(StepPacerTest, AGuessIsWorthItsRowWhereRowsAreCheapAndFewWait) {
  EXPECT_NEAR(LeastChanceWhere(0.15, 1), 0.15, 0.01);
  EXPECT_NEAR(LeastChanceWhere(0.5, 1), 0.5, 0.03);
  EXPECT_NEAR(LeastChanceWhere(0.15, 8), 8 * 0.15 / 2.05, 0.03);
  EXPECT_GT(LeastChanceWhere(0.15, 64), 0.9);
  EXPECT_GT(LeastChanceWhere(0.001, 1), 0.04);  // one that is never right is worth nothing
  EXPECT_EQ(StepPacer(512).LeastChance(1), 1);  // before anything is known
}

// Where four of five guesses are kept, a step with few of them is followed by one with more.
TEST(StepPacerTest, AGuessIsToBeSurerWhereOthersAreMostlyRight) {
  const auto least = [](size_t kept_of_five) {
    StepPacer pacer(512);
    for (size_t i = 0; i < 500; ++i) {
      StepStats step;
      step.decoding = 1;
      step.drafted = 4 + i % 3;
      step.kept = kept_of_five;
      step.seconds = 0.01 * (1 + 0.15 * static_cast<double>(step.drafted));
      pacer.Observe(step);
    }
    return pacer.LeastChance(1);
  };
  EXPECT_NEAR(least(0), 0.15, 0.01);
  EXPECT_NEAR(least(4), 5 * 0.15 / 1.75, 0.03);
}

TEST(StepPacerTest, WhatMakesAGuessCountsForItAndNotForTheStep) {
  StepPacer pacer(512);
  for (size_t i = 0; i < 200; ++i) {
    StepStats step;
    step.decoding = 1;
    step.drafted = i % 5;
    step.guessing_s = 0.003 * static_cast<double>(i % 7);
    step.seconds = 0.01 * (1 + 0.15 * static_cast<double>(step.drafted)) + step.guessing_s;
    pacer.Observe(step);
  }
  EXPECT_NEAR(pacer.LeastChance(1), 0.15, 0.01);
  EXPECT_NEAR(pacer.LeastChance(1, 0.002), 0.35, 0.02);
  EXPECT_EQ(pacer.LeastChance(1, 0.02), 1);
  EXPECT_NEAR(pacer.decode_s(), 0.013, 0.003);
}

}  // namespace
}  // namespace lockstep
