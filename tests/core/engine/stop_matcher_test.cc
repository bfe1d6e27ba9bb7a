#include "core/engine/stop_matcher.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lockstep {
namespace {

TEST(StopMatcherTest, HoldsBackOnlyWhatMayBecomeAStop) {
  StopMatcher matcher({"\n\n", "END"});
  EXPECT_EQ(matcher.Push("a.\n", false), "a.");
  EXPECT_EQ(matcher.Push("E", false), "\n");
  EXPECT_EQ(matcher.Push("N", false), "");
  EXPECT_EQ(matcher.Push("E", false), "EN");
  EXPECT_EQ(matcher.Push("ND", false), "");
  EXPECT_TRUE(matcher.stopped());
}

TEST(StopMatcherTest, TheStopThatIsCompleteFirstCutsTheText) {
  const struct {
    std::vector<std::string> stops;
    const char* text;
    const char* certain;
    size_t stop;  // which one
  } kCases[] = {
      {{"cd", "b"}, "abcd", "a", 1},
      {{"c", "abc", "bc"}, "xabc", "x", 1},   // the longest of those that end together
      {{"abcdef", "cd"}, "abcdef", "ab", 1},  // "cd" is complete first, though it begins later
      {{"aab"}, "aaab", "a", 0},              // overlaps with its own beginning
      {{"\u00e9"}, "caf\u00e9!", "caf", 0},
  };
  for (const auto& test : kCases) {
    StopMatcher whole(test.stops), bytes(test.stops);
    EXPECT_EQ(whole.Push(test.text, true), test.certain) << test.text;
    EXPECT_EQ(whole.stop(), test.stop);
    std::string out;
    for (const char byte : std::string(test.text)) {
      if (!bytes.stopped()) out += bytes.Push({&byte, 1}, false);
    }
    EXPECT_EQ(out, test.certain) << test.text;
    EXPECT_EQ(bytes.stop(), test.stop);
  }
}

TEST(StopMatcherTest, TheLastPushReleasesEverything) {
  StopMatcher matcher({"stop"});
  EXPECT_EQ(matcher.Push("st", false), "");
  EXPECT_EQ(matcher.Push("o", true), "sto");
  EXPECT_FALSE(matcher.stopped());
  EXPECT_EQ(StopMatcher().Push("text", false), "text");
}

TEST(StopMatcherTest, NoStopActsFromTheLimitOn) {
  const struct {
    StopLimit limit;
    const char* text;
    const char* certain;
    bool stopped;
  } kCases[] = {
      {{"<call>"}, "a<call>b STOP c", "a<call>b STOP c", false},
      {{"<call>"}, "a STOP<call>b", "a ", true},
      {{"<call>"}, "a<call STOP", "a<call ", true},
      {{"<STOP>"}, "a<STOP>b", "a<STOP>b", false},  // within the marker, too
      {{"<call>"}, "<STO", "<STO", false},
      {{"{", true}, "{STOP}", "{STOP}", false},
      {{"{", true}, "a{STOP}", "a{", true},
      {{"{\"n", true}, "{STOP}", "{", true},
      // Not in a thought, but behind it; a limit at the start is one of what follows.
      {{"", false, {"<t>", "</t>", false}}, "<t>STOP</t>a STOP", "<t>STOP</t>a ", true},
      {{"", false, {"<t>", "</t>", false}}, " STOP<t>", " ", true},
      {{"", false, {"", "</t>", true}}, "STOP </t", "STOP </t", false},
      {{"{", true, {"", "</t>", true}}, "STOP</t>{STOP}", "STOP</t>{STOP}", false},
  };
  for (const auto& test : kCases) {
    StopMatcher whole({"STOP"}, test.limit), bytes({"STOP"}, test.limit);
    EXPECT_EQ(whole.Push(test.text, true), test.certain) << test.text;
    EXPECT_EQ(whole.stopped(), test.stopped);
    std::string out;
    for (const char byte : std::string(test.text)) {
      if (!bytes.stopped()) out += bytes.Push({&byte, 1}, false);
    }
    if (!bytes.stopped()) out += bytes.Push("", true);
    EXPECT_EQ(out, test.certain) << test.text;
    EXPECT_EQ(bytes.stopped(), test.stopped);
  }
}

TEST(StopMatcherTest, StopsThatDoNotActYet) {
  StopMatcher matcher({"ab"});
  EXPECT_EQ(matcher.Push("ab a", false, /*act=*/false), "ab a");
  EXPECT_EQ(matcher.Push("b", false), "b");  // it began before
  EXPECT_EQ(matcher.Push("cab", false), "c");
  EXPECT_TRUE(matcher.stopped());
}

}  // namespace
}  // namespace lockstep
