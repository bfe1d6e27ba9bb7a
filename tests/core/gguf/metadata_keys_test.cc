#include "core/gguf/metadata_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/gguf_builder.h"

namespace lockstep {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class MetadataKeysTest : public testing::Test {
 protected:
  MetadataKeysTest() {
    builder_.SetU32("x.layers", 7);
    builder_.SetF32("x.scale", 0.5f);
    builder_.SetF32("x.nan", std::numeric_limits<float>::quiet_NaN());
    builder_.SetBool("x.flag", true);
    builder_.SetString("x.text", "abc");
    bytes_ = builder_.Build();
    file_ = GgufFile::Parse(bytes_, "keys.gguf").value();
  }

  // The first error of what `read` reads; empty if there is none.
  std::string ErrorOf(void (*read)(MetadataKeys& keys)) const {
    MetadataKeys keys(file_, "x");
    read(keys);
    return keys.status() ? "" : keys.status().error().message;
  }

  GgufBuilder builder_;
  std::vector<uint8_t> bytes_;
  GgufFile file_;
};

TEST_F(MetadataKeysTest, ReadsByTheArchitecturesPrefix) {
  MetadataKeys keys(file_, "x");
  EXPECT_EQ(keys.NeedSize("layers", 1, 7), 7u);
  EXPECT_EQ(keys.NeedNumber("scale", 0, 1), 0.5);
  EXPECT_TRUE(keys.NeedFlag("flag"));
  EXPECT_EQ(keys.Text("text"), "abc");
  EXPECT_EQ(keys.Size("none", 1, 7), std::nullopt);
  EXPECT_EQ(keys.Number("none", 0, 1), std::nullopt);
  EXPECT_EQ(keys.Flag("none"), std::nullopt);
  EXPECT_TRUE(keys.status());
}

TEST_F(MetadataKeysTest, WhatIsOnlyToldMayBeOfAnyType) {
  EXPECT_EQ(ToldText(file_, "x.text"), "abc");
  EXPECT_EQ(ToldText(file_, "x.layers"), "");
  EXPECT_EQ(ToldText(file_, "x.none"), "");
}

TEST_F(MetadataKeysTest, NamesKeyValueAndBounds) {
  EXPECT_THAT(ErrorOf([](MetadataKeys& keys) { keys.Size("layers", 8, 9); }),
              AllOf(HasSubstr("keys.gguf: "), HasSubstr("x.layers is 7, but must be 8 to 9")));
  EXPECT_THAT(ErrorOf([](MetadataKeys& keys) { keys.Number("scale", 1, 2); }),
              HasSubstr("x.scale is 0.5, but must be 1 to 2"));
  EXPECT_THAT(ErrorOf([](MetadataKeys& keys) { keys.Number("nan", -1e30, 1e30); }),
              HasSubstr("x.nan is nan"));
  EXPECT_THAT(ErrorOf([](MetadataKeys& keys) { keys.Size("text", 1, 2); }),
              HasSubstr("\"x.text\" is of type string, but must be an integer"));
}

TEST_F(MetadataKeysTest, KeepsTheFirstErrorAndGoesOn) {
  EXPECT_THAT(ErrorOf([](MetadataKeys& keys) {
                EXPECT_EQ(keys.NeedSize("absent", 3, 9), 3u);
                EXPECT_FALSE(keys.NeedFlag("other"));
                EXPECT_EQ(keys.NeedSize("layers", 1, 9), 7u);
              }),
              AllOf(HasSubstr("x.absent is missing"), Not(HasSubstr("other"))));
}

}  // namespace
}  // namespace lockstep
