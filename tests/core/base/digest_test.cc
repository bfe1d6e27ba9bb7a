// Digests against published values, and bytes that go to text and back.
#include "core/base/digest.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

// FIPS 180-2, appendix B.
TEST(DigestTest, IsSha256HoweverItComes) {
  Digest whole, pieces;
  whole.Add("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
  for (const char* piece : {"abcdbcdecdefdefgefghfghi", "", "ghijhijkijkljklmklmnlmnomnopnopq"}) {
    pieces.Add(piece);
  }
  const std::string wanted = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1";
  EXPECT_EQ(Hex(whole.Bytes()), wanted);
  EXPECT_EQ(Hex(pieces.Bytes()), wanted);
}

TEST(DigestTest, ANumberIsEightBytes) {
  Digest number, bytes;
  number.AddNumber(0x0807060504030201u);
  bytes.Add("\x01\x02\x03\x04\x05\x06\x07\x08");
  EXPECT_EQ(number.Bytes(), bytes.Bytes());
}

TEST(DigestTest, Base64GoesBothWays) {
  EXPECT_EQ(Base64("Ma"), "TWE=");
  EXPECT_EQ(Base64("Man\xff\xfe\xfd"), "TWFu//79");
  EXPECT_EQ(FromBase64("TWFu//79", 6), "Man\xff\xfe\xfd");
  for (const char* wrong :
       {"", "TWFu", "TWFu//7", "TWFu//7=", "TWFu/_79", " TWFu//7", "TWFu//79 "}) {
    EXPECT_EQ(FromBase64(wrong, 6), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace lockstep
