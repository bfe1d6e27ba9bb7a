// Wishes to think, before templates with and without a word for them.
#include "server/api/chat/plan_thought.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PlanThoughtTest : public testing::Test {
 protected:
  // A model whose template is of this text; it thinks, and may have a switch for that.
  static ChatModel Model(const std::string& source, bool thinks = true,
                         const std::string& own_switch = "") {
    ChatModel model = ChatModelOf("{{ messages }}");
    model.source = source;
    model.forms.thought.close = thinks ? "</think>" : "";
    model.forms.thought_switch = own_switch;
    return model;
  }
  ThoughtPlan Plan(const ChatModel& model, const Thinking& thinking, Json values = Json::object()) {
    context_.ignored.clear();
    values_ = std::move(values);
    return PlanThought(model, thinking, FieldNames(), context_, &values_);
  }

  FakeService service_;
  const ModelNames names_{};
  ReadContext context_{service_, names_, false, {}};
  Json values_;
};

Thinking Effort(const char* effort) {
  Thinking thinking;
  thinking.effort = effort;
  return thinking;
}

Thinking Enabled(bool enabled) {
  Thinking thinking;
  thinking.enabled = enabled;
  return thinking;
}

TEST_F(PlanThoughtTest, NothingIsAsTheTemplateHasIt) {
  const ThoughtPlan plan = Plan(Model("enable_thinking", true, "enable_thinking"), {});
  EXPECT_FALSE(plan.off);
  EXPECT_EQ(plan.budget, std::nullopt);
  EXPECT_EQ(values_, Json::object());
}

TEST_F(PlanThoughtTest, AnEffortIsTheTemplatesWordNearestToIt) {
  const ChatModel model = Model("reasoning_effort 'low' 'medium' 'high'");
  const std::pair<const char*, const char*> kEfforts[] = {{"low", "low"},    {"medium", "medium"},
                                                          {"high", "high"},  {"max", "high"},
                                                          {"xhigh", "high"}, {"minimal", "low"}};
  for (const auto& [effort, word] : kEfforts) {
    Plan(model, Effort(effort));
    EXPECT_EQ(values_, Json({{"reasoning_effort", word}})) << effort;
  }
  Plan(Model("reasoning_effort \"minimal\""), Effort("minimal"));
  EXPECT_EQ(values_["reasoning_effort"], "minimal");
  Plan(model, Effort("high"), {{"reasoning_effort", "mine"}});  // what is set stays
  EXPECT_EQ(values_["reasoning_effort"], "mine");
}

TEST_F(PlanThoughtTest, AnEffortWithoutAWordIsABudget) {
  const std::pair<const char*, std::optional<size_t>> kBudgets[] = {
      {"minimal", 256}, {"low", 1024}, {"medium", 4096}, {"high", std::nullopt}};
  for (const auto& [effort, budget] : kBudgets) {
    const ThoughtPlan plan = Plan(Model("x"), Effort(effort));
    EXPECT_EQ(plan.budget, budget) << effort;
    EXPECT_FALSE(plan.off) << effort;
  }
  EXPECT_TRUE(Plan(Model("x"), Effort("none")).off);
  EXPECT_EQ(Plan(Model("x"), Effort("none")).budget, 0u);
  EXPECT_THAT(context_.ignored, IsEmpty());
}

TEST_F(PlanThoughtTest, ASwitchIsSet) {
  const ChatModel model = Model("enable_thinking", true, "enable_thinking");
  for (const bool on : {false, true}) {
    const ThoughtPlan plan = Plan(model, Enabled(on));
    EXPECT_EQ(plan.off, !on);
    EXPECT_EQ(plan.budget, std::nullopt);
    EXPECT_EQ(values_, Json({{"enable_thinking", on}}));
  }
  EXPECT_TRUE(Plan(model, Effort("minimal")).off);
  EXPECT_EQ(values_["enable_thinking"], false);
  EXPECT_EQ(Plan(model, Effort("low")).budget, 1024u);
  EXPECT_EQ(values_["enable_thinking"], true);
  EXPECT_TRUE(Plan(model, {}, {{"enable_thinking", false}}).off);
}

TEST_F(PlanThoughtTest, WithoutASwitchABudgetOfNothingTurnsOff) {
  EXPECT_EQ(Plan(Model("x"), Enabled(false)).budget, 0u);
  EXPECT_EQ(Plan(Model("x"), Enabled(true)).budget, std::nullopt);
  EXPECT_THAT(context_.ignored, IsEmpty());
}

TEST_F(PlanThoughtTest, ABudgetCountsMostAndIsToldToTheTemplate) {
  Thinking thinking = Effort("low");
  thinking.budget = 7;
  EXPECT_EQ(Plan(Model("x"), thinking).budget, 7u);
  EXPECT_EQ(values_, Json::object());
  Plan(Model("thinking_budget"), thinking);
  EXPECT_EQ(values_, Json({{"thinking_budget", 7}}));
}

TEST_F(PlanThoughtTest, WhatTakesNoEffectIsNamed) {
  Thinking thinking = Effort("low");
  thinking.enabled = true;
  thinking.budget = 7;
  const ThoughtPlan plan = Plan(Model("x", /*thinks=*/false), thinking);
  EXPECT_EQ(plan.budget, std::nullopt);
  EXPECT_THAT(context_.ignored,
              ElementsAre("reasoning_effort", "enable_thinking", "thinking_token_budget"));
}

}  // namespace
}  // namespace lockstep
