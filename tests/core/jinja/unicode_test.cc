#include "core/jinja/unicode.h"

#include <gtest/gtest.h>

#include <utility>

namespace lockstep::jinja {
namespace {

// The wanted values are those of Python's str.
TEST(Unicode, ChangesTheCaseOfEveryScript) {
  const std::pair<const char*, const char*> kUpper[] = {
      {"aé1ß", "AÉ1SS"}, {"ﬁ", "FI"}, {"привет ωμέγα", "ПРИВЕТ ΩΜΈΓΑ"}};
  for (const auto& [text, upper] : kUpper) EXPECT_EQ(Upper(text), upper);
  EXPECT_EQ(Lower("ÀÉ ПРИВЕТ"), "àé привет");
  EXPECT_EQ(Lower("İ"), "i̇");
}

TEST(Unicode, KnowsKindsOfCharacters) {
  for (const uint32_t c : {0x20u, 0x0Au, 0x1Cu, 0x85u, 0xA0u, 0x2028u, 0x3000u})
    EXPECT_TRUE(IsSpace(c));
  for (const uint32_t c : {0x41u, 0x200Bu, 0x5Fu}) EXPECT_FALSE(IsSpace(c));
  for (const uint32_t c : {0x41u, 0xE9u, 0x4E2Du}) EXPECT_TRUE(IsAlpha(c));
  for (const uint32_t c : {0x31u, 0x5Fu, 0x20u}) EXPECT_FALSE(IsAlpha(c));
  EXPECT_TRUE(IsUpper(0xC9));
  EXPECT_FALSE(IsUpper(0xE9));
  EXPECT_TRUE(IsLower(0xE9));
  EXPECT_FALSE(IsLower(0x4E2D));
  for (const uint32_t c : {0x20u, 0x41u, 0xE9u, 0x1F600u}) EXPECT_TRUE(IsPrintable(c));
  for (const uint32_t c : {0x00u, 0x7Fu, 0xA0u, 0x200Bu, 0x2028u, 0xE000u, 0xFEFFu})
    EXPECT_FALSE(IsPrintable(c));
}

}  // namespace
}  // namespace lockstep::jinja
