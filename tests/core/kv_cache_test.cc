#include "core/kv_cache.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

namespace lockstep {
namespace {

ModelConfig SmallConfig() {
  ModelConfig c;
  c.layers = 3, c.heads = 4, c.kv_heads = 2, c.head_dim = 24;
  return c;
}

// A value that tells layer, head, position and dimension apart.
uint16_t Mark(size_t layer, size_t head, size_t position, size_t d, bool key) {
  return static_cast<uint16_t>(layer * 20011 + head * 7001 + position * 101 + d * 2 +
                               (key ? 1 : 0));
}

void Fill(KvCache& kv, size_t from, size_t to) {
  ASSERT_TRUE(kv.Append(to - from));
  std::vector<uint16_t> key(24), value(24);
  for (size_t layer = 0; layer < 3; ++layer) {
    for (size_t head = 0; head < 2; ++head) {
      for (size_t p = from; p < to; ++p) {
        for (size_t d = 0; d < 24; ++d) {
          key[d] = Mark(layer, head, p, d, true);
          value[d] = Mark(layer, head, p, d, false);
        }
        kv.Store(layer, head, p, key.data(), value.data());
      }
    }
  }
}

void ExpectFilled(const KvCache& kv, size_t n) {
  for (size_t layer = 0; layer < 3; ++layer) {
    for (size_t head = 0; head < 2; ++head) {
      for (size_t p = 0; p < n; ++p) {
        for (size_t d = 0; d < 24; ++d) {
          ASSERT_EQ(kv.Keys(layer, head)[(p / 16 * 24 + d) * 16 + p % 16],
                    Mark(layer, head, p, d, true));
          ASSERT_EQ(kv.Values(layer, head)[p * 24 + d], Mark(layer, head, p, d, false));
        }
      }
    }
  }
}

TEST(KvCacheTest, PositionsAreTrackedAndStoredWhereTheKernelsReadThem) {
  Result<KvCache> kv = KvCache::Create(SmallConfig(), 50);
  ASSERT_TRUE(kv);
  EXPECT_EQ(kv->length(), 0u);
  EXPECT_EQ(kv->context(), 50u);
  Fill(*kv, 0, 17);
  EXPECT_EQ(kv->length(), 17u);
  Fill(*kv, 17, 50);
  EXPECT_EQ(kv->length(), 50u);
  ExpectFilled(*kv, 50);
}

TEST(KvCacheTest, GoingPastTheContextIsAnErrorAndChangesNothing) {
  Result<KvCache> kv = KvCache::Create(SmallConfig(), 50);
  ASSERT_TRUE(kv);
  Fill(*kv, 0, 40);
  const Status status = kv->Append(11);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().kind, ErrorKind::kContextExceeded);
  EXPECT_NE(status.error().message.find("context of 50"), std::string::npos);
  EXPECT_FALSE(kv->Append(SIZE_MAX));
  EXPECT_EQ(kv->length(), 40u);
  ExpectFilled(*kv, 40);
}

TEST(KvCacheTest, TruncateKeepsThePrefix) {
  Result<KvCache> kv = KvCache::Create(SmallConfig(), 64);
  ASSERT_TRUE(kv);
  Fill(*kv, 0, 40);
  kv->Truncate(10);
  EXPECT_EQ(kv->length(), 10u);
  Fill(*kv, 10, 30);
  ExpectFilled(*kv, 30);
}

TEST(KvCacheTest, CopyPrefixFromMakesAnIndependentCopy) {
  Result<KvCache> a = KvCache::Create(SmallConfig(), 64), b = KvCache::Create(SmallConfig(), 32);
  ASSERT_TRUE(a && b);
  Fill(*a, 0, 60);
  b->CopyPrefixFrom(*a, 21);
  a->Reset();
  EXPECT_EQ(b->length(), 21u);
  ExpectFilled(*b, 21);
  Fill(*b, 21, 32);
  ExpectFilled(*b, 32);
}

TEST(KvCacheTest, ResetGivesTheMemoryBack) {
  ModelConfig config = SmallConfig();
  config.head_dim = 24;
  Result<KvCache> kv = KvCache::Create(config, 4096);
  ASSERT_TRUE(kv);
  Fill(*kv, 0, 4096);
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(kv->Keys(0, 0)) / page * page;
  const size_t pages = kv->reserved_bytes() / page;
  const auto resident = [&] {
    std::vector<unsigned char> in_core(pages);
    EXPECT_EQ(mincore(reinterpret_cast<void*>(start), pages * page, in_core.data()), 0);
    size_t n = 0;
    for (unsigned char c : in_core) n += c & 1;
    return n;
  };
  EXPECT_EQ(resident(), pages);
  kv->Reset();
  EXPECT_EQ(kv->length(), 0u);
  EXPECT_EQ(resident(), 0u);
  Fill(*kv, 0, 20);
  ExpectFilled(*kv, 20);
}

TEST(KvCacheTest, AnImpossibleSizeIsRefusedWithTheArithmetic) {
  ModelConfig config = SmallConfig();
  config.layers = 1 << 20;
  config.kv_heads = 1 << 10;
  const Result<KvCache> kv = KvCache::Create(config, size_t{1} << 27);
  ASSERT_FALSE(kv);
  EXPECT_EQ(kv.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(kv.error().message.find("1048576 layers"), std::string::npos) << kv.error().message;
}

TEST(KvCacheTest, MovingLeavesOneOwner) {
  Result<KvCache> a = KvCache::Create(SmallConfig(), 50);
  ASSERT_TRUE(a);
  Fill(*a, 0, 20);
  KvCache b = std::move(*a);
  ExpectFilled(b, 20);
  EXPECT_EQ(b.length(), 20u);
}

}  // namespace
}  // namespace lockstep
