#include "server/json/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#endif
#endif

#include <string>

namespace lockstep {
namespace {

using testing::HasSubstr;

TEST(JsonText, ReadsWhatItWrites) {
  for (const char* text : {
           R"({})",
           R"({"b":1,"a":[{},[],[[1,2],3],{"c":{"d":null}},true],"e":-0.5,"f":"\u20ac\"\n"})",
           R"({"":{"x":18446744073709551615,"y":-9223372036854775808}})",
       }) {
    const auto json = ParseStrictObject(text);
    ASSERT_TRUE(json.has_value()) << text;
    EXPECT_EQ(*json, Json::parse(text)) << text;
  }
}

// The sanitizer's allocator is another one.
size_t HeapBytes() {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  return __sanitizer_get_current_allocated_bytes();
#endif
#endif
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(JsonText, TakesNoMoreMemoryThanIsSaid) {
  for (const std::string shape :
       {"[],", "{},", "1,", "[0],", R"({"":0},)", R"("",)", "[[1,2]],", R"({"a":{},"b":[]},)",
        R"("a long text that has a place of its own",)"}) {
    std::string text = R"({"a":[)";
    while (text.size() < 300'000) text += shape;
    text += "0]}";
    const size_t before = HeapBytes();
    const auto json = ParseStrictObject(text);
    ASSERT_TRUE(json);
    EXPECT_LE(HeapBytes() - before, ParsedBytes(text)) << shape;
    EXPECT_GT((HeapBytes() - before) * 8, ParsedBytes(text)) << shape;
  }
  // Text is text, whatever it says.
  EXPECT_LT(
      ParsedBytes("{\"a\":\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '[') + "\"}"),
      5000u);
}

TEST(JsonText, RefusesWhatIsNoStrictObject) {
  std::string wide = "{";
  for (int i = 0; i < 1025; ++i) wide += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":0";
  const std::string deep(70, '[');
  const std::pair<std::string, const char*> cases[] = {
      {"", "empty"},
      {"[]", "must be a JSON object"},
      {"\xEF\xBB\xBF{}", "byte order mark"},
      {std::string("{}\0", 3), "NUL"},
      {R"({"a":1,"a":1})", "\"a\" occurs twice"},
      {R"({"a":{"b":1,"b":1}})", "\"b\" occurs twice"},
      {R"({"a":1e999})", "too large"},
      {R"({"a":)" + std::string(65, '1') + "}", "more than 64 characters"},
      {R"({"a":)" + deep + "}", "64 levels"},
      {wide + "}", "1024 fields"},
      {R"({"a":"\ud800"})", "surrogate"},
      {R"({"a":1}x)", "at byte 8"},
  };
  for (const auto& [text, says] : cases) {
    const auto json = ParseStrictObject(text);
    ASSERT_FALSE(json.has_value()) << text;
    EXPECT_THAT(json.error().message, HasSubstr(says));
  }
  EXPECT_TRUE(ParseStrictObject(R"({"a":{"b":1},"b":{"b":1}})").has_value());
}

TEST(JsonText, IntegersBeyond64BitsKeepTheirDigits) {
  const Json json =
      ParseStrictObject(R"({"a":[18446744073709551616,-9223372036854775809],"b":1e30})").value();
  EXPECT_EQ(BigIntegerDigits(json["a"][0]), "18446744073709551616");
  EXPECT_EQ(BigIntegerDigits(json["a"][1]), "-9223372036854775809");
  EXPECT_EQ(BigIntegerDigits(json["b"]), "");
  EXPECT_EQ(Dump(json), R"({"a":[18446744073709551616,-9223372036854775809],"b":1e+30})");
  EXPECT_EQ(Dump(Json{{"é\"", {{{"n", json["a"]}}, nullptr, Json::object(), "x"}}}),
            R"({"é\"":[{"n":[18446744073709551616,-9223372036854775809]},null,{},"x"]})");
  EXPECT_TRUE(IsNumber(json["a"][0]) && IsNumber(json["b"]) && IsNumber(Json(1)));
  EXPECT_FALSE(IsNumber(json["a"]) || IsNumber(Json("1")) || IsNumber(Json(true)));
}

TEST(JsonText, WritesBytesThatAreNoTextAsReplacements) {
  EXPECT_EQ(DumpString("a\xff\"\n"), "\"a\xEF\xBF\xBD\\\"\\n\"");
}

}  // namespace
}  // namespace lockstep
