#include "core/base/utf8.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/random.h"

namespace lockstep {
namespace {

using Kind = Utf8Scan::Kind;

void ExpectScan(std::string_view text, Kind kind, size_t length) {
  const Utf8Scan scan = ScanUtf8(text);
  EXPECT_EQ(scan.kind, kind) << testing::PrintToString(text);
  EXPECT_EQ(scan.length, length) << testing::PrintToString(text);
}

TEST(Utf8, ScansTheEdgesOfEveryLength) {
  for (const std::string_view text :
       {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    ExpectScan(text, Kind::kCharacter, text.size());
    ExpectScan(std::string(text) + "x", Kind::kCharacter, text.size());
  }
  ExpectScan(std::string_view("\0", 1), Kind::kCharacter, 1);
}

TEST(Utf8, RefusesWhatUnicodeRefuses) {
  ExpectScan("\x80", Kind::kInvalid, 1);              // a continuation first
  ExpectScan("\xC0\x80", Kind::kInvalid, 1);          // overlong
  ExpectScan("\xE0\x9F\xBF", Kind::kInvalid, 1);      // overlong
  ExpectScan("\xED\xA0\x80", Kind::kInvalid, 1);      // a surrogate
  ExpectScan("\xF0\x8F\xBF\xBF", Kind::kInvalid, 1);  // overlong
  ExpectScan("\xF4\x90\x80\x80", Kind::kInvalid, 1);  // above U+10FFFF
  ExpectScan("\xF5\x80\x80\x80", Kind::kInvalid, 1);
  ExpectScan("\xF0\x9F\x98x", Kind::kInvalid, 3);  // cut short: one maximal part
  ExpectScan("\xE2\x82\xE2", Kind::kInvalid, 2);
}

TEST(Utf8, TellsUnfinishedFromInvalid) {
  ExpectScan("\xC2", Kind::kUnfinished, 1);
  ExpectScan("\xE0\xA0", Kind::kUnfinished, 2);
  ExpectScan("\xF0\x9F\x98", Kind::kUnfinished, 3);
  ExpectScan("\xE0\x9F", Kind::kInvalid, 1);
}

TEST(Utf8, AppendsCodePoints) {
  std::string out;
  for (const uint32_t code_point : {0x41u, 0x7Fu, 0x80u, 0x120u, 0x7FFu}) {
    AppendUtf8(code_point, &out);
  }
  EXPECT_EQ(out, "A\x7F\xC2\x80\xC4\xA0\xDF\xBF");
}

// Table 3-8 of the Unicode standard: how often U+FFFD stands for ill-formed bytes.
TEST(Utf8Assembler, ReplacesMaximalInvalidParts) {
  Utf8Assembler assembler;
  const std::string out = assembler.Push("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64");
  EXPECT_EQ(out + assembler.Finish(), "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
}

TEST(Utf8Assembler, HoldsBackUnfinishedCharacters) {
  Utf8Assembler assembler;
  EXPECT_EQ(assembler.Push("a\xF0"), "a");
  EXPECT_EQ(assembler.Push("\x9F"), "");
  EXPECT_EQ(assembler.Push("\x9A"), "");
  EXPECT_EQ(assembler.Push("\x80z"), "🚀z");
  EXPECT_EQ(assembler.Push("\xE2\x82"), "");
  EXPECT_EQ(assembler.Finish(), "\uFFFD");
  EXPECT_EQ(assembler.Finish(), "");
  EXPECT_EQ(assembler.Push("b"), "b");
}

TEST(Utf8Assembler, AnyCutsGiveTheSameText) {
  Random random(1);
  // Bytes that often make, and often break, characters.
  constexpr std::string_view kBytes = "aZ\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2\xE0\xED\xEF\xF0\xF4\xF5";
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (uint64_t n = random.Below(24); n > 0; --n) {
      if (random.Below(4) == 0) {
        bytes += "🚀";
      } else {
        bytes += kBytes[random.Below(kBytes.size())];
      }
    }
    Utf8Assembler whole;
    std::string expected = whole.Push(bytes);
    expected += whole.Finish();
    for (size_t i = 0; i < expected.size();) {
      const Utf8Scan scan = ScanUtf8(std::string_view(expected).substr(i));
      ASSERT_EQ(scan.kind, Kind::kCharacter);
      i += scan.length;
    }

    Utf8Assembler cut;
    std::string joined;
    for (size_t begin = 0; begin < bytes.size();) {
      const size_t size = random.Below(4);
      joined += cut.Push(std::string_view(bytes).substr(begin, size));
      begin += size;
    }
    EXPECT_EQ(joined + cut.Finish(), expected) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace lockstep
