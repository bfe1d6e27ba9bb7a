#include "core/engine/logit_scan.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tests/support/random.h"

namespace lockstep {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMost = std::numeric_limits<float>::max();

TEST(LogitScanTest, ALogitIsAnOrderedNumber) {
  EXPECT_EQ(CleanLogit(kNan), -kInf);
  EXPECT_EQ(CleanLogit(-kInf), -kInf);
  EXPECT_EQ(CleanLogit(kInf), kMost);
  EXPECT_EQ(CleanLogit(-1.5f), -1.5f);
}

// Whole groups of lanes, and what is left of one, with the numbers that are none in between.
TEST(LogitScanTest, FindsWhatALoopFinds) {
  Random random(3);
  constexpr float kOdd[] = {kNan, kInf, -kInf, kMost, -kMost, 0.0f, -0.0f};
  for (size_t n = 0; n < 70; ++n) {
    for (int round = 0; round < 20; ++round) {
      std::vector<float> logits(n);
      for (float& x : logits) {
        x = random.Below(4) == 0 ? kOdd[random.Below(std::size(kOdd))] : random.Float(-2, 2);
      }
      float largest = -kInf;
      bool finite = false;
      for (const float x : logits) {
        largest = std::max(largest, CleanLogit(x));
        finite |= std::abs(x) <= kMost;
      }
      EXPECT_EQ(Largest(logits), largest);
      EXPECT_EQ(AnyFinite(logits), finite);
      for (const float bound : {-kInf, -1.0f, 1.0f, kMost, kInf}) {
        for (size_t from = 0; from <= n; from += 7) {
          size_t at = from;
          while (at < n && !(logits[at] > bound)) ++at;
          EXPECT_EQ(NextAbove(logits, from, bound), at) << n << " " << from << " " << bound;
        }
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
