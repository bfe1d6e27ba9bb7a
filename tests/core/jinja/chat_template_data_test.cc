// tests/data/templates: templates in the style of published ones, and what jinja2 makes of them.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/support/json_value.h"

namespace lockstep {
namespace {

std::string Read(const std::string& name) {
  std::ifstream file(LOCKSTEP_TEST_DATA_DIR "/templates/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ChatTemplateData, RendersWhatJinja2Renders) {
  const auto conversations = nlohmann::ordered_json::parse(Read("conversations.json"));
  const auto expected = nlohmann::ordered_json::parse(Read("expected.json"));
  EXPECT_GE(expected.size(), 11u);
  for (const auto& [name, texts] : expected.items()) {
    const auto parsed = ChatTemplate::Parse(Read(name + ".jinja"));
    ASSERT_TRUE(parsed) << name << ": " << parsed.error().message;
    for (const auto& [conversation, text] : texts.items()) {
      const auto prompt = parsed->Render(VariablesFromJson(conversations[conversation]));
      ASSERT_EQ(prompt.has_value(), text.is_string()) << name << ", " << conversation;
      if (!prompt) continue;
      EXPECT_EQ(prompt->bytes(), text.get<std::string>()) << name << ", " << conversation;
    }
  }
}

}  // namespace
}  // namespace lockstep
