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
  Outcome Send(Result<PostReply> reply) {
    reply_ = std::move(reply);
    return collector_.Send([] { return std::string("{}"); });
  }
  Outcome Send(int status, std::string body = {}, int retry_after = 0) {
    return Send(PostReply{status, std::move(body), std::chrono::seconds(retry_after)});
  }

  Result<PostReply> reply_ = PostReply{};
  std::vector<std::string> warnings_;
  Collector collector_{"spans", "; again", "http://collector",
                       [this](const std::string&) { return reply_; },
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

TEST_F(CollectorTest, WhyItRefusesIsToldWhereItSaysSo) {
  Send(400, R"({"code": 3, "message": "parse span_id: at \n17"})");
  Send(400, R"({"message": "another reason"})");
  Send(502, "<html>Bad gateway</html>");
  EXPECT_THAT(warnings_,
              ElementsAre("spans do not reach http://collector: it answers 400: parse span_id: at "
                          "\\x0a17",
                          "spans do not reach http://collector: it answers 400: another reason",
                          "spans do not reach http://collector: it answers 502; again"));
}

TEST_F(CollectorTest, WhatItTakesInPartIsTakenAndToldOnce) {
  for (const char* count : {"\"2\"", "3"}) {
    const std::string body = R"({"partialSuccess": {"rejectedSpans": )" + std::string(count) +
                             R"(, "errorMessage": "too old"}})";
    EXPECT_EQ(Send(200, body), Outcome::kTaken);
    EXPECT_FALSE(collector_.in_trouble());
  }
  Send(200, R"({"partialSuccess": {"rejectedDataPoints": 4}})");
  Send(200, R"({"partialSuccess": {"rejectedSpans": "0", "errorMessage": "use gzip"}})");
  for (const char* fine : {"{}", R"({"partialSuccess": {}})", R"({"partialSuccess": null})", "",
                           R"({"partialSuccess": {"rejectedSpans": "0"}})", "no JSON", "[]"}) {
    EXPECT_EQ(Send(200, fine), Outcome::kTaken) << fine;
  }
  EXPECT_THAT(
      warnings_,
      ElementsAre("spans reach http://collector, which refuses 2 of them: too old",
                  "spans reach http://collector, which refuses 4 of them: it does not say why",
                  "spans reach http://collector, which remarks: use gzip"));
}

TEST_F(CollectorTest, WhenItAsksToBeTriedAgainIsKnown) {
  Send(429, "", 9);
  EXPECT_EQ(collector_.wait(), std::chrono::seconds(9));
  Send(503);
  EXPECT_EQ(collector_.wait(), std::chrono::seconds(0));
  Send(503, "", 1 << 30);
  EXPECT_EQ(collector_.wait(), std::chrono::hours(1));
  Send(400, "", 9);  // it is not tried again
  EXPECT_EQ(collector_.wait(), std::chrono::seconds(0));
}

TEST_F(CollectorTest, WithoutMemoryItIsTriedLater) {
  EXPECT_EQ(collector_.Send([]() -> std::string { throw std::bad_alloc(); }), Outcome::kAway);
  EXPECT_THAT(warnings_, ElementsAre("spans do not reach http://collector: std::bad_alloc; again"));
}

}  // namespace
}  // namespace lockstep
