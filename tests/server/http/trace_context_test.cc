#include "server/http/trace_context.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736", kSpan = "00f067aa0ba902b7";

TEST(TraceContextTest, KeepsTheTraceAndMakesASpan) {
  const auto first = ContinueTrace("00-" + kTrace + "-" + kSpan + "-01");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->trace_id, kTrace);
  EXPECT_EQ(first->flags, "01");
  EXPECT_EQ(first->span_id.size(), 16u);
  EXPECT_NE(first->span_id, kSpan);
  EXPECT_EQ(first->header(), "00-" + kTrace + "-" + first->span_id + "-01");
  EXPECT_NE(ContinueTrace("00-" + kTrace + "-" + kSpan + "-01")->span_id, first->span_id);
  // A version to come may say more.
  EXPECT_TRUE(ContinueTrace("01-" + kTrace + "-" + kSpan + "-01-more"));
}

TEST(TraceContextTest, RefusesWhatIsNotOne) {
  for (const std::string& bad :
       {std::string(), "00-" + kTrace + "-" + kSpan, "ff-" + kTrace + "-" + kSpan + "-01",
        "00-" + kTrace + "-" + kSpan + "-01-more", "01-" + kTrace + "-" + kSpan + "-01more",
        "00-" + std::string(32, '0') + "-" + kSpan + "-01",
        "00-" + kTrace + "-" + std::string(16, '0') + "-01",
        "00-" + std::string(32, 'A') + "-" + kSpan + "-01", "00-" + kTrace + "-" + kSpan + "-0g"}) {
    EXPECT_FALSE(ContinueTrace(bad)) << bad;
  }
}

}  // namespace
}  // namespace lockstep
