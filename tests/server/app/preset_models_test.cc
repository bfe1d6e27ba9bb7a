#include "server/app/preset_models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "tests/server/app/parse.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class PresetModelsTest : public testing::Test {
 protected:
  PresetModelsTest() : path_(testing::TempDir() + "presets_" + std::to_string(getpid())) {}
  ~PresetModelsTest() override { std::remove(path_.c_str()); }

  Result<PresetModels> Read(const std::string& text) {
    std::ofstream(path_) << text;
    return ReadPresetModels(Parse({"--models-preset", path_.c_str()}).options.value());
  }
  std::vector<std::string> ArgumentsOf(const std::string& settings) {
    const auto read = Read("[a]\nmodel = b.gguf\n" + settings);
    EXPECT_TRUE(read) << settings << ": " << read.error().message;
    return read ? read->models.at(0).arguments : std::vector<std::string>{"wrong"};
  }
  std::string ErrorOf(const std::string& settings) {
    const auto read = Read("[a]\nmodel = b.gguf\n" + settings);
    EXPECT_FALSE(read) << settings;
    return read ? "" : read.error().message;
  }

  const std::string path_;
};

TEST_F(PresetModelsTest, SwitchesSayYesAndNo) {
  for (const char* yes : {"", "true", "yes", "on", "1", "enabled", "TRUE", "Yes"}) {
    EXPECT_THAT(ArgumentsOf(std::string("strict = ") + yes), ElementsAre("--strict=true")) << yes;
  }
  for (const char* no : {"false", "no", "off", "0", "disabled", "FALSE", "No"}) {
    EXPECT_THAT(ArgumentsOf(std::string("strict = ") + no), ElementsAre("--strict=false")) << no;
    EXPECT_THAT(ArgumentsOf(std::string("no-metrics = ") + no), ElementsAre("--no-metrics=false"));
    EXPECT_THAT(ArgumentsOf(std::string("[*]\nstrict = true\n[b]\nmodel = c.gguf\nstrict = ") + no),
                ElementsAre("--strict=true"));
    EXPECT_THAT(ArgumentsOf(std::string("strict = ") + no + "\n[*]\nstrict = true"),
                ElementsAre("--strict=false"));
  }
  EXPECT_THAT(ErrorOf("strict = maybe"),
              HasSubstr("[a]: lockstep: --strict: \"maybe\" is none of"));
}

TEST_F(PresetModelsTest, AnAliasIsOfOneModel) {
  const auto read = Read("[a]\nalias = x, y, x, a\n[b]\nalias = z\n");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->models.at(0).aliases, ElementsAre("x", "y", "x", "a"));
  EXPECT_THAT(ErrorOf("alias = x\n[b]\nalias = y, x"),
              HasSubstr("[b]: alias \"x\" is a name of \"a\" already"));
  EXPECT_THAT(ErrorOf("alias = b\n[b]\n"), HasSubstr("alias \"b\" is a name of \"b\" already"));
  EXPECT_THAT(ErrorOf("[*]\nalias = x"), HasSubstr("[*]: an alias is of one model"));
  EXPECT_THAT(ErrorOf("[*]\nmodel = x.gguf"), HasSubstr("[*]: a file is of one model"));
}

TEST_F(PresetModelsTest, WhatIsLoadedAtTheStart) {
  for (const auto& [word, loaded] :
       {std::pair("yes", true), {"1", true}, {"", true}, {"no", false}, {"False", false}}) {
    const auto read = Read(std::string("[a]\nmodel = b.gguf\nload-on-startup = ") + word);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->models.at(0).at_start, loaded) << word;
  }
  EXPECT_THAT(ErrorOf("load-on-startup = maybe"), HasSubstr("load-on-startup: \"maybe\""));
}

TEST_F(PresetModelsTest, EachNameOfAFlagIsAKey) {
  for (const char* key : {"c", "context", "ctx-size"}) {
    EXPECT_THAT(ArgumentsOf(std::string(key) + " = 128"), ElementsAre("--context=128"));
  }
  const auto read = Read("[a]\nm = b.gguf\nv = no\n");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->models.at(0).path, "b.gguf");
  EXPECT_THAT(read->models.at(0).arguments, ElementsAre("--verbose=false"));
}

TEST_F(PresetModelsTest, NoValueHidesAKey) {
  EXPECT_THAT(ArgumentsOf("log-level = off"), ElementsAre("--log-level=off"));
  EXPECT_THAT(ErrorOf("nosuchflag = false"), HasSubstr("nosuchflag"));
  EXPECT_THAT(ErrorOf("context = off"), HasSubstr("--context: \"off\" is not a number"));
  EXPECT_THAT(ErrorOf("context =\nstrict = true"), HasSubstr("--context: it has no value"));
  EXPECT_THAT(ErrorOf("context ="), HasSubstr("--context"));
  EXPECT_THAT(ErrorOf("h = 1"), HasSubstr("\"h\" is the whole server's"));
}

TEST_F(PresetModelsTest, TheCommandLineComesBeforeTheFile) {
  std::ofstream(path_) << "[a]\nmodel = b.gguf\nstrict = yes\n";
  const auto options = Parse({"--models-preset", path_.c_str(), "--strict=no"}).options;
  EXPECT_THAT(options.value().for_children, ElementsAre("--strict=false"));
  EXPECT_THAT(ReadPresetModels(*options)->models.at(0).arguments, IsEmpty());
}

}  // namespace
}  // namespace lockstep
