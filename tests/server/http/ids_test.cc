#include "server/http/ids.h"

#include <gtest/gtest.h>

#include <set>

namespace lockstep {
namespace {

TEST(Ids, AreUniqueAndValid) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = NewId("gen");
    EXPECT_TRUE(IsValidRequestId(id));
    EXPECT_TRUE(ids.insert(id).second);
  }
  EXPECT_NE(RandomBits(), RandomBits());
}

TEST(Ids, AnIdIsMadeOfBytesAgain) {
  const std::string bytes = NewIdBytes();
  EXPECT_EQ(bytes.size(), 12u);
  EXPECT_NE(NewIdBytes(), bytes);
  EXPECT_EQ(IdOf("gen", "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\xff\x10"),
            "gen-0102030405060708090aff10");
  EXPECT_EQ(IdOf("msg_", bytes).size(), 4u + 24u);
}

TEST(Ids, ARequestIdIsShortAndPrintable) {
  EXPECT_TRUE(IsValidRequestId("a-Z_0.9~"));
  EXPECT_TRUE(IsValidRequestId(std::string(128, 'x')));
  for (const std::string& bad :
       {std::string(), std::string(129, 'x'), std::string("a b"), std::string("a\nb"),
        std::string("a\0b", 3), std::string("\xc3\xa9"), std::string("\x7f")}) {
    EXPECT_FALSE(IsValidRequestId(bad)) << bad;
  }
}

}  // namespace
}  // namespace lockstep
