// A collector that answers, is away and comes back.
#include "server/telemetry/metric_exporter.h"

#include <gmock/gmock.h>

#include <optional>
#include <vector>

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class MetricExporterTest : public testing::Test {
 protected:
  void Start(milliseconds interval) {
    OtlpSettings settings;
    settings.url = "http://collector/v1/metrics";
    settings.interval = interval;
    exporter_.emplace(
        settings, [this] { return std::to_string(++made_); },
        [this](const std::string& body) -> Result<PostReply> {
          const MutexLock lock(mutex_);
          bodies_.push_back(body);
          changed_.NotifyAll();
          tried_ = std::chrono::steady_clock::now();
          return reply_;
        },
        [this](const std::string& text) {
          const MutexLock lock(mutex_);
          warnings_.push_back(text);
        });
  }
  void AnswerWith(Result<PostReply> reply) {
    const MutexLock lock(mutex_);
    reply_ = std::move(reply);
  }
  std::chrono::steady_clock::time_point tried() {
    const MutexLock lock(mutex_);
    return tried_;
  }
  // Waits for so many more.
  void WaitForTries(size_t count) {
    const MutexLock lock(mutex_);
    const size_t enough = bodies_.size() + count;
    while (bodies_.size() < enough) changed_.Wait(mutex_);
  }

  std::optional<MetricExporter> exporter_;
  std::vector<std::string> bodies_, warnings_;  // read once the exporter has ended

 private:
  int made_ = 0;
  Mutex mutex_;
  CondVar changed_;
  Result<PostReply> reply_ GUARDED_BY(mutex_) = PostReply{};
  std::chrono::steady_clock::time_point tried_ GUARDED_BY(mutex_);  // the last time
};

TEST_F(MetricExporterTest, SendsWhatIsMadeAtEachInterval) {
  Start(milliseconds(1));
  WaitForTries(3);
  exporter_.reset();
  ASSERT_GE(bodies_.size(), 3U);
  for (size_t i = 0; i < bodies_.size(); ++i) EXPECT_EQ(bodies_[i], std::to_string(i + 1));
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(MetricExporterTest, SendsTheLastNumbersWhenItEnds) {
  Start(milliseconds(3'600'000));
  exporter_.reset();
  EXPECT_THAT(bodies_, ElementsAre("1"));
}

TEST_F(MetricExporterTest, ACollectorThatIsAwayIsToldOfOnceAndAskedAgain) {
  AnswerWith(Fail(ErrorKind::kUnavailable, "Couldn't connect to server"));
  Start(milliseconds(1));
  WaitForTries(3);
  AnswerWith(PostReply{404});
  WaitForTries(3);
  AnswerWith(PostReply{200});
  WaitForTries(3);
  exporter_.reset();
  EXPECT_THAT(
      warnings_,
      ElementsAre(HasSubstr("metrics do not reach http://collector/v1/metrics: Couldn't connect"),
                  HasSubstr("it answers 404")));
}

TEST_F(MetricExporterTest, NothingMoreIsTriedAtTheEndWhereTheCollectorWasAway) {
  AnswerWith(PostReply{503});
  Start(milliseconds(200));
  WaitForTries(1);
  exporter_.reset();
  EXPECT_THAT(bodies_, ElementsAre("1"));
}

TEST_F(MetricExporterTest, TheCollectorSaysWhenItIsTriedAgain) {
  AnswerWith(PostReply{429, "", std::chrono::seconds(1)});
  Start(milliseconds(100));
  WaitForTries(1);
  const auto first = tried();
  AnswerWith(PostReply{});
  WaitForTries(1);
  EXPECT_GE(tried() - first, std::chrono::seconds(1));
  exporter_.reset();
}

TEST_F(MetricExporterTest, WhatThrowsIsTrouble) {
  OtlpSettings settings;
  settings.url = "http://collector";
  settings.interval = milliseconds(3'600'000);
  const auto warn = [this](const std::string& text) { warnings_.push_back(text); };
  exporter_.emplace(
      settings, []() -> std::string { throw std::bad_alloc(); },
      [](const std::string&) -> Result<PostReply> { return PostReply{}; }, warn);
  exporter_.reset();
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("metrics do not reach http://collector: ")));
}

}  // namespace
}  // namespace lockstep
