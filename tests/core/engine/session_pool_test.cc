#include "core/engine/session_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "core/transformer/model_config.h"
#include "tests/support/tiny_model.h"

namespace lockstep {
namespace {

class SessionPoolTest : public testing::Test {
 protected:
  SessionPoolTest()
      : bytes_(TinyModel()),
        file_(GgufFile::Parse(bytes_, "tiny").value()),
        config_(ReadModelConfig(file_).value()),
        tokenizer_(Tokenizer::Create(file_).value()) {}

  std::unique_ptr<SessionPool> Pool(size_t sessions) {
    return SessionPool::Create(config_, tokenizer_, {.sessions = sessions, .context = 64}).value();
  }

  std::vector<uint8_t> bytes_;
  GgufFile file_;
  ModelConfig config_;
  Tokenizer tokenizer_;
};

TEST_F(SessionPoolTest, LeasesEachSessionOnce) {
  const auto pool = Pool(3);
  EXPECT_EQ(pool->size(), 3u);
  EXPECT_EQ(pool->context(), 64u);
  std::set<InferenceSession*> sessions;
  std::vector<SessionLease> leases;
  for (const char* id : {"a", "b", "c"}) {
    auto lease = pool->Acquire(id);
    ASSERT_TRUE(lease);
    sessions.insert(&**lease);
    leases.push_back(std::move(*lease));
  }
  EXPECT_EQ(sessions.size(), 3u);
  EXPECT_EQ(pool->available(), 0u);
  const auto fourth = pool->Acquire("d");
  ASSERT_FALSE(fourth);
  EXPECT_EQ(fourth.error().kind, ErrorKind::kOverloaded);
}

TEST_F(SessionPoolTest, AReturnedSessionIsEmptyAndFree) {
  const auto pool = Pool(1);
  {
    auto lease = pool->Acquire("a");
    ASSERT_TRUE(lease);
    ASSERT_TRUE((*lease)->Begin({1, 2, 3}, {}));
    ASSERT_TRUE((*lease)->NextEntry(2).kv->Append(2));
    EXPECT_EQ(pool->available(), 0u);
  }
  EXPECT_EQ(pool->available(), 1u);
  const auto again = pool->Acquire("a");  // the id is free as well
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->position(), 0u);
  EXPECT_TRUE((*again)->prompt().empty());
}

TEST_F(SessionPoolTest, AnIdHoldsOneSession) {
  const auto pool = Pool(2);
  const auto first = pool->Acquire("a");
  ASSERT_TRUE(first);
  const auto second = pool->Acquire("a");
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_THAT(second.error().message, testing::HasSubstr("'a'"));
  EXPECT_EQ(pool->available(), 1u);
}

TEST_F(SessionPoolTest, MovingALeaseMovesTheDuty) {
  const auto pool = Pool(2);
  SessionLease lease = std::move(*pool->Acquire("a"));
  SessionLease moved = std::move(lease);
  EXPECT_TRUE(moved);
  EXPECT_EQ(pool->available(), 1u);
  moved = std::move(*pool->Acquire("b"));  // gives a back
  EXPECT_EQ(pool->available(), 1u);
  EXPECT_TRUE(pool->Acquire("a"));
  moved = {};
  EXPECT_FALSE(moved);
  EXPECT_EQ(pool->available(), 2u);
}

TEST_F(SessionPoolTest, RefusesAContextThatMemoryCannotHold) {
  const auto pool = SessionPool::Create(config_, tokenizer_, {.context = size_t{1} << 45});
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().kind, ErrorKind::kUnavailable);
}

TEST_F(SessionPoolTest, ThreadsNeverShareASession) {
  const auto pool = Pool(3);
  std::atomic<int> taken{0}, clashes{0};
  const auto work = [&](int thread) {
    for (int i = 0; i < 300; ++i) {
      const auto lease = pool->Acquire(std::to_string(thread));
      if (!lease) {
        std::this_thread::yield();
        continue;
      }
      ++taken;
      clashes += (*lease)->position() != 0;
      if (!(*lease)->Begin({1, 2, 3}, {}) || !(*lease)->NextEntry(3).kv->Append(3)) ++clashes;
      clashes += (*lease)->position() != 3;
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(clashes, 0);
  EXPECT_GT(taken, 300);
  EXPECT_EQ(pool->available(), 3u);
}

}  // namespace
}  // namespace lockstep
