// A scheduler that starts with an archive which another one has filled answers with the same bits
// as one that computes, whatever the archive does.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/prefix_archiver.h"
#include "tests/support/memory_archive.h"
#include "tests/support/random.h"
#include "tests/support/scheduler_fixture.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;

class SchedulerArchiveTest : public SchedulerTest {
 protected:
  explicit SchedulerArchiveTest(const TinyModelOptions& model = {}) : SchedulerTest(model, 256) {}
  ~SchedulerArchiveTest() override {
    archive_.hangs = false;
    scheduler_.reset();
    prefixes_.reset();
  }

  // A new process: nothing is in memory. What the one before has not written yet it writes.
  void Restart(SchedulerOptions options = {}, const std::string& fingerprint = "ls3-0",
               size_t sessions = 4, size_t prefix_bytes = 4 << 20) {
    scheduler_.reset();
    archiver_.reset();
    const size_t block =
        PrefixStore::kBlock * KvCache::BytesPerPosition(transformer_->config(), KvType::kF16);
    archiver_ = std::make_unique<PrefixArchiver>(
        archive_, PrefixArchiverOptions{.fingerprint = fingerprint, .payload_bytes = block});
    prefixes_ = PrefixStore::Create(transformer_->config(), prefix_bytes).value();
    prefixes_->ArchiveBy(*archiver_);
    options.prefixes = prefixes_.get();
    options.archiver = archiver_.get();
    options.assumed_token_s = patience_s_;
    Start(sessions, options);
  }

  // Beginnings of a few texts, with tokens of their own, and every kind of sampling.
  std::vector<Job> Jobs(size_t n) {
    std::vector<Job> jobs = Mixed(n);
    for (size_t i = 0; i < n; ++i) {
      const Job text = Request("", 200 + i % 3, 1);
      std::vector<int32_t> prompt(text.prompt.begin(),
                                  text.prompt.begin() + 20 + static_cast<ptrdiff_t>(i * 37 % 180));
      prompt.insert(prompt.end(), jobs[i].prompt.begin(), jobs[i].prompt.begin() + 1);
      jobs[i].prompt = std::move(prompt);
      jobs[i].options.stop.clear();
    }
    return jobs;
  }

  double patience_s_ = 10;  // for each token
  MemoryArchive archive_;
  std::unique_ptr<PrefixArchiver> archiver_;
};

TEST_F(SchedulerArchiveTest, AfterARestartAPromptComesFromTheArchiveWithTheSameBits) {
  Restart();
  const Job job = Request("a", 200, 20);
  const Answer cold = MustSubmit(job)->Wait();
  EXPECT_EQ(cold, Alone(job));
  for (const size_t chunk : {512, 7, 64}) {
    Restart({.prefill_tokens = chunk});
    auto warm = MustSubmit(job);
    EXPECT_EQ(warm->Wait(), cold);
    EXPECT_EQ(warm->stats().cached_tokens, 192u);
    EXPECT_EQ(archiver_->stats().hits, 12u);
  }
  // The whole blocks of the prompt and of the answer, whose last token was never read.
  EXPECT_EQ(archive_.size(), (200u + 19) / 16);
}

TEST_F(SchedulerArchiveTest, AMixOfWarmAndColdRequestsGetsWhatEachGetsAlone) {
  const std::vector<Job> jobs = Jobs(24);
  std::vector<Answer> alone;
  for (const Job& job : jobs) alone.push_back(Alone(job));
  size_t cached = 0;
  Random random(11);
  for (int round = 0; round < 12; ++round) {
    Restart({.prefill_tokens = 1 + random.Below(80)}, "ls3-0", 1 + random.Below(6));
    std::vector<std::shared_ptr<Recorder>> recorders;
    std::vector<size_t> kinds;
    for (size_t i = 0; i < 8; ++i) {
      kinds.push_back(random.Below(jobs.size()));
      Job job = jobs[kinds.back()];
      job.id = std::to_string(i);
      recorders.push_back(MustSubmit(std::move(job)));
    }
    for (size_t i = 0; i < kinds.size(); ++i) {
      EXPECT_EQ(recorders[i]->Wait(), alone[kinds[i]]) << round << ' ' << i;
      cached += recorders[i]->stats().cached_tokens;
    }
    if (round == 6) {  // every third block lies from now on
      size_t n = 0;
      archive_.ForEach([&](std::vector<uint8_t>& bytes) {
        if (n++ % 3 == 0) bytes[random.Below(bytes.size())] ^= 1 << random.Below(8);
      });
    }
  }
  EXPECT_GT(cached, 3000u);
}

TEST_F(SchedulerArchiveTest, ScopesAndModelsKnowNothingOfEachOther) {
  Restart();
  Job job = Request("a", 100, 3);
  job.prefix_scope = "one";
  MustSubmit(job)->Wait();
  Restart();
  job.prefix_scope = "two";
  auto other = MustSubmit(job);
  other->Wait();
  EXPECT_EQ(other->stats().cached_tokens, 0u);
  Restart({}, "ls3-1");
  job.prefix_scope = "one";
  auto elsewhere = MustSubmit(job);
  elsewhere->Wait();
  EXPECT_EQ(elsewhere->stats().cached_tokens, 0u);
  Restart();
  auto same = MustSubmit(job);
  same->Wait();
  EXPECT_EQ(same->stats().cached_tokens, 96u);
}

TEST_F(SchedulerArchiveTest, WhatMemoryHasIsNotFetched) {
  Restart();
  const Job job = Request("a", 100, 3);
  MustSubmit(job)->Wait();
  const size_t gets = archive_.gets;
  auto again = MustSubmit(job);
  again->Wait();
  EXPECT_EQ(again->stats().cached_tokens, 96u);
  EXPECT_EQ(archive_.gets, gets);
}

// One that goes to the end of the deadline holds up neither who has a session nor who needs
// nothing.
TEST_F(SchedulerArchiveTest, AHangingArchiveDelaysTheOneThatWaitsAndNobodyElse) {
  patience_s_ = 0.05;  // 96 tokens wait for 5 seconds, or until steps have been measured
  Restart();
  const Job slow = Request("slow", 100, 3);
  archive_.hangs = true;
  auto first = MustSubmit(slow);
  while (archive_.gets == 0) std::this_thread::yield();
  const Job quick = Request("quick", 10, 5);  // no whole block: nothing to ask for
  EXPECT_EQ(MustSubmit(quick)->Wait(), Alone(quick));
  EXPECT_EQ(first->count(), 0u);
  EXPECT_EQ(first->Wait(), Alone(slow));
  EXPECT_EQ(first->stats().cached_tokens, 0u);
  const Job later = Request("later", 90, 3);
  EXPECT_EQ(MustSubmit(later)->Wait(), Alone(later));
  EXPECT_EQ(archive_.gets, 1u);
  archive_.hangs = false;
}

TEST_F(SchedulerArchiveTest, ACancelledRequestLeavesTheQueueWhileItIsFetchedFor) {
  Restart({}, "ls3-0", 1);
  archive_.hangs = true;
  const Job slow = Request("slow", 100, 3);
  auto recorder = MustSubmit(slow);
  while (archive_.gets == 0) std::this_thread::yield();
  *slow.cancelled = true;
  const Answer& cut = recorder->Wait();
  ASSERT_TRUE(cut.error);
  EXPECT_EQ(cut.error->kind, ErrorKind::kCancelled);
  const Job next = Request("next", 100, 3);  // the only session is free again
  EXPECT_EQ(MustSubmit(next)->Wait(), Alone(next));
  archive_.hangs = false;
}

TEST_F(SchedulerArchiveTest, AFailingArchiveIsNoErrorOfAnyRequest) {
  Restart();
  archive_.fails = true;
  for (size_t i = 0; i < 4; ++i) {
    const Job job = Request(std::to_string(i), 60 + i, 3);
    EXPECT_EQ(MustSubmit(job)->Wait(), Alone(job));
  }
  EXPECT_GE(scheduler_->state().archive->errors, 1u);
}

// With less room in memory than a prompt takes, as much comes as fits.
TEST_F(SchedulerArchiveTest, ASmallPrefixStoreTakesTheBeginning) {
  Restart();
  const Job job = Request("a", 200, 3);
  const Answer cold = MustSubmit(job)->Wait();
  const size_t block = prefixes_->block_bytes();
  Restart({}, "ls3-0", 2, 5 * block);
  auto warm = MustSubmit(job);
  EXPECT_EQ(warm->Wait(), cold);
  EXPECT_EQ(warm->stats().cached_tokens, 5 * 16u);
}

}  // namespace
}  // namespace lockstep
