#include "core/engine/thought.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

// However the text is cut, the parts add up to the same.
TEST(ThoughtSplitter, SplitsAtTheTag) {
  const ThoughtTags may{"<t>", "</t>", false}, in{"<t>", "</t>", true}, none;
  const struct {
    ThoughtTags tags;
    std::string text, thought, rest;
  } cases[] = {
      {may, "<t>a</t>b", "<t>a</t>", "b"},
      {may, "\n <t>a", "\n <t>a", ""},
      {may, " <tx", "", " <tx"},
      {may, "a<t>b</t>", "", "a<t>b</t>"},
      {may, "<", "", "<"},
      {may, "", "", ""},
      {in, "a</</t>b</t>", "a</</t>", "b</t>"},
      {in, "a</t", "a</t", ""},
      {none, "<t>a</t>b", "", "<t>a</t>b"},
  };
  for (const auto& c : cases) {
    for (const size_t piece : {1, 2, 3, 100}) {
      SCOPED_TRACE(c.text + " " + std::to_string(piece));
      ThoughtSplitter splitter(c.tags);
      std::string thought, rest;
      bool closed = false;
      const auto take = [&](const ThoughtSplitter::Parts& parts) {
        EXPECT_TRUE(parts.thought.empty() || rest.empty()) << "a thought comes first";
        thought += parts.thought;
        rest += parts.rest;
        closed |= parts.closed;
      };
      for (size_t i = 0; i < c.text.size(); i += piece)
        take(splitter.Push(c.text.substr(i, piece)));
      take(splitter.Push("", true));
      EXPECT_EQ(thought, c.thought);
      EXPECT_EQ(rest, c.rest);
      EXPECT_EQ(closed, thought.ends_with("</t>"));
    }
  }
}

// A budget counts tokens while one is inside.
TEST(ThoughtSplitter, KnowsWhereItStands) {
  ThoughtSplitter splitter({"<t>", "</t>", false});
  EXPECT_FALSE(splitter.inside());
  splitter.Push("<t");
  EXPECT_FALSE(splitter.inside() || splitter.outside());
  splitter.Push(">a</t");
  EXPECT_TRUE(splitter.inside());
  splitter.Push(">");
  EXPECT_TRUE(splitter.outside());
}

}  // namespace
}  // namespace lockstep
