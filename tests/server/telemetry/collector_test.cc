// What is said of a collector that takes, refuses, is away and comes back.
#include "server/telemetry/collector.h"

#include <gmock/gmock.h>

#include <new>
#include <vector>

namespace lockstep {
namespace {

using Outcome = Collector::Outcome;
using testing::ElementsAre;
using testing::IsEmpty;

class CollectorTest : public testing::Test {
 protected:
  Outcome Send(Result<int> status) {
    status_ = std::move(status);
    return collector_.Send([] { return std::string("{}"); });
  }

  Result<int> status_ = 200;
  std::vector<std::string> warnings_;
  Collector collector_{"spans", "; again", "http://collector",
                       [this](const std::string&) { return status_; },
                       [this](const std::string& text) { warnings_.push_back(text); }};
};

TEST_F(CollectorTest, WhatMayPassIsToldFromWhatMayNot) {
  EXPECT_EQ(Send(200), Outcome::kTaken);
  EXPECT_EQ(Send(204), Outcome::kTaken);
  EXPECT_FALSE(collector_.in_trouble());
  EXPECT_THAT(warnings_, IsEmpty());
  for (const int status : {429, 502, 503, 504}) EXPECT_EQ(Send(status), Outcome::kAway) << status;
  for (const int status : {300, 400, 401, 404, 500}) {
    EXPECT_EQ(Send(status), Outcome::kRefused) << status;
  }
  EXPECT_EQ(Send(Fail(ErrorKind::kUnavailable, "no route")), Outcome::kAway);
  EXPECT_TRUE(collector_.in_trouble());
}

TEST_F(CollectorTest, TheSameTroubleIsToldOnceUntilItIsOver) {
  for (int i = 0; i < 3; ++i) Send(503);
  for (int i = 0; i < 3; ++i) Send(401);
  Send(200);
  Send(401);
  EXPECT_THAT(warnings_, ElementsAre("spans do not reach http://collector: it answers 503; again",
                                     "spans do not reach http://collector: it answers 401",
                                     "spans do not reach http://collector: it answers 401"));
}

TEST_F(CollectorTest, WithoutMemoryItIsTriedLater) {
  EXPECT_EQ(collector_.Send([]() -> std::string { throw std::bad_alloc(); }), Outcome::kAway);
  EXPECT_THAT(warnings_, ElementsAre("spans do not reach http://collector: std::bad_alloc; again"));
}

}  // namespace
}  // namespace lockstep
