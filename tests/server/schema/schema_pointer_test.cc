#include <gtest/gtest.h>

#include "server/schema/schema_merge.h"

namespace lockstep {
namespace {

TEST(SchemaPointerTest, ReferencesArePointers) {
  const Json root = ParseStrictObject(R"j({"a":[{"x/y":1},{"~":2}]})j").value();
  EXPECT_EQ(*FindReference(root, "#/a/0/x~1y"), 1);
  EXPECT_EQ(*FindReference(root, "#/a/1/~0"), 2);
  EXPECT_EQ(FindReference(root, "#"), &root);
  EXPECT_EQ(FindReference(root, "#/a/2"), nullptr);
  EXPECT_EQ(FindReference(root, "a"), nullptr);
}

}  // namespace
}  // namespace lockstep
