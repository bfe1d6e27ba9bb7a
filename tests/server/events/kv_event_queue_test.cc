#include "server/events/kv_event_queue.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <array>

namespace lockstep {
namespace {

using Kind = KvEvent::Kind;

BlockKey Key(uint8_t last) {
  BlockKey key{};
  key[31] = last;
  return key;
}

bool IsAwake(const KvEventQueue& queue) {
  pollfd item{queue.wake(), POLLIN, 0};
  return poll(&item, 1, 0) == 1;
}

TEST(KvEventQueue, GivesWhatItIsToldInOrder) {
  const auto queue = KvEventQueue::Create().value();
  EXPECT_FALSE(IsAwake(*queue));
  std::array<int32_t, PrefixStore::kBlock> tokens{};
  tokens[3] = 7;
  const BlockKey first = Key(1), second = Key(2);
  queue->OnStored({first, nullptr, tokens, "scope"});
  queue->OnStored({second, &first, tokens, "scope"});
  queue->OnRemoved(first);
  EXPECT_TRUE(IsAwake(*queue));
  std::vector<KvEvent> events;
  EXPECT_EQ(queue->Take(events), 0u);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].kind, Kind::kStored);
  EXPECT_EQ(events[0].hash, KvEventHash(first));
  EXPECT_EQ(events[0].parent, 0u);
  EXPECT_EQ(events[0].tokens, tokens);
  EXPECT_EQ(events[0].scope, "scope");
  EXPECT_EQ(events[1].parent, events[0].hash);
  EXPECT_EQ(events[1].scope, "");
  EXPECT_EQ(events[2].kind, Kind::kRemoved);
  EXPECT_EQ(events[2].hash, events[0].hash);

  EXPECT_FALSE(IsAwake(*queue));
  queue->Take(events);
  EXPECT_TRUE(events.empty());
  queue->OnRemoved(second);
  EXPECT_TRUE(IsAwake(*queue));
}

TEST(KvEventQueue, ForgetsAllRatherThanSomeWhereThereIsNoRoom) {
  const auto queue = KvEventQueue::Create(4).value();
  for (uint8_t i = 0; i < 5; ++i) queue->OnRemoved(Key(i));
  std::vector<KvEvent> events;
  EXPECT_EQ(queue->Take(events), 4u);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, Kind::kCleared);
  EXPECT_EQ(events[1].hash, KvEventHash(Key(4)));
  EXPECT_EQ(queue->Take(events), 0u);
  EXPECT_TRUE(events.empty());
  EXPECT_LE(events.capacity(), 4u);
}

TEST(KvEventQueue, CanBeClearedAndWoken) {
  const auto queue = KvEventQueue::Create().value();
  queue->OnRemoved(Key(1));
  queue->Clear();
  std::vector<KvEvent> events;
  EXPECT_EQ(queue->Take(events), 1u);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, Kind::kCleared);
  queue->Wake();
  EXPECT_TRUE(IsAwake(*queue));
}

}  // namespace
}  // namespace lockstep
