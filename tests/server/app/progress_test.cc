#include "server/app/progress.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(ProgressTest, TellsShareAmountRateAndTimeLeft) {
  EXPECT_EQ(ProgressText("Loading", "B", 1'125'000'000, 2'500'000'000, 1.5),
            "Loading: 45 %, 1.1 of 2.5 GB, 750 MB/s, 2 s left");
  EXPECT_EQ(ProgressText("Reading", " tokens", 512, 51'200, 10),
            "Reading: 1 %, 512 of 51200 tokens, 51 tokens/s, 16 min 30 s left");
  EXPECT_EQ(ProgressText("Measuring", " runs", 3, 12, 6),
            "Measuring: 25 %, 3 of 12 runs, 0.5 runs/s, 18 s left");
  EXPECT_EQ(ProgressText("Loading", "B", 50'000, 100'000, 7200),
            "Loading: 50 %, 50 of 100 kB, 6.9 B/s, 2 h 0 min left");
}

TEST(ProgressTest, ARateIsOfWhatWasDoneInItsTime) {
  EXPECT_EQ(ProgressText("Fetching", "B", 1'500'000'000, 2'000'000'000, 2, 1'000'000'000),
            "Fetching: 75 %, 1.5 of 2.0 GB, 250 MB/s, 2 s left");
  EXPECT_EQ(ProgressText("Fetching", "B", 1'000'000'000, 2'000'000'000, 2, 1'000'000'000),
            "Fetching: 50 %, 1.0 of 2.0 GB");
}

TEST(ProgressTest, GuessesNothingBeforeThereIsSomethingToGoBy) {
  EXPECT_EQ(ProgressText("Loading", "B", 0, 5'000'000, 3), "Loading: 0 %, 0.0 of 5.0 MB");
  EXPECT_EQ(ProgressText("Loading", "B", 4'000'000, 5'000'000, 0.1),
            "Loading: 80 %, 4.0 of 5.0 MB");
}

TEST(ProgressTest, DoesWithoutATotal) {
  EXPECT_EQ(ProgressText("Fetching", "B", 0, 0, 1), "Fetching");
  EXPECT_EQ(ProgressText("Fetching", "B", 3'000'000, 0, 2), "Fetching: 3.0 MB, 1.5 MB/s");
  EXPECT_EQ(ProgressText("Fetching", "B", 3'000'000, 2'000'000, 0),
            "Fetching: 100 %, 3.0 of 3.0 MB");
}

TEST(ProgressTest, IsSilentWhereNobodyWatches) {
  testing::internal::CaptureStderr();  // into a file, wherever it went before
  {
    Progress progress("Loading");
    progress.Update(1, 2);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace lockstep
