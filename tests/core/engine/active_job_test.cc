// When a job must end, and what its client is told, by a clock of the test's own.
#include "core/engine/active_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// Of 1 s for a session, 2 s to the first token and 5 s in all.
ActiveJob Limited() {
  Job job;
  job.prompt = {1, 2, 3};
  job.deadlines = {.queue = seconds(1), .first_token = seconds(2), .total = seconds(5)};
  return ActiveJob(std::move(job));
}

void ExpectExpires(const ActiveJob& job, milliseconds after, ErrorKind kind,
                   const std::string& says) {
  EXPECT_EQ(job.Expired(job.submitted + after), std::nullopt) << "not later than allowed";
  const auto error = job.Expired(job.submitted + after + milliseconds(1));
  ASSERT_TRUE(error.has_value()) << says;
  EXPECT_EQ(error->kind, kind);
  EXPECT_THAT(error->message, HasSubstr(says));
}

TEST(ActiveJob, WaitsForASessionSoLong) {
  ExpectExpires(Limited(), seconds(1), ErrorKind::kUnavailable,
                "no session became free within 1 s");
}

TEST(ActiveJob, HasItsFirstTokenInTime) {
  ActiveJob job = Limited();
  job.deadlines.queue = kNoDeadline;
  ExpectExpires(job, seconds(2), ErrorKind::kDeadlineExceeded, "there was no token after 2 s");
}

TEST(ActiveJob, EndsInAllBehindWhatWasSpentBefore) {
  ActiveJob job = Limited();
  job.deadlines.queue = kNoDeadline;
  job.first_token = job.submitted + seconds(1);  // so that this is waited for no more
  ExpectExpires(job, seconds(5), ErrorKind::kDeadlineExceeded,
                "the answer was not complete after 5 s");
  job.deadlines.spent = seconds(2);
  ExpectExpires(job, seconds(3), ErrorKind::kDeadlineExceeded,
                "the answer was not complete after 5 s");
}

TEST(ActiveJob, EndsAtOnceForWhomNobodyWaits) {
  const ActiveJob job = Limited();
  EXPECT_EQ(job.Expired(job.submitted), std::nullopt);
  *job.cancelled = true;
  const auto error = job.Expired(job.submitted + seconds(10));  // before all that is late, too
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->kind, ErrorKind::kCancelled);
}

TEST(ActiveJob, TellsWhatItTook) {
  ActiveJob job = Limited();
  EXPECT_EQ(job.stats().prompt_tokens, 3u);
  EXPECT_EQ(job.stats().prefill_s, 0);
  job.started = job.submitted + milliseconds(250);
  job.first_token = *job.started + milliseconds(500);
  job.last_token = *job.first_token + seconds(2);
  job.cached_tokens = 2, job.generated_tokens = 9;
  const JobStats stats = job.stats();
  EXPECT_DOUBLE_EQ(stats.queue_s, 0.25);
  EXPECT_DOUBLE_EQ(stats.prefill_s, 0.5);
  EXPECT_DOUBLE_EQ(stats.decode_s, 2);
  EXPECT_EQ(stats.cached_tokens, 2u);
  EXPECT_EQ(stats.generated_tokens, 9u);
}

TEST(ActiveJob, WhoIsTurnedAwayIsToldWhenToComeAgain) {
  EXPECT_EQ(ShuttingDown().kind, ErrorKind::kUnavailable);
  EXPECT_EQ(ShuttingDown().retry_after_s, 1);
  EXPECT_EQ(Displaced(7.5).kind, ErrorKind::kOverloaded);
  EXPECT_EQ(Displaced(7.5).retry_after_s, 7.5);
}

}  // namespace
}  // namespace lockstep
