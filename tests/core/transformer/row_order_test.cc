#include "core/transformer/row_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/transformer/architectures.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

LayerConfig Layer(size_t heads, size_t key, size_t rope_dim) {
  LayerConfig layer;
  layer.heads = heads;
  layer.head.key = key;
  layer.rope_dim = rope_dim;
  return layer;
}

TEST(RowOrder, HalvesComeSideBySideInEachHead) {
  const Architecture family{.name = "x", .pairs = RopePairs::kHalves};
  EXPECT_THAT(SideBySide(family, Layer(1, 6, 4), 1, 6), ElementsAre(0, 2, 1, 3, 4, 5));
  EXPECT_THAT(SideBySide(family, Layer(2, 4, 4), 2, 4), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  // Of a head's rows in the file only the first are meant.
  EXPECT_THAT(SideBySide(family, Layer(2, 4, 4), 2, 8), ElementsAre(0, 2, 1, 3, 8, 10, 9, 11));
}

TEST(RowOrder, NeighboursStayWhereTheyAre) {
  const Architecture family{.name = "x", .pairs = RopePairs::kAdjacent};
  EXPECT_THAT(SideBySide(family, Layer(2, 4, 4), 2, 4), IsEmpty());
  EXPECT_THAT(SideBySide(family, Layer(2, 2, 2), 2, 4), ElementsAre(0, 1, 4, 5));
}

TEST(RowOrder, GatesStandBehindTheirQueries) {
  EXPECT_THAT(GateRows(Layer(2, 3, 0)), ElementsAre(3, 4, 5, 9, 10, 11));
}

TEST(RowOrder, ValuesFollowTheirRows) {
  std::vector<float> values = {10, 11, 12, 13};
  Reorder({}, values);
  EXPECT_THAT(values, ElementsAre(10, 11, 12, 13));
  Reorder({0, 2, 1, 3}, values);
  EXPECT_THAT(values, ElementsAre(10, 12, 11, 13));
  Reorder({3, 0}, values);  // the others have no place
  EXPECT_THAT(values, ElementsAre(13, 10));
}

}  // namespace
}  // namespace lockstep
