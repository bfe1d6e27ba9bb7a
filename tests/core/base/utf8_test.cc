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

TEST(Utf8, WellFormed) {
  for (const char* text :
       {"", "plain", "\u00e9", "\u2581the", "\U0001F600", "\uD7FF", "\uE000", "\U0010FFFF"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
}

TEST(Utf8, IllFormed) {
  for (const char* text :
       {"\x80", "\xFF", "a\xC3", "\xC0\xAF", "\xC1\x81", "\xE0\x80\xAF", "\xED\xA0\x80",
        "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xE2\x96", "\xE2\x96z", "\xF5\x80\x80\x80"}) {
    EXPECT_FALSE(IsUtf8(text)) << testing::PrintToString(text);
  }
}

TEST(Utf8, ATextIsARowOfCharacters) {
  const std::string_view text = "a\u00e9\u2581\U0001F600";
  EXPECT_EQ(CharacterLength(text.substr(1)), 2u);
  EXPECT_EQ(FirstCodePoint(text.substr(1)), 0xE9u);
  EXPECT_EQ(FirstCodePoint(text.substr(3)), 0x2581u);
  EXPECT_EQ(FirstCodePoint(text.substr(6)), 0x1F600u);
  EXPECT_EQ(LastCharacterLength(text), 4u);
  EXPECT_EQ(LastCharacterLength(text.substr(0, 6)), 3u);
  EXPECT_EQ(LastCharacterLength("a"), 1u);
  EXPECT_EQ(CountCharacters(text), 4u);
  EXPECT_EQ(CharacterOffset(text, 2), 3u);
  EXPECT_EQ(CharacterOffset(text, 9), text.size());
  EXPECT_EQ(CountCharacters(""), 0u);
}

TEST(Utf8, AByteOfNoCharacterIsACharacterOfItsOwn) {
  EXPECT_EQ(CharacterLength("\xE2\x96z"), 1u);
  EXPECT_EQ(FirstCodePoint("\xE2\x96z"), 0xE2u);
  EXPECT_EQ(LastCharacterLength("z\x96"), 1u);
  EXPECT_EQ(CountCharacters("\xE2\x96z\x80"), 4u);
}

TEST(Utf8, CountsOfPiecesAddUp) {
  const std::string_view text = "a\u00e9\u2581\U0001F600";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    EXPECT_EQ(CountCharacterStarts(text.substr(0, cut)) + CountCharacterStarts(text.substr(cut)),
              4u);
  }
}

TEST(Utf8, KnowsWhatUnicodeCallsACharacter) {
  for (const uint32_t code : {0u, 0xD7FFu, 0xE000u, 0x10FFFFu}) EXPECT_TRUE(IsCodePoint(code));
  for (const uint32_t code : {0xD800u, 0xDFFFu, 0x110000u}) EXPECT_FALSE(IsCodePoint(code));
}

TEST(Utf8, AppendsCodePoints) {
  std::string out;
  for (const uint32_t code_point : {0x41u, 0x7Fu, 0x80u, 0x120u, 0x7FFu}) {
    AppendUtf8(code_point, &out);
  }
  EXPECT_EQ(out, "A\x7F\xC2\x80\xC4\xA0\xDF\xBF");
  for (uint32_t code = 0; code <= kMaxCodePoint; code += code < 0x1000 ? 1 : 0x10) {
    out.clear();
    AppendUtf8(code, &out);
    if (!IsCodePoint(code)) continue;
    EXPECT_TRUE(IsUtf8(out)) << code;
    EXPECT_EQ(FirstCodePoint(out), code);
    EXPECT_EQ(CharacterLength(out), out.size());
  }
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
