// The bytes are those that msgspec 0.22 writes of vLLM's structs with the same values.
#include "server/events/kv_event.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "core/base/digest.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

constexpr uint64_t kA = 0x8000000000000001, kB = 0xffeeddccbbaa9988;
constexpr double kTime = 1764204000.25;

KvEvent Stored(uint64_t hash, uint64_t parent, std::string scope = {}) {
  KvEvent event;
  event.kind = KvEvent::Kind::kStored;
  event.hash = hash;
  event.parent = parent;
  event.scope = std::move(scope);
  if (parent == 0) {
    std::iota(event.tokens.begin(), event.tokens.end(), 100);
  } else {
    event.tokens = {0, 127, 128, 255, 256, 65535, 65536, 151935, 7, 7, 7, 7, 7, 7, 7, 7};
  }
  return event;
}

KvEvent Removed(uint64_t hash) {
  KvEvent event;
  event.kind = KvEvent::Kind::kRemoved;
  event.hash = hash;
  return event;
}

std::string Batch(const std::vector<KvEvent>& events, bool several_keys = false) {
  return Hex(KvEventBatch(kTime, events, several_keys));
}

TEST(KvEvent, HasTheBytesOfVllm) {
  EXPECT_EQ(Batch({KvEvent{}}), "93cb41da49e7781000009191b0416c6c426c6f636b73436c656172656400");
  // The blocks of one text are one event.
  EXPECT_EQ(Batch({Stored(kA, 0), Stored(kB, kA)}),
            "93cb41da49e7781000009199ab426c6f636b53746f72656492cf8000000000000001cfffeeddccbbaa99"
            "88c0dc00206465666768696a6b6c6d6e6f70717273007fcc80ccffcd0100cdffffce00010000ce000251"
            "7f070707070707070710c0c0c0c000");
  EXPECT_EQ(Batch({Stored(kB, kA), Removed(kA), Removed(kB)}),
            "93cb41da49e7781000009299ab426c6f636b53746f72656491cfffeeddccbbaa9988cf80000000000000"
            "01dc0010007fcc80ccffcd0100cdffffce00010000ce0002517f070707070707070710c0c0c0c093ac42"
            "6c6f636b52656d6f76656492cf8000000000000001cfffeeddccbbaa9988c000");
}

TEST(KvEvent, HasTheSaltOfARequestWhereVllmHasIt) {
  const std::string salted =
      "93cb41da49e7781000009199ab426c6f636b53746f72656492cf8000000000000001cfffeeddccbbaa99"
      "88c0dc00206465666768696a6b6c6d6e6f70717273007fcc80ccffcd0100cdffffce00010000ce000251"
      "7f070707070707070710c0c0c09291a473616c74c000";
  EXPECT_EQ(Batch({Stored(kA, 0, std::string("\0salt", 5)), Stored(kB, kA)}), salted);
  // Of one key alone nothing is said.
  EXPECT_EQ(Batch({Stored(kA, 0, std::string("key\0salt", 8)), Stored(kB, kA)}), salted);
  EXPECT_EQ(Batch({Stored(kA, 0, "key"), Stored(kB, kA)}), Batch({Stored(kA, 0), Stored(kB, kA)}));
}

Json ExtraKeysOf(std::string scope) {
  const std::string batch = KvEventBatch(kTime, std::vector{Stored(kA, 0, std::move(scope))}, true);
  return Json::from_msgpack(batch)[1][0][8];
}

TEST(KvEvent, TellsKeysApartWithoutNamingThem) {
  const Json first = ExtraKeysOf("first"), second = ExtraKeysOf("second");
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(first[0].size(), 1u);
  EXPECT_EQ(first[0][0].get<std::string>().size(), 64u);
  EXPECT_NE(first, second);
  EXPECT_EQ(first.dump().find("first"), std::string::npos);
  const Json salted = ExtraKeysOf(std::string("first\0salt", 10));
  EXPECT_EQ(salted[0], Json::array({"salt", first[0][0]}));
  // Where keys are not kept apart, or there are none.
  EXPECT_EQ(ExtraKeysOf(""), Json());
  EXPECT_EQ(ExtraKeysOf(std::string("\0salt", 5)), Json::array({Json::array({"salt"})}));
}

TEST(KvEvent, TextsThatDoNotFollowEachOtherAreEventsOfTheirOwn) {
  const std::string batch =
      KvEventBatch(kTime, std::vector{Stored(kA, 0), Stored(kB, 0), Stored(kA, 5)}, false);
  const Json events = Json::from_msgpack(batch)[1];
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0][1], Json::array({kA}));
  EXPECT_EQ(events[1][2], Json());
  EXPECT_EQ(events[2][2], Json(5));
}

TEST(KvEvent, HashesAreNeverSmallNumbers) {
  BlockKey key{};
  EXPECT_EQ(KvEventHash(key), uint64_t{1} << 63);
  key[31] = 9;
  key[24] = 0x12;
  key[23] = 0xff;  // all but the last eight bytes are left out
  EXPECT_EQ(KvEventHash(key), 0x9200000000000009u);
}

TEST(KvEvent, NumbersHaveTheirHighestByteFirst) {
  EXPECT_EQ(Hex(KvEventNumber(0x0102)), "0000000000000102");
  EXPECT_EQ(Hex(KvEventNumber(~uint64_t{0})), "ffffffffffffffff");
}

}  // namespace
}  // namespace lockstep
