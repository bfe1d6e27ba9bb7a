#include "server/api/anthropic/client_tools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/generation/fake_service.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class ClientToolsTest : public testing::Test {
 protected:
  // The tools of a list, or what is wrong with it.
  std::string Read(const std::string& tools, const std::set<std::string>& loaded = {}) {
    const Json json = ParseStrictObject(R"({"tools":)" + tools + "}").value();
    context_.ignored.clear();
    FieldReader fields(json);
    list_ = ReadClientTools(fields, context_, loaded);
    const Status status = fields.Finish(context_.unknown());
    return status ? Dump(list_.tools) : status.error().message;
  }
  Result<ToolChoice> Choose(const std::string& choice) {
    const Json json = ParseStrictObject(R"({"tool_choice":)" + choice + "}").value();
    FieldReader fields(json);
    const ToolChoice read = ReadClientToolChoice(fields, context_);
    TRY_OK(fields.Finish(context_.unknown()));
    return read;
  }

  FakeService service_;
  const ModelNames names_{};
  ReadContext context_{service_, names_, true, {}};
  ToolList list_;
};

TEST_F(ClientToolsTest, AToolIsAFunction) {
  EXPECT_EQ(Read(R"([{"input_schema":{"type":"object","properties":{"a":{"type":"string"}}},
                      "name":"f","description":"d","cache_control":{"type":"ephemeral"}},
                     {"name":"g","type":"custom","strict":true}])"),
            R"([{"type":"function","function":{"name":"f","description":"d",)"
            R"("parameters":{"type":"object","properties":{"a":{"type":"string"}}}}},)"
            R"({"type":"function","function":{"name":"g",)"
            R"("parameters":{"type":"object","properties":{}},"strict":true}}])");
  EXPECT_THAT(list_.where, ElementsAre("tools[0].input_schema", "tools[1].input_schema"));
  EXPECT_TRUE(context_.ignored.empty());
  EXPECT_EQ(Read("[]"), "null");
  EXPECT_EQ(Read("null"), "null");
}

TEST_F(ClientToolsTest, ToolsOfServersAreNamedAndLeftOut) {
  EXPECT_EQ(Read(R"([{"type":"web_search_20250305","name":"web_search","max_uses":5},
                     {"name":"f"},{"type":"bash_20250124","name":"bash"}])"),
            R"([{"type":"function","function":{"name":"f",)"
            R"("parameters":{"type":"object","properties":{}}}}])");
  EXPECT_THAT(context_.ignored,
              ElementsAre("tools[0]: web_search_20250305", "tools[2]: bash_20250124"));
  EXPECT_THAT(list_.where, ElementsAre("tools[1].input_schema"));
}

TEST_F(ClientToolsTest, ADeferredToolComesWhenItIsLoaded) {
  const char* const kTools = R"([{"name":"f","defer_loading":true},{"name":"g"}])";
  EXPECT_THAT(Read(kTools), testing::Not(HasSubstr(R"("f")")));
  EXPECT_THAT(list_.where, ElementsAre("tools[1].input_schema"));
  EXPECT_THAT(Read(kTools, {"f"}), HasSubstr(R"("name":"f")"));
  EXPECT_TRUE(context_.ignored.empty());
}

TEST_F(ClientToolsTest, RefusesWhatIsNoTool) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "tools must be a list"},
      {R"(["f"])", "tools[0] must be an object with a name"},
      {R"([{}])", "tools[0].name is missing"},
      {R"([{"name":""}])", "tools[0].name must have 1 to"},
      {R"([{"name":"f"},{"name":"f"}])", "tools[1].name is \"f\", as that of another tool"},
      {R"([{"name":"f","input_schema":[]}])", "tools[0].input_schema must be an object"},
  };
  for (const auto& [tools, says] : cases) EXPECT_THAT(Read(tools), HasSubstr(says)) << tools;
}

TEST_F(ClientToolsTest, AChoiceIsOneOfFour) {
  const struct {
    const char* choice;
    const char* word;
    std::vector<std::string> names;
    bool named, parallel;
  } kCases[] = {
      {"null", "auto", {}, false, true},
      {R"({"type":"auto"})", "auto", {}, false, true},
      {R"({"type":"any","disable_parallel_tool_use":true})", "required", {}, false, false},
      {R"({"type":"required"})", "required", {}, false, true},  // OpenAI's word
      {R"({"type":"tool","name":"f"})", "required", {"f"}, true, true},
      {R"({"type":"none"})", "none", {}, false, true},
  };
  for (const auto& test : kCases) {
    const ToolChoice choice = Choose(test.choice).value();
    EXPECT_EQ(choice.word, test.word) << test.choice;
    EXPECT_EQ(choice.names, test.names);
    EXPECT_EQ(choice.named, test.named);
    EXPECT_EQ(choice.parallel, test.parallel);
  }
  EXPECT_THAT(Choose(R"({"type":"all"})").error().message,
              HasSubstr("must be auto, any, tool or none"));
  EXPECT_THAT(Choose(R"({"type":"tool"})").error().message,
              HasSubstr("tool_choice.name is missing"));
}

}  // namespace
}  // namespace lockstep
