// Queries as clients write them.
#include "server/http/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST(QueryTest, NamesAndValuesAreDecoded) {
  EXPECT_THAT(ParseQuery("a=1&include%5B%5D=x%20y&b=c+d%26"),
              ElementsAre(Pair("a", "1"), Pair("include[]", "x y"), Pair("b", "c d&")));
}

TEST(QueryTest, WhatIsNoPairIsANameAlone) {
  EXPECT_THAT(ParseQuery(""), IsEmpty());
  EXPECT_THAT(ParseQuery("&a&&b=&=c&d=e=f&"),
              ElementsAre(Pair("a", ""), Pair("b", ""), Pair("", "c"), Pair("d", "e=f")));
}

TEST(QueryTest, APlusIsOneElsewhere) {
  EXPECT_EQ(PercentDecoded("a%20b/%C3%bc%3F+%zz%4"), "a b/\xc3\xbc?+%zz%4");
}

TEST(QueryTest, WhatIsNoEscapeStandsForItself) {
  EXPECT_THAT(ParseQuery("a=%&b=%4&c=%zz&d=%-1&e=%41"),
              ElementsAre(Pair("a", "%"), Pair("b", "%4"), Pair("c", "%zz"), Pair("d", "%-1"),
                          Pair("e", "A")));
}

}  // namespace
}  // namespace lockstep
