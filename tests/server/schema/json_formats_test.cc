#include "server/schema/json_formats.h"

#include <gtest/gtest.h>

#include <sstream>

#include "server/schema/json_pattern.h"

namespace lockstep {
namespace {

TEST(JsonFormatsTest, EachPatternIsOneThatIsRead) {
  std::istringstream names(FormatNames());
  size_t count = 0;
  for (std::string name; std::getline(names >> std::ws, name, ','); ++count) {
    EXPECT_TRUE(ParsePattern(FormatPattern(name))) << name;
    EXPECT_FALSE(FormatIsAnnotation(name)) << name;
  }
  EXPECT_GE(count, 10u);
  EXPECT_TRUE(FormatPattern("color").empty());
  EXPECT_TRUE(FormatIsAnnotation("binary"));
}

}  // namespace
}  // namespace lockstep
