#include "server/api/ollama/keep_alive.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

using std::chrono::milliseconds;

TEST(KeepAlive, NumbersAreSecondsAndTextsHaveUnits) {
  const std::pair<Json, milliseconds> cases[] = {
      {0, milliseconds(0)},          {90, milliseconds(90'000)},
      {0.5, milliseconds(500)},      {-1, milliseconds(-1)},
      {"0", milliseconds(0)},        {"0s", milliseconds(0)},
      {"5m", milliseconds(300'000)}, {"1h30m", milliseconds(5'400'000)},
      {"1.5s", milliseconds(1'500)}, {"250ms", milliseconds(250)},
      {"10us", milliseconds(1)},     {"-1", milliseconds(-1)},
      {"-5m", milliseconds(-1)},     {1e300, milliseconds(1'000'000'000'000)},
  };
  for (const auto& [value, time] : cases) EXPECT_EQ(ParseKeepAlive(value), time) << value;
}

TEST(KeepAlive, NothingWhereItIsNoTime) {
  for (const Json& value : {Json(true), Json(""), Json("-"), Json("m"), Json("5x"), Json("1s 2m"),
                            Json(std::string(300, '9') + "s"), Json::array()}) {
    EXPECT_EQ(ParseKeepAlive(value), std::nullopt) << value;
  }
}

}  // namespace
}  // namespace lockstep
