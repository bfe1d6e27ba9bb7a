#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/schema_cases.h"

namespace lockstep {
namespace {

const SchemaCase kCases[] = {
    {R"j({"type":"string"})j",
     {R"j("aé€😀")j", R"j("\n\"\\\/\u00e9\ud83d\ude00")j"},
     {"\"\n\"", R"j("\x")j", R"j("\ud83d")j", R"j("\ude00\ud83d")j", "\"", R"j(""")j"}},
    {R"j({"type":"string","minLength":2,"maxLength":3})j",
     {"\"ab\"", "\"é😀a\"", R"j("\n\ud83d\ude00")j"},
     {"\"a\"", "\"abcd\"", R"j("\n")j"}},
    {R"j({"maxLength":0})j", {"\"\""}, {"\"a\""}},
    {R"j({"maxLength":1000000})j", {"\"a\""}, {"1"}},
    {R"j({"pattern":"^[A-Z]{2}-\\d+$"})j",
     {"\"AB-1\"", "\"ZZ-0099\""},
     {"\"A-1\"", "\"AB-\"", "\"xAB-1\""}},
    {R"j({"pattern":"ab?c|^x$"})j", {"\"zzacz\"", "\"abc\"", "\"x\""}, {"\"xy\"", "\"ab\""}},
    {R"j({"pattern":"^(?:a|b(?<n>c|d)){1,2}?\\.[^x\"]$"})j",
     {"\"a.a\"", "\"bcbd.\\\\\"", "\"bd.\\n\"", "\"a.é\""},
     {"\".a\"", "\"a.x\"", "\"a.\\\"\"", "\"aaa.a\""}},
    {R"j({"pattern":"^.\\s\\w\\S$"})j", {"\"- _é\"", "\"a\\tb\\\"\""}, {"\"a b \"", "\"\\n bb\""}},
    {R"j({"pattern":"^[\\u00e0-\\u{e9}\\x41\\-\\]]+$"})j", {"\"éA-]\""}, {"\"B\"", "\"\""}},
    {R"j({"pattern":""})j", {"\"\"", "\"any\""}, {"1"}},
    {R"j({"format":"date"})j",
     {"\"2024-02-29\"", "\"2023-12-31\"", "\"2000-02-29\""},
     {"\"2023-02-29\"", "\"1900-02-29\"", "\"2023-13-01\"", "\"2023-04-31\"", "\"2023-1-1\""}},
    {R"j({"format":"time"})j",
     {"\"23:59:59Z\"", "\"00:00:00.25+01:30\""},
     {"\"24:00:00Z\"", "\"1:00:00Z\""}},
    {R"j({"format":"date-time"})j", {"\"2024-02-29T10:00:00Z\""}, {"\"2024-02-29\""}},
    {R"j({"format":"duration"})j",
     {"\"P1Y2M3DT4H\"", "\"PT5S\"", "\"P3W\""},
     {"\"P\"", "\"PT\"", "\"1Y\""}},
    {R"j({"format":"email"})j", {"\"a.b+c@x-y.org\""}, {"\"a@b\"", "\"@x.org\"", "\"a..b@x.org\""}},
    {R"j({"format":"hostname"})j", {"\"a-1.example\""}, {"\"-a\"", "\"a-\"", "\"a..b\""}},
    {R"j({"format":"ipv4"})j",
     {"\"0.10.199.255\""},
     {"\"256.1.1.1\"", "\"01.1.1.1\"", "\"1.1.1\""}},
    {R"j({"format":"ipv6"})j",
     {"\"::\"", "\"::1\"", "\"1::\"", "\"2001:db8::ff:1\"", "\"1:2:3:4:5:6:7:8\""},
     {"\":\"", "\"1::2::3\"", "\"1:2:3\"", "\"12345::\""}},
    {R"j({"format":"uuid"})j", {"\"123e4567-e89b-12d3-A456-426614174000\""}, {"\"123e4567\""}},
    {R"j({"format":"uuid4"})j",
     {"\"123e4567-e89b-42d3-a456-426614174000\""},
     {"\"123e4567-e89b-12d3-a456-426614174000\"", "\"123e4567-e89b-42d3-c456-426614174000\""}},
    {R"j({"format":"ipv4network"})j",
     {"\"10.0.0.0/8\"", "\"10.1.2.0/24\""},
     {"\"10.0.0.1/8\"", "\"10.0.0.0\""}},
    {R"j({"format":"ipv6network"})j", {"\"::1\""}, {"\"10.0.0.1\""}},
    {R"j({"format":"base64"})j", {"\"\"", "\"TQ==\"", "\"TWE=\""}, {"\"TR==\"", "\"TQ\""}},
    {R"j({"format":"base64url"})j", {"\"TW_-\""}, {"\"TW+/\""}},
    {R"j({"format":"json-pointer"})j", {"\"\"", "\"/a~1b/0\""}, {"\"a\"", "\"/~2\""}},
    {R"j({"format":"uri-reference"})j", {"\"/a/b?c=d\""}, {"\"a b\""}},
    // A name that a library has for its pattern.
    {R"j({"format":"cuid2","pattern":"^[0-9a-z]+$"})j", {"\"abc\""}, {"\"A\""}},
    {R"j({"format":"uri"})j",
     {"\"https://a.example.org:80/x/y?z=1#t\""},
     {"\"a.org\"", "\"ftp://a.org\""}},
    {R"j({"pattern":"^[a-z]+$","minLength":2,"maxLength":4})j",
     {"\"ab\"", "\"abcd\""},
     {"\"a\"", "\"abcde\"", "\"a1\""}},
    {R"j({"pattern":"^a+b?$","minLength":2,"maxLength":3})j",
     {"\"aa\"", "\"ab\"", "\"aab\""},
     {"\"a\"", "\"aaab\"", "\"b\""}},
    {R"j({"format":"uri","minLength":1,"maxLength":2083})j", {"\"https://a.org\""}, {"\"\""}},
    {R"j({"format":"ipv4","pattern":"^10\\."})j", {"\"10.0.0.1\""}, {"\"11.0.0.1\"", "\"10.x\""}},
    {R"j({"allOf":[{"pattern":"a"},{"pattern":"b"}]})j", {"\"ab\"", "\"xbya\""}, {"\"a\""}},
    {R"j({"pattern":"^(?!^[-+.]*$)[+-]?0*\\d*\\.?\\d*$"})j",
     {"\"1.5\"", "\"-0\"", "\".5\""},
     {"\"\"", "\"-.\"", "\"a\""}},
    {R"j({"pattern":"^(?=.*[A-Z])(?=.*\\d).{4,}$"})j",
     {"\"aA1b\"", "\"1AAA\""},
     {"\"A1\"", "\"aaa1\"", "\"AAAA\""}},
    {R"j({"pattern":"^\\p{Lu}\\p{L}*$"})j", {"\"\u00c9t\u00e9\"", "\"Ab\""}, {"\"ab\"", "\"A1\""}},
    {R"j({"type":"string","format":"binary"})j", {"\"\""}, {"1"}},
    {R"j({"type":"string","maxLength":2147483647})j", {"\"a\""}, {"1"}},
    {R"j({"type":"string","not":{"enum":["no","none"]}})j",
     {"\"n\"", "\"\"", "\"nons\""},
     {"\"no\"", "\"none\""}},
    {R"j({"type":"string","not":{"pattern":"b"}})j", {"\"a\""}, {"\"ab\"", "\"b\""}},
};

TEST(SchemaTextsTest, TextsAreWhatTheirKeywordsSay) { CheckSchemas(kCases); }

// What a format's own counts allow is longer; with a length of their own they count less.
const SchemaCase kLengths[] = {
    {R"j({"format":"email","maxLength":100})j",
     {"\"a.b+c@x-y.org\"", "\"someone@a.sub.domain.example\""},
     {"\"a@b\"", "\"\""}},
    {R"j({"format":"email","maxLength":12,"minLength":9})j",
     {"\"a.b@cde.fg\"", "\"a.b@cd.ef\""},
     {"\"a@b.cd\"", "\"abcdef@ghi.jkl\""}},
    {R"j({"format":"email","maxLength":5})j", {}, {"\"a@b.cd\""}},
    {R"j({"format":"uri","maxLength":255})j",
     {"\"https://example.org/a/b?c=d#e\"", "\"http://a.org\""},
     {"\"a.org\""}},
    {R"j({"format":"hostname","pattern":"^a","maxLength":60})j",
     {"\"a.example\"", "\"abc\""},
     {"\"b.example\""}},
    {R"j({"format":"date","maxLength":100})j", {"\"2024-02-29\""}, {"\"2023-02-29\""}},
    {R"j({"pattern":"^a+(b|c)$","maxLength":9999})j", {"\"ab\"", "\"aaac\""}, {"\"b\""}},
    {R"j({"enum":["averyveryverylongname@example.org","x"],"format":"email","maxLength":40})j",
     {"\"averyveryverylongname@example.org\""},
     {"\"x\""}},
};

TEST(SchemaTextsTest, LengthsAreKeptBesideOtherKeywords) {
  const SchemaCase& none = kLengths[2];
  EXPECT_FALSE(CompileJsonSchema(ParseStrictObject(none.schema).value(), "s"));
  for (const SchemaCase& test : kLengths) {
    if (&test != &none) CheckSchemas({&test, 1});
  }
}

// No text is too long, though only some of those that are short enough are there.
TEST(SchemaTextsTest, NoShortenedTextIsTooLong) {
  const auto grammar =
      CompileJsonSchema(ParseStrictObject(R"j({"format":"email","maxLength":30})j").value(), "s");
  ASSERT_TRUE(grammar) << grammar.error().message;
  size_t matched = 0;
  for (size_t name = 1; name < 30; ++name) {
    for (size_t domain = 1; domain < 30; ++domain) {
      const std::string text = std::string(name, 'a') + "@" + std::string(domain, 'b') + ".uk";
      const bool matches = Matches(**grammar, "\"" + text + "\"");
      matched += matches ? 1 : 0;
      EXPECT_LE(matches ? text.size() : 0, 30u) << text;
    }
  }
  EXPECT_GT(matched, 3u);
}

// An automaton of many states takes work for each, and no more.
TEST(SchemaTextsTest, LengthsTakeLittleWork) {
  for (const char* text : {R"j({"format":"email","maxLength":100})j",
                           R"j({"format":"email","minLength":5,"maxLength":255})j",
                           R"j({"format":"uri","minLength":1,"maxLength":65536})j"}) {
    WorkMeter meter;
    ASSERT_TRUE(CompileJsonSchema(ParseStrictObject(text).value(), "s", {true, &meter})) << text;
    EXPECT_LT(meter.used(), uint64_t{1} << 20) << text;  // some 5 ms
  }
}

TEST(SchemaTextsTest, ManyLongOnesFit) {
  std::string properties;
  for (int i = 0; i < 14; ++i) {
    properties +=
        fmt::format(R"j({}"p{}":{{"type":"string","maxLength":10000}})j", i == 0 ? "" : ",", i);
  }
  const auto texts = CompileJsonSchema(
      ParseStrictObject(fmt::format(R"j({{"properties":{{{}}}}})j", properties)).value(), "s");
  ASSERT_TRUE(texts) << texts.error().message;
  EXPECT_TRUE(Matches(**texts, "{\"p13\":\"" + std::string(10000, 'a') + "\"}"));
  EXPECT_FALSE(Matches(**texts, "{\"p13\":\"" + std::string(10001, 'a') + "\"}"));
}

}  // namespace
}  // namespace lockstep
