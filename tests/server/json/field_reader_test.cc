#include "server/json/field_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace lockstep {
namespace {

using testing::ElementsAre;

Json Parse(const char* text) { return ParseStrictObject(text).value(); }

TEST(FieldReaderTest, ReadsWhatIsThereAndLeavesTheRest) {
  const Json object = Parse(R"({"f":0.5,"b":true,"t":"x","i":7,"null":null})");
  FieldReader fields(object);
  float f = 0;
  bool b = false;
  std::string t;
  size_t i = 0, absent = 3, null = 4;
  EXPECT_TRUE(fields.Float("f", {0, 1}, &f));
  EXPECT_TRUE(fields.Bool("b", &b));
  EXPECT_TRUE(fields.Text("t", &t));
  EXPECT_TRUE(fields.Integer("i", 0, 10, &i));
  EXPECT_FALSE(fields.Integer("absent", 0, 10, &absent));
  EXPECT_FALSE(fields.Integer("null", 0, 10, &null));
  EXPECT_EQ(f, 0.5f);
  EXPECT_TRUE(b);
  EXPECT_EQ(t, "x");
  EXPECT_EQ(i, 7u);
  EXPECT_EQ(absent, 3u);
  EXPECT_EQ(null, 4u);
  EXPECT_TRUE(fields.Finish(nullptr).has_value());
}

TEST(FieldReaderTest, TheFirstThingWrongIsToldWithItsFullName) {
  const Json object = Parse(R"({"a":11,"b":"x","c":1})");
  FieldReader fields(object, "messages[2].");
  int64_t a = 0, c = 0;
  bool b = false;
  EXPECT_FALSE(fields.Integer("a", 0, 10, &a));
  EXPECT_FALSE(fields.Bool("b", &b));
  EXPECT_FALSE(fields.Integer("c", 0, 10, &c));  // nothing is read after a mistake
  const Status status = fields.Finish(nullptr);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(status.error().message, "messages[2].a must be an integer from 0 to 10");
  EXPECT_EQ(status.error().param, "messages[2].a");
}

TEST(FieldReaderTest, UnknownNamesAreRefusedOrListed) {
  const Json object = Parse(R"({"a":1,"b":2,"c":null})");
  std::vector<std::string> ignored;
  for (const bool lenient : {false, true}) {
    FieldReader fields(object, "tools.");
    int64_t a = 0;
    fields.Integer("a", 0, 10, &a);
    const Status status = fields.Finish(lenient ? &ignored : nullptr);
    EXPECT_EQ(status.has_value(), lenient);
    if (!status) {
      EXPECT_EQ(
          status.error().message,
          "unknown field \"tools.b\": leave it out; the routes of other servers' APIs ignore it, "
          "unless this one was started with --strict");
    }
  }
  EXPECT_THAT(ignored, ElementsAre("tools.b"));  // null is absent, whatever its name
}

TEST(FieldReaderTest, AMisspeltNameIsGuessed) {
  const Json object = Parse(R"({"max_token":1})");
  FieldReader fields(object, "options.");
  int64_t n = 0;
  fields.Integer("stop", 0, 10, &n);
  fields.Integer("max_tokens", 0, 10, &n);
  const Status status = fields.Finish(nullptr);
  ASSERT_FALSE(status);
  EXPECT_THAT(
      status.error().message,
      testing::StartsWith(
          R"(unknown field "options.max_token" (did you mean "max_tokens"?): leave it out)"));
  EXPECT_EQ(status.error().param, "options.max_token");
}

TEST(FieldReaderTest, ObjectsWithinHaveReadersOfTheirOwn) {
  const Json object = Parse(R"({"inner":{"a":1,"b":2},"text":"x"})");
  std::vector<std::string> ignored;
  std::set<std::string> known;
  FieldReader fields(object, "outer.");
  int64_t a = 0;
  const auto read = [&a](FieldReader& inner) { inner.Integer("a", 0, 10, &a); };
  EXPECT_TRUE(fields.Object("inner", "must be an object", {&ignored, &known}, read));
  EXPECT_FALSE(fields.Object("absent", "must be an object", {&ignored, &known}, read));
  EXPECT_EQ(a, 1);
  EXPECT_THAT(ignored, ElementsAre("outer.inner.b"));
  EXPECT_THAT(known, ElementsAre("outer.inner.a"));
  EXPECT_FALSE(fields.Object("text", "must be an object", nullptr, read));
  EXPECT_EQ(fields.error().message, "outer.text must be an object");
}

TEST(FieldReaderTest, NumbersHaveLimits) {
  EXPECT_TRUE(IsIntegerIn(Json(10), 0, 10));
  EXPECT_FALSE(IsIntegerIn(Json(11), 0, 10));
  EXPECT_TRUE(IsIntegerIn(Json(1.0), 0, 10));
  EXPECT_FALSE(IsIntegerIn(Json(1.5), 0, 10));
  EXPECT_FALSE(IsIntegerIn(Json(11.0), 0, 10));
  EXPECT_FALSE(IsIntegerIn(Json(1e300), INT64_MIN, INT64_MAX));
  EXPECT_FALSE(IsIntegerIn(Json(UINT64_MAX), 0, INT64_MAX));  // not -1
  EXPECT_FALSE(IsIntegerIn(BigInteger("18446744073709551617"), 0, INT64_MAX));
  float out = 0;
  EXPECT_FALSE(ToFloat(Json(0), {0, 1, true}, &out));
  EXPECT_TRUE(ToFloat(Json(1e-300), {0, 1, true}, &out));  // above 0, and stays so
  EXPECT_EQ(out, std::numeric_limits<float>::min());
  EXPECT_FALSE(ToFloat(Json("1"), {0, 1}, &out));
}

}  // namespace
}  // namespace lockstep
