#include "core/jinja/value.h"

#include <gtest/gtest.h>

namespace lockstep::jinja {
namespace {

std::string Hash(const Value& value) {
  std::string out;
  return HashKey(value, &out) ? out : "none";
}

TEST(Value, KnowsItsPythonType) {
  const std::pair<Value, const char*> cases[] = {
      {Value(), "Undefined"},
      {Value::Null(), "NoneType"},
      {Value::Bool(true), "bool"},
      {Value::Int(1), "int"},
      {Value::Integer("99999999999999999999"), "int"},
      {Value::Float(1), "float"},
      {Value::String("a"), "str"},
      {Value::List({}), "list"},
      {MakeList({}, List::Kind::kTuple), "tuple"},
      {Value::Dict({}), "dict"},
  };
  for (const auto& [value, want] : cases) EXPECT_EQ(value.TypeName(), want);
}

TEST(Value, IsTrueAsInPython) {
  const Value no[] = {Value(),         Value::Null(),     Value::Bool(false), Value::Int(0),
                      Value::Float(0), Value::String(""), Value::List({}),    Value::Dict({})};
  const Value yes[] = {Value::Bool(true),      Value::Int(-1),
                       Value::Float(0.5),      Value::String("0"),
                       Value::List({Value()}), Value::Integer("-99999999999999999999")};
  for (const Value& value : no) EXPECT_FALSE(value.Truth()) << value.TypeName();
  for (const Value& value : yes) EXPECT_TRUE(value.Truth()) << value.TypeName();
}

TEST(Value, AnIntegerIsSmallWhereItFits) {
  EXPECT_EQ(*Value::Integer("-9223372036854775808").As<int64_t>(), INT64_MIN);
  EXPECT_EQ(*Value::Integer("-0").As<int64_t>(), 0);
  EXPECT_FALSE(Value::Integer("9223372036854775808").IsInt64());
  EXPECT_EQ(Value::Integer("-000099999999999999999999").Digits(), "-99999999999999999999");
  EXPECT_EQ(Value::Integer("99999999999999999999").Number(), 1e20);
  EXPECT_EQ(Value::Bool(true).Digits(), "1");
}

TEST(Value, EqualKeysHaveOneHash) {
  EXPECT_EQ(Hash(Value::Int(1)), Hash(Value::Float(1)));
  EXPECT_EQ(Hash(Value::Int(1)), Hash(Value::Bool(true)));
  EXPECT_EQ(Hash(Value::Float(-0.0)), Hash(Value::Int(0)));
  EXPECT_EQ(Hash(Value::Float(1e20)), Hash(Value::Integer("100000000000000000000")));
  EXPECT_NE(Hash(Value::Int(1)), Hash(Value::String("1")));
  EXPECT_NE(Hash(Value::Float(1.5)), Hash(Value::Int(1)));
  EXPECT_EQ(Hash(MakeList({Value::Int(1)}, List::Kind::kTuple)),
            Hash(MakeList({Value::Float(1)}, List::Kind::kTuple)));
  EXPECT_EQ(Hash(Value::List({})), "none");
  EXPECT_EQ(Hash(Value::Dict({})), "none");
}

TEST(Value, OfOneKeyTheLaterEntryWins) {
  const Value dict =
      Value::Dict({{"a", Value::Int(1)}, {"b", Value::Int(2)}, {"a", Value::Int(3)}});
  ASSERT_EQ(dict.AsDict()->entries.size(), 2u);
  EXPECT_EQ(dict.AsDict()->entries[0].second.Int64(), 3);
  EXPECT_EQ(dict.AsDict()->Find("b")->Int64(), 2);
  EXPECT_EQ(dict.AsDict()->Find("c"), nullptr);
}

TEST(Value, DepthAndTrustAreThoseOfItsParts) {
  EXPECT_EQ(Value::Int(1).Depth(), 0u);
  const Value nested = Value::List({Value::List({Value::TrustedString("a")}), Value::Int(1)});
  EXPECT_EQ(nested.Depth(), 2u);
  EXPECT_TRUE(nested.AllTrusted());
  EXPECT_FALSE(Value::List({nested, Value::String("b")}).AllTrusted());
  EXPECT_FALSE(Value::Dict({{"key", Value::Int(1)}}).AllTrusted());  // keys are a client's, too
}

}  // namespace
}  // namespace lockstep::jinja
