#include "core/engine/fair_shares.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(FairSharesTest, WhoComesLaterStartsLevelWithTheLowest) {
  FairShares shares;
  shares.Join("a");
  shares.Charge("a", 200);
  shares.Join("b");
  EXPECT_EQ(shares.Served("b"), 200);  // no right to what was done before it came
  shares.Charge("b", 300);
  shares.Join("c");
  EXPECT_EQ(shares.Served("c"), 200);  // a has the lowest
}

TEST(FairSharesTest, NothingIsForgivenToOneThatLeavesAndComesBack) {
  FairShares shares;
  shares.Join("a");
  shares.Join("b");
  shares.Charge("b", 500);
  shares.Leave("b");
  shares.Join("b");
  EXPECT_EQ(shares.Served("b"), 500);
  EXPECT_EQ(shares.Served("a"), 0);
}

TEST(FairSharesTest, AClientIsThereUntilTheLastOfItsJobsHasLeft) {
  FairShares shares;
  shares.Join("a");
  shares.Join("b");
  shares.Join("b");
  shares.Charge("a", 70);
  shares.Charge("b", 10);
  shares.Leave("b");
  shares.Join("c");
  EXPECT_EQ(shares.Served("c"), 10);  // level with b, of which one job is left
  shares.Leave("b");
  shares.Leave("c");
  shares.Leave("a");  // the last one: all start anew
  shares.Join("a");
  EXPECT_EQ(shares.Served("a"), 0);
}

}  // namespace
}  // namespace lockstep
