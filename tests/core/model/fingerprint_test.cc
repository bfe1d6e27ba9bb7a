#include "core/model/fingerprint.h"

#include <gtest/gtest.h>

#include <array>
#include <string_view>

namespace lockstep {
namespace {

FilePart Part(std::string_view text) {
  return {{reinterpret_cast<const uint8_t*>(text.data()), text.size()}};
}

// SHA-256 of "abc", from FIPS 180-2.
TEST(FingerprintTest, IsTheVersionAndTheHashOfAllParts) {
  const std::string expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(Fingerprint(expected), "ls" + std::to_string(kNumericsVersion) + "-ba7816bf8f01cfea");
  const std::atomic<bool> stop{false};
  size_t done = 0;
  const auto count = [&](size_t bytes) { done += bytes; };
  const std::array whole = {Part("abc")};
  EXPECT_EQ(Sha256("x", whole, count, stop).value(), expected);
  const std::array parts = {Part("a"), Part(""), Part("bc")};
  EXPECT_EQ(Sha256("x", parts, count, stop).value(), expected);
  EXPECT_EQ(done, 6u);
}

TEST(FingerprintTest, StopsWhenItIsToldTo) {
  const std::atomic<bool> stop{true};
  size_t done = 0;
  const std::array whole = {Part("abc")};
  (void)Sha256(
      "x", whole, [&](size_t bytes) { done += bytes; }, stop);
  EXPECT_EQ(done, 0u);
}

}  // namespace
}  // namespace lockstep
