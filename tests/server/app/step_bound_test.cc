// The slower of memory and products bounds a step: figures that a person can check.
#include "server/app/step_bound.h"

#include <gtest/gtest.h>

#include <string_view>

#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

using std::string_view;

// 81,920 floats for a token, of which 20,480 are the head's.
ModelCost TinyCost() {
  const auto bytes = TinyModel();
  const GgufFile file = GgufFile::Parse(bytes, "tiny").value();
  return {file, ReadModelConfig(file).value()};
}

TEST(StepBoundTest, OneStreamWaitsForMemoryAndManyForProducts) {
  // A second for all bytes, and for the products of four rows.
  const MachineSpeed speed{.bytes = 4 * 81920.0, .integer = 1, .floating = 4 * 81920.0};
  const ModelCost cost = TinyCost();
  const StepBound one = DecodeBound(speed, cost, 1, 0), eight = DecodeBound(speed, cost, 8, 0);
  EXPECT_DOUBLE_EQ(one.tokens_per_second, 1);
  EXPECT_EQ(string_view(one.by), "memory");
  EXPECT_DOUBLE_EQ(eight.tokens_per_second, 4);
  EXPECT_EQ(string_view(eight.by), "products");
  // Keys and values are each stream's own.
  EXPECT_DOUBLE_EQ(DecodeBound(speed, cost, 2, 81920).tokens_per_second, 2 / 1.5);
}

TEST(StepBoundTest, APromptIsReadInStepsOfWhichTheLastHasAHead) {
  const MachineSpeed speed{.bytes = 1e15, .integer = 1, .floating = 61440};
  const ModelCost cost = TinyCost();
  const StepBound bound = PrefillBound(speed, cost, 10, 4);
  EXPECT_EQ(string_view(bound.by), "products");
  EXPECT_DOUBLE_EQ(bound.tokens_per_second, 10 / (10 + 20480.0 / 61440));
  // Each step reads the weights again: layers three times, the head once.
  const MachineSpeed slow{.bytes = 4 * 61440, .integer = 1, .floating = 1e15};
  EXPECT_DOUBLE_EQ(PrefillBound(slow, cost, 10, 4).tokens_per_second, 10 / (3 + 20480.0 / 61440));
  EXPECT_EQ(string_view(PrefillBound(slow, cost, 10, 4).by), "memory");
}

}  // namespace
}  // namespace lockstep
