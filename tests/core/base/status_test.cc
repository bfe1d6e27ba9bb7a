#include "core/base/status.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <utility>

namespace lockstep {
namespace {

Result<std::unique_ptr<int>> Half(int number) {
  if (number % 2 != 0) return Fail(ErrorKind::kInvalidArgument, "odd", "number");
  return std::make_unique<int>(number / 2);
}

Status CheckEven(int number) {
  TRY_OK(Half(number));
  return {};
}

Result<int> Quarter(int number) {
  TRY(const std::unique_ptr<int> half, Half(number));
  std::unique_ptr<int> quarter;
  TRY(quarter, Half(*half));
  TRY_OK(CheckEven(number));
  return *quarter;
}

TEST(Try, PassesValuesOnThatCanOnlyBeMoved) { EXPECT_EQ(Quarter(8).value(), 2); }

TEST(Try, ReturnsTheErrorWithEverythingThatItSays) {
  for (const int number : {7, 6}) {  // fails at the first step, and at the second
    const Result<int> quarter = Quarter(number);
    ASSERT_FALSE(quarter) << number;
    EXPECT_EQ(quarter.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_EQ(quarter.error().message, "odd");
    EXPECT_EQ(quarter.error().param, "number");
  }
  EXPECT_TRUE(CheckEven(2));
  EXPECT_FALSE(CheckEven(3));
}

TEST(Try, StandsInsideAnother) {
  const auto nested = [](int number) -> Result<int> {
    TRY(const int quarter, [&]() -> Result<int> {
      TRY(const int inner, Quarter(number));
      return inner;
    }());
    return quarter;
  };
  EXPECT_EQ(nested(8).value(), 2);
  EXPECT_FALSE(nested(6));
}

Error ErrorOf(auto thrown) {
  try {
    throw thrown;
  } catch (...) {
    return CaughtError();
  }
}

TEST(CaughtError, IsWantOfMemoryOrOurOwnFault) {
  EXPECT_EQ(ErrorOf(std::bad_alloc()).kind, ErrorKind::kUnavailable);
  EXPECT_EQ(ErrorOf(std::runtime_error("x")).kind, ErrorKind::kInternal);
}

}  // namespace
}  // namespace lockstep
