#include "server/models/model_presets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using Settings = std::vector<std::pair<std::string, std::string>>;

TEST(ModelPresets, SectionsHaveTheirSettings) {
  Settings all;
  const auto presets = ParsePresets(
      "version = 1\r\n; comment\n[one]\nmodel = /a b/c=d.gguf\n context=7 \n\n[ two:Q8_0 ]\n"
      "# comment\n[*]\ncontext = 9\nsessions =\n",
      "file", all);
  ASSERT_TRUE(presets) << presets.error().message;
  ASSERT_EQ(presets->size(), 2U);
  EXPECT_EQ((*presets)[0].name, "one");
  EXPECT_THAT((*presets)[0].settings,
              ElementsAre(Pair("model", "/a b/c=d.gguf"), Pair("context", "7")));
  EXPECT_EQ((*presets)[1].name, "two:Q8_0");
  EXPECT_TRUE((*presets)[1].settings.empty());
  EXPECT_THAT(all, ElementsAre(Pair("context", "9"), Pair("sessions", "")));
}

TEST(ModelPresets, CommentsStandBehindSections) {
  Settings all;
  const auto presets = ParsePresets(
      "[*]                      ; for every model\nkv-type = q8_0\n[x[1]] # a file's name\n"
      "model = /My models/Model #1; old.gguf\n[y];z\n",
      "file", all);
  ASSERT_TRUE(presets) << presets.error().message;
  EXPECT_THAT(all, ElementsAre(Pair("kv-type", "q8_0")));
  ASSERT_EQ(presets->size(), 2U);
  EXPECT_EQ((*presets)[0].name, "x[1]");
  EXPECT_THAT((*presets)[0].settings, ElementsAre(Pair("model", "/My models/Model #1; old.gguf")));
  EXPECT_EQ((*presets)[1].name, "y");
}

TEST(ModelPresets, WhatIsWrongIsNamedByItsLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"[a\n", "line 1: a section ends with ]"},
      {"[a] b\n", "line 1: a section ends with ]"},
      {"\n[]\n", "line 2: the section has no name"},
      {"[a]\n[b]\n[a]\n", "line 3: there are two"},
      {"[a]\ncontext\n", "line 2: it is neither"},
      {"[a]\n= 3\n", "line 2: there is no key"},
      {"context = 3\n", "line 1: it stands before"},
      {"[a]\nx = 1\nx = 2", "line 3: \"x\" is there twice"},
      {"[\xff]\n", "UTF-8"}};
  for (const auto& [text, message] : cases) {
    Settings all;
    const auto presets = ParsePresets(text, "file", all);
    ASSERT_FALSE(presets) << text;
    EXPECT_THAT(presets.error().message, HasSubstr(message));
  }
  Settings all;
  EXPECT_TRUE(ParsePresets("", "file", all)->empty());
}

}  // namespace
}  // namespace lockstep
