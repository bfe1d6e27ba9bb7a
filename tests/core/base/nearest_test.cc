#include "core/base/nearest.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(NearestTest, CountsInsertionsRemovalsReplacementsAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("model", "model"), 0u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("modle", "model"), 1u);
  EXPECT_EQ(EditDistance("modl", "model"), 1u);
  EXPECT_EQ(EditDistance("modell", "model"), 1u);
  EXPECT_EQ(EditDistance("nodel", "model"), 1u);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
}

TEST(NearestTest, NamesTheNearestOrNone) {
  const std::vector<std::string> names = {"--model", "--host", "--port", "--model-alias"};
  EXPECT_EQ(Nearest("--modle", names), "--model");
  EXPECT_EQ(Nearest("--prot", names), "--port");
  EXPECT_EQ(Nearest("--hots", names), "--host");
  EXPECT_EQ(Nearest("--temperature", names), "");
  EXPECT_EQ(Nearest("", names), "");
  EXPECT_EQ(Nearest("--model", {}), "");
  EXPECT_EQ(Nearest(std::string(1 << 20, 'x'), names), "");
}

}  // namespace
}  // namespace lockstep
