// What becomes of names of models; parse_options_test has the flags.
#include "server/app/hub_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(HubFlags, ANameBecomesTheModel) {
  HubOptions hub;
  std::string model;
  EXPECT_EQ(TakeHubName(false, false, hub, model), "");
  EXPECT_EQ(model, "");
  hub.hf = "user/repo:Q4_K_M";
  EXPECT_EQ(TakeHubName(false, true, hub, model), "");
  EXPECT_EQ(model, "hf://user/repo:Q4_K_M");
  hub.hf = "hf://user/repo", model = "";
  EXPECT_EQ(TakeHubName(false, true, hub, model), "");
  EXPECT_EQ(model, "hf://user/repo");
}

TEST(HubFlags, WhatIsTypedCountsMoreThanAVariable) {
  HubOptions hub;
  hub.hf = "user/repo";
  std::string model = "a.gguf";
  EXPECT_EQ(TakeHubName(/*model_given=*/true, /*hf_given=*/false, hub, model), "");
  EXPECT_EQ(model, "a.gguf");
  EXPECT_EQ(hub.hf, "");
  hub.hf = "user/repo";
  EXPECT_EQ(TakeHubName(/*model_given=*/false, /*hf_given=*/true, hub, model), "");
  EXPECT_EQ(model, "hf://user/repo");
}

TEST(HubFlags, TwoModelsAreRefused) {
  for (const bool given : {false, true}) {
    HubOptions hub;
    hub.hf = "user/repo";
    std::string model = "a.gguf";
    EXPECT_EQ(TakeHubName(given, given, hub, model),
              "\"a.gguf\" and \"user/repo\" are two models; the server has one");
  }
}

TEST(HubFlags, ANameIsChecked) {
  for (const char* fine : {"", "a.gguf", "dir/a", "hf://user/repo", "https://h/a.gguf"}) {
    EXPECT_EQ(CheckModelName(fine), "") << fine;
  }
  EXPECT_THAT(CheckModelName("hf://user"), HasSubstr("user"));
}

}  // namespace
}  // namespace lockstep
