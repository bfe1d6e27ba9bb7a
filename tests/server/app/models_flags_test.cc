#include "server/app/models_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/app/parse_options.h"

namespace lockstep {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

ParsedOptions Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "lockstep");
  return ParseOptions(static_cast<int>(arguments.size()), arguments.data());
}

TEST(ModelsFlags, AreTheParentsOrItsChildrens) {
  const auto parsed =
      Parse({"--models-dir", "m", "--models-max=2", "--memory", "500", "--port", "81", "--api-key",
             "a", "--api-key", "b", "-c", "9", "--no-metrics", "--strict=0", "--sessions", "3"});
  ASSERT_TRUE(parsed.options) << parsed.output;
  EXPECT_TRUE(parsed.options->models.several());
  EXPECT_EQ(parsed.options->models.most_loaded, 2U);
  EXPECT_EQ(parsed.options->memory_mib, 500U);
  // All but what the parent obeys itself, which a child gets anew.
  EXPECT_THAT(parsed.options->for_children,
              testing::ElementsAre("--sessions=3", "--context=9", "--api-key=a", "--api-key=b",
                                   "--strict=false", "--no-metrics=true"));
  EXPECT_FALSE(Parse({}).options->models.several());
  const std::pair<std::vector<const char*>, const char*> wrong[] = {
      {{"--models-dir", "m", "--model", "x.gguf"}, "--models-dir"},
      {{"--models-dir", "m", "--embedding-model", "x.gguf"}, "--embedding-model"},
      {{"--models-dir", "m", "--draft-model", "x.gguf"}, "draft model"},
      {{"--models-dir", "m", "--model-alias", "x"}, "--model-alias"},
      {{"--default-model", "x"}, "--default-model"},
      {{"--models-max", "0"}, "--models-max"}};
  for (const auto& [arguments, flag] : wrong) {
    EXPECT_THAT(Parse(arguments).output, HasSubstr(flag));
    EXPECT_EQ(Parse(arguments).exit_code, 2);
  }
}

TEST(ModelsFlags, VariablesOfTheParentAreNoChilds) {
  EXPECT_THAT(VariablesOfParent(), Contains("LOCKSTEP_MODELS_DIR"));
  EXPECT_THAT(VariablesOfParent(), Contains("LOCKSTEP_PORT"));
  EXPECT_THAT(VariablesOfParent(), Contains("LOCKSTEP_HF_REPO"));
  EXPECT_THAT(VariablesOfParent(), Not(Contains("LOCKSTEP_SESSIONS")));
}

}  // namespace
}  // namespace lockstep
