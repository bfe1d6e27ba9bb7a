#include "server/api/ollama/ollama_common.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(OllamaCommonTest, ANameWithoutATagIsTheLatest) {
  const std::pair<const char*, const char*> cases[] = {
      {"tales", "tales:latest"},
      {"tales:1b", "tales:1b"},
      {"host:5000/library/tales", "host:5000/library/tales:latest"},
      {"a/b:c", "a/b:c"},
  };
  for (const auto& [name, tagged] : cases) EXPECT_EQ(TaggedName(name), tagged);
}

TEST(OllamaCommonTest, TimesHaveNanoseconds) {
  using std::chrono::nanoseconds, std::chrono::seconds, std::chrono::system_clock;
  EXPECT_EQ(Rfc3339(system_clock::time_point(seconds(1'700'000'000))),
            "2023-11-14T22:13:20.000000000Z");
  EXPECT_EQ(Rfc3339(system_clock::time_point(nanoseconds(1'700'000'000'000'000'007))),
            "2023-11-14T22:13:20.000000007Z");
}

TEST(OllamaCommonTest, CountsAreForPeople) {
  const std::pair<uint64_t, const char*> cases[] = {
      {0, "0"},
      {999, "999"},
      {1'000, "1K"},
      {5'800'000, "5.80M"},
      {7'000'000, "7M"},
      {134'515'008, "134.52M"},
      {1'100'048'384, "1.1B"},
      {8'000'000'000, "8B"},
  };
  for (const auto& [count, text] : cases) EXPECT_EQ(HumanCount(count), text);
}

}  // namespace
}  // namespace lockstep
