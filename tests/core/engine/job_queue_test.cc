#include "core/engine/job_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace lockstep {
namespace {

std::unique_ptr<ActiveJob> NewJob(std::string client, std::string id, size_t tokens) {
  Job job;
  job.client = std::move(client);
  job.id = std::move(id);
  job.prompt.resize(tokens);
  return std::make_unique<ActiveJob>(std::move(job));
}

std::string Id(const std::unique_ptr<ActiveJob>& job) { return job ? job->id : ""; }

TEST(JobQueueTest, RefusesWhatIsTooMuchAndCountsTokens) {
  JobQueue queue(2, 100);
  EXPECT_EQ(Id(queue.Push(NewJob("a", "1", 60), 0)), "");
  EXPECT_EQ(Id(queue.Push(NewJob("a", "2", 41), 0)), "2");  // too many tokens
  EXPECT_EQ(Id(queue.Push(NewJob("a", "3", 40), 0)), "");
  EXPECT_EQ(queue.tokens(), 100u);
  EXPECT_EQ(Id(queue.Push(NewJob("a", "4", 0), 0)), "4");  // too many requests
  EXPECT_EQ(Id(queue.Push(NewJob("a", "5", 0), 1)), "");   // but one is about to go
  EXPECT_EQ(queue.size(), 3u);
}

TEST(JobQueueTest, ASingleLongPromptMayWait) {
  JobQueue queue(5, 100);
  EXPECT_EQ(Id(queue.Push(NewJob("a", "1", 1000), 0)), "");
  EXPECT_EQ(Id(queue.Push(NewJob("b", "2", 1), 0)), "2");
}

TEST(JobQueueTest, TheNewestOfTheBusiestClientMakesWay) {
  JobQueue queue(3, 100);
  for (const char* id : {"1", "2", "3"}) EXPECT_EQ(Id(queue.Push(NewJob("busy", id, 30), 0)), "");
  EXPECT_EQ(Id(queue.Push(NewJob("busy", "4", 1), 0)), "4");
  EXPECT_EQ(Id(queue.Push(NewJob("calm", "5", 50), 0)), "5");  // not even that would make room
  EXPECT_EQ(Id(queue.Push(NewJob("calm", "6", 40), 0)), "3");
  EXPECT_EQ(queue.tokens(), 100u);
  EXPECT_EQ(Id(queue.Push(NewJob("calm", "7", 1), 0)), "7");  // they have about the same
}

TEST(JobQueueTest, TheClientThatWasServedLeastIsNextAndItsOldestRequestFirst) {
  JobQueue queue(10, 100);
  FairShares shares;
  for (const char* client : {"a", "b"}) shares.Join(client);
  for (const char* id : {"a1", "a2", "b1", "b2"}) queue.Push(NewJob({id, 1}, id, 1), 0);
  EXPECT_EQ(Id(queue.Pop(shares)), "a1");
  shares.Charge("a", 5);
  EXPECT_EQ(Id(queue.Pop(shares)), "b1");
  shares.Charge("b", 6);
  EXPECT_EQ(Id(queue.Pop(shares)), "a2");
  EXPECT_EQ(Id(queue.Pop(shares)), "b2");
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.tokens(), 0u);
}

TEST(JobQueueTest, WhoWaitsForAFetchIsPassedBy) {
  std::atomic<size_t> held{0};
  const auto fetch = std::make_shared<PrefixFetch>(
      "", std::vector<int32_t>(16), 0, PrefixFetch::Clock::now() + std::chrono::hours(1), held);
  FairShares shares;
  shares.Join("a");
  JobQueue queue(5, 100);
  EXPECT_EQ(queue.Next(shares), nullptr);
  auto waits = NewJob("a", "1", 16);
  waits->fetch = fetch;
  queue.Push(std::move(waits), 0);
  queue.Push(NewJob("a", "2", 16), 0);
  EXPECT_EQ(queue.Next(shares)->id, "2");
  EXPECT_EQ(Id(queue.Pop(shares)), "2");
  EXPECT_EQ(queue.Next(shares), nullptr);
  EXPECT_EQ(queue.size(), 1u);
  fetch->Close();
  EXPECT_EQ(Id(queue.Pop(shares)), "1");
}

TEST(FairSharesTest, WhoComesLaterOrComesBackStartsLevelWithTheLeastServed) {
  FairShares shares;
  shares.Join("a");
  shares.Join("b");
  shares.Charge("a", 100);
  shares.Charge("b", 40);
  shares.Join("late");
  EXPECT_EQ(shares.Served("late"), 40);
  shares.Charge("late", 500);
  shares.Leave("late");
  shares.Join("late");  // leaving does not wipe out what was used
  EXPECT_EQ(shares.Served("late"), 540);
  shares.Leave("b");
  shares.Charge("a", 900);
  shares.Join("b");
  EXPECT_EQ(shares.Served("b"), 540);  // and nothing was saved up
  for (const char* client : {"a", "b", "late"}) shares.Leave(client);
  shares.Join("a");
  EXPECT_EQ(shares.Served("a"), 0);
}

}  // namespace
}  // namespace lockstep
