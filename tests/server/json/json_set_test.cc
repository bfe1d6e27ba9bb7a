#include "server/json/json_set.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(JsonSetTest, KnowsWhatIsEqual) {
  const Json list = {1, 2.0, "1", nullptr, true, {{"a", {1, "x"}}}, Json::array(), Json::object()};
  const JsonSet set(list);
  for (const Json& value : list) EXPECT_TRUE(set.Contains(value)) << Dump(value);
  EXPECT_TRUE(set.Contains(1.0));
  EXPECT_TRUE(set.Contains(2u));
  EXPECT_TRUE(set.Contains({{"a", {1.0, "x"}}}));
  for (const Json& value : {Json(3), Json("2"), Json(false), Json{{"a", {"x", 1}}}, Json("")}) {
    EXPECT_FALSE(set.Contains(value)) << Dump(value);
  }
}

TEST(JsonSetTest, AddsOnce) {
  JsonSet set;
  const Json one = 1, same = 1.0, zero = 0.0, negative = -0.0;
  EXPECT_TRUE(set.Add(one));
  EXPECT_FALSE(set.Add(same));
  EXPECT_TRUE(set.Add(zero));
  EXPECT_FALSE(set.Add(negative));
}

}  // namespace
}  // namespace lockstep
