#include "server/app/conversation_log.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

ConversationLog Three() {
  ConversationLog log;
  log.Add({"one", "1", ""});
  log.Add({"two", "2", "hm"});
  log.Add({"three", "3", ""});
  return log;
}

TEST(ConversationLogTest, TellsEverythingInOrder) {
  ConversationLog log = Three();
  log.system = "Be brief.";
  EXPECT_EQ(log.Messages("four"), Json::parse(R"([
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "one"}, {"role": "assistant", "content": "1"},
    {"role": "user", "content": "two"},
    {"role": "assistant", "content": "2", "reasoning_content": "hm"},
    {"role": "user", "content": "three"}, {"role": "assistant", "content": "3"},
    {"role": "user", "content": "four"}])"));
  EXPECT_EQ(ConversationLog().Messages("x"), Json::parse(R"([{"role": "user", "content": "x"}])"));
}

TEST(ConversationLogTest, TakesTheLastTurnBack) {
  ConversationLog log = Three();
  EXPECT_EQ(log.TakeLast().said, "three");
  EXPECT_EQ(log.turns().size(), 2u);
}

TEST(ConversationLogTest, LeavesTheOlderHalfOut) {
  ConversationLog log = Three();
  EXPECT_EQ(log.LeaveOutOldest(), 2u);
  ASSERT_EQ(log.turns().size(), 1u);
  EXPECT_EQ(log.turns()[0].said, "three");
  EXPECT_EQ(log.LeaveOutOldest(), 1u);
  EXPECT_EQ(log.LeaveOutOldest(), 0u);
  EXPECT_TRUE(log.empty());
}

TEST(ConversationLogTest, IsMarkdownForPeople) {
  ConversationLog log;
  log.Add({"Why?", "So.", "hm"});
  EXPECT_EQ(log.Text(), "**You**\n\nWhy?\n\n**Model**\n\nSo.\n\n");
}

}  // namespace
}  // namespace lockstep
