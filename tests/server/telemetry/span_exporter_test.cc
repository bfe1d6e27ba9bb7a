// A collector that answers, refuses, is away and comes back.
#include "server/telemetry/span_exporter.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SpanExporterTest : public testing::Test {
 protected:
  void Start(milliseconds batch = milliseconds(1)) {
    settings_.url = "http://collector/v1/traces";
    exporter_.emplace(
        settings_, "1", [this](const std::string& body) { return Take(body); },
        [this](const std::string& text) {
          const MutexLock lock(mutex_);
          warnings_.push_back(text);
        },
        SpanExporter::Pace{batch, milliseconds(1), milliseconds(4)});
  }
  static RequestRecord Record(std::string request_id) {
    RequestRecord record;
    record.request_id = std::move(request_id);
    record.method = "GET";
    record.route = "/";
    return record;
  }
  // The request ids of all that was taken, once there are so many.
  std::vector<std::string> Taken(size_t count) {
    const MutexLock lock(mutex_);
    while (taken_.size() < count) changed_.Wait(mutex_);
    return taken_;
  }
  void AnswerWith(Result<PostReply> reply) {
    const MutexLock lock(mutex_);
    reply_ = std::move(reply);
  }
  std::chrono::steady_clock::time_point tried() {
    const MutexLock lock(mutex_);
    return tried_;
  }
  void WaitForTries(size_t count) {
    const MutexLock lock(mutex_);
    while (tries_ < count) changed_.Wait(mutex_);
  }
  std::vector<std::string> warnings() {
    const MutexLock lock(mutex_);
    return warnings_;
  }

  OtlpSettings settings_;
  std::optional<SpanExporter> exporter_;
  std::vector<Json> spans_;  // once the exporter has ended

 private:
  Result<PostReply> Take(const std::string& body) {
    const MutexLock lock(mutex_);
    ++tries_;
    tried_ = std::chrono::steady_clock::now();
    if (reply_ && reply_->status == 200) {
      const Json json = *ParseStrictObject(body);
      for (const Json& span : json["resourceSpans"][0]["scopeSpans"][0]["spans"]) {
        spans_.push_back(span);
        for (const Json& attribute : span["attributes"]) {
          if (attribute["key"] == "lockstep.request.id")
            taken_.push_back(attribute["value"]["stringValue"]);
        }
      }
    }
    changed_.NotifyAll();
    return reply_;
  }

  Mutex mutex_;
  CondVar changed_;
  Result<PostReply> reply_ GUARDED_BY(mutex_) = PostReply{};
  std::chrono::steady_clock::time_point tried_ GUARDED_BY(mutex_);  // the last time
  std::vector<std::string> taken_ GUARDED_BY(mutex_), warnings_ GUARDED_BY(mutex_);
  size_t tries_ GUARDED_BY(mutex_) = 0;
};

TEST_F(SpanExporterTest, SendsWhatEnded) {
  Start();
  exporter_->Export(Record("a"));
  EXPECT_THAT(Taken(1), ElementsAre("a"));
  exporter_->Export(Record("b"));
  EXPECT_THAT(Taken(2), ElementsAre("a", "b"));
  EXPECT_THAT(warnings(), IsEmpty());
}

TEST_F(SpanExporterTest, SendsWhatIsLeftWhenItEnds) {
  Start(milliseconds(3'600'000));
  for (const char* id : {"a", "b"}) exporter_->Export(Record(id));
  exporter_.reset();
  EXPECT_THAT(Taken(2), ElementsAre("a", "b"));
}

TEST_F(SpanExporterTest, ATraceGoesOnAsItsCallerSays) {
  settings_.ratio = 0;
  Start();
  RequestRecord record = Record("traced");
  record.trace_id = std::string(32, 'a');
  record.span_id = std::string(16, 'b');
  RequestRecord untraced = record;
  untraced.request_id = "untraced";
  record.traced = true;
  exporter_->Export(untraced);
  exporter_->Export(Record("without"));
  RequestRecord control = record;
  control.control = true;
  exporter_->Export(control);
  exporter_->Export(record);
  exporter_.reset();
  EXPECT_THAT(Taken(1), ElementsAre("traced"));
  EXPECT_EQ(spans_[0]["traceId"], record.trace_id);
}

TEST_F(SpanExporterTest, WithoutACallerTheRatioDecides) {
  settings_.ratio = 0.25;
  Start();
  for (int i = 0; i < 1000; ++i) exporter_->Export(Record("x"));
  exporter_.reset();
  EXPECT_GT(spans_.size(), 150U);
  EXPECT_LT(spans_.size(), 350U);
  EXPECT_EQ(spans_[0]["traceId"].get<std::string>().size(), 32U);
  EXPECT_NE(spans_[0]["traceId"], spans_[1]["traceId"]);
}

TEST_F(SpanExporterTest, TriesAgainUntilTheCollectorIsBack) {
  AnswerWith(Fail(ErrorKind::kUnavailable, "Couldn't connect to server"));
  Start();
  exporter_->Export(Record("a"));
  WaitForTries(3);
  exporter_->Export(Record("b"));
  AnswerWith(PostReply{503});
  WaitForTries(6);
  AnswerWith(PostReply{200});
  EXPECT_THAT(Taken(2), ElementsAre("a", "b"));
  EXPECT_THAT(
      warnings(),
      ElementsAre(HasSubstr("traces do not reach http://collector/v1/traces: Couldn't connect"),
                  HasSubstr("it answers 503; it is tried again")));
}

TEST_F(SpanExporterTest, TheCollectorSaysWhenItIsTriedAgain) {
  AnswerWith(PostReply{429, "", std::chrono::seconds(1)});
  Start();
  exporter_->Export(Record("a"));
  WaitForTries(1);
  const auto first = tried();
  AnswerWith(PostReply{});
  EXPECT_THAT(Taken(1), ElementsAre("a"));
  EXPECT_GE(tried() - first, std::chrono::seconds(1));  // and not the millisecond of the pace
}

TEST_F(SpanExporterTest, WhatTheCollectorRefusesIsNotSentAgain) {
  AnswerWith(PostReply{400});
  Start();
  exporter_->Export(Record("a"));
  WaitForTries(1);
  AnswerWith(PostReply{200});
  exporter_->Export(Record("b"));
  EXPECT_THAT(Taken(1), ElementsAre("b"));
}

TEST_F(SpanExporterTest, ACollectorThatIsAwayCostsABoundedQueue) {
  AnswerWith(PostReply{503});
  Start(milliseconds(3'600'000));
  for (int i = 0; i < 5000; ++i) exporter_->Export(Record("x"));
  EXPECT_GE(exporter_->dropped(), 5000U - 2048U - 512U);
  exporter_.reset();  // does not hang
}

}  // namespace
}  // namespace lockstep
