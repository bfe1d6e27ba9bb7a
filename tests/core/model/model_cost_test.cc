// Costs of tiny models, counted by hand.
#include "core/model/model_cost.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string_view>

#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

// Per layer four matrices of attention and three of the network.
constexpr double kLayers = 2 * (64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 96), kHead = 320 * 64;
constexpr double kNorms = (2 * 2 + 1) * 64;

ModelCost CostOf(const TinyModelOptions& options, double* expert_bytes = nullptr) {
  const auto bytes = TinyModel(options);
  const GgufFile file = GgufFile::Parse(bytes, "tiny").value();
  for (const GgufTensor& tensor : file.tensors()) {
    const bool expert = tensor.name.find("_exps.") != std::string_view::npos;
    if (expert && expert_bytes != nullptr) *expert_bytes += static_cast<double>(tensor.data.size());
  }
  return {file, ReadModelConfig(file).value()};
}

TEST(ModelCostTest, WeightsAreReadOnceAndMultipliedByEachRow) {
  const ModelCost cost = CostOf({});
  EXPECT_EQ(cost.parameters(), kLayers + kHead + kNorms);
  EXPECT_EQ(cost.active_parameters(), kLayers + kHead);
  const StepCost one = cost.Of(1, 1), four = cost.Of(4, 1), none = cost.Of(4, 0);
  EXPECT_EQ(one.bytes, 4 * (kLayers + kHead));
  EXPECT_EQ(one.floating, kLayers + kHead);
  EXPECT_EQ(one.integer, 0);
  EXPECT_EQ(four.bytes, one.bytes);
  EXPECT_EQ(four.floating, 4 * kLayers + kHead);
  EXPECT_EQ(none.bytes, 4 * kLayers);
  EXPECT_EQ(none.floating, 4 * kLayers);
}

// The table of embeddings is looked up, and is multiplied with only where it is the head, too.
TEST(ModelCostTest, AHeadOfItsOwnCostsNoMore) {
  const ModelCost tied = CostOf({}), own = CostOf({.tied = false});
  EXPECT_EQ(own.parameters(), tied.parameters() + kHead);
  EXPECT_EQ(own.Of(3, 2).bytes, tied.Of(3, 2).bytes);
  EXPECT_EQ(own.Of(3, 2).floating, tied.Of(3, 2).floating);
}

TEST(ModelCostTest, QuantizedWeightsAreIntegersAndFewerBytes) {
  const StepCost cost = CostOf({.type = WeightType::kQ8_0}).Of(1, 0);
  EXPECT_EQ(cost.integer, kLayers);
  EXPECT_EQ(cost.floating, 0);
  EXPECT_EQ(cost.bytes, kLayers * 34 / 32);
}

TEST(ModelCostTest, ATokenTakesSomeExpertsAndManyTakeAlmostAll) {
  double experts = 0;
  const ModelCost cost =
      CostOf({.architecture = "qwen3moe", .experts = 8, .experts_used = 2}, &experts);
  ASSERT_GT(experts, 0);
  const double others = cost.Of(0, 0).bytes;
  EXPECT_DOUBLE_EQ(cost.Of(1, 0).bytes, others + experts * 2 / 8);
  EXPECT_DOUBLE_EQ(cost.Of(3, 0).bytes, others + experts * (1 - std::pow(0.75, 3)));
  EXPECT_DOUBLE_EQ(cost.Of(64, 0).floating, 64 * cost.Of(1, 0).floating);
  EXPECT_LT(cost.active_parameters(), cost.parameters() - experts / 4 / 2);
}

TEST(ModelCostTest, BlocksThatGuessAheadCostNothing) {
  const TinyModelOptions without{.architecture = "qwen35"},
      with{.architecture = "qwen35", .skipped_layers = 1};
  EXPECT_GT(TinyModel(with).size(), TinyModel(without).size());
  EXPECT_EQ(CostOf(with).Of(1, 1).bytes, CostOf(without).Of(1, 1).bytes);
  EXPECT_EQ(CostOf(with).parameters(), CostOf(without).parameters());
}

TEST(ModelCostTest, OfWhatEncodesTheTablesCostNothing) {
  const ModelCost cost = CostOf({.architecture = "bert"});
  EXPECT_GT(cost.parameters(), cost.active_parameters() + kHead);
  EXPECT_EQ(cost.Of(1, 1).bytes, cost.Of(1, 0).bytes);
}

}  // namespace
}  // namespace lockstep
