// Keys and values that are rounded to integers: how much of them comes back, of each type.
#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "core/kernels/half.h"
#include "core/transformer/kv_cache.h"
#include "tests/core/transformer/small_kv_cache.h"

namespace lockstep {
namespace {

// Q8_0: what comes back is within half a step of the block's scale, for every position and through
// a copied prefix; and it takes little more than half the memory.
TEST(KvCacheTypesTest, Q8_0StoresBytesAndScales) {
  const ModelConfig config = SmallConfig(64);
  KvCache kv = KvCache::Create(config, 50, KvType::kQ8_0).value();
  const KvCache half = KvCache::Create(config, 50).value();
  EXPECT_EQ(kv.reserved_bytes() * 32, half.reserved_bytes() * 17);
  ASSERT_TRUE(kv.Append(40));
  const auto value = [](size_t layer, size_t head, size_t p, size_t d, bool key) {
    return (Mark(layer, head, p, d, key) - 1000) * 0.01f;
  };
  std::vector<float> key(64), val(64);
  for (size_t p = 0; p < 40; ++p) {
    for (size_t d = 0; d < 64; ++d)
      key[d] = value(2, 1, p, d, true), val[d] = value(2, 1, p, d, false);
    kv.Store(ScalarKernels(), 2, 1, p, key.data(), val.data());
  }
  KvCache copy = KvCache::Create(config, 50, KvType::kQ8_0).value();
  copy.CopyPrefixFrom(kv, 39);
  for (const KvCache* cache : {&kv, &copy}) {
    const KvBlock v = cache->Block(2, 1, 0);
    for (size_t p = 0; p < 39; ++p) {
      for (size_t d = 0; d < 64; ++d) {
        const auto* keys = static_cast<const int8_t*>(v.keys);
        const auto* values = static_cast<const int8_t*>(v.values);
        const float key_scale = HalfToFloat(v.key_scales[(p / 16 * 2 + d / 32) * 16 + p % 16]);
        const float value_scale = HalfToFloat(v.value_scales[p * 2 + d / 32]);
        // Half a step of rounding, and 127 steps of the scale's own rounding to a half.
        EXPECT_NEAR(keys[(p / 16 * 64 + d) * 16 + p % 16] * key_scale, value(2, 1, p, d, true),
                    key_scale * (0.5 + 127 / 2048.0));
        EXPECT_NEAR(values[p * 64 + d] * value_scale, value(2, 1, p, d, false),
                    value_scale * (0.5 + 127 / 2048.0));
      }
    }
  }
}

// Q4_0: within a step of the block's scale, and what is largest within the scale's own rounding;
// and in a quarter of the memory, and a bit.
TEST(KvCacheTypesTest, Q4_0StoresHalvesOfBytesAndScales) {
  const ModelConfig config = SmallConfig(64);
  KvCache kv = KvCache::Create(config, 50, KvType::kQ4_0).value();
  EXPECT_EQ(kv.reserved_bytes() * 32, KvCache::Create(config, 50).value().reserved_bytes() * 9);
  ASSERT_TRUE(kv.Append(40));
  const auto value = [](size_t p, size_t d, bool key) {
    return std::sin(static_cast<float>(p * 64 + d * 7 + (key ? 1 : 0))) * static_cast<float>(p + 1);
  };
  std::vector<float> key(64), val(64);
  for (size_t p = 40; p-- > 0;) {  // the order is nothing to it
    for (size_t d = 0; d < 64; ++d) key[d] = value(p, d, true), val[d] = value(p, d, false);
    kv.Store(ScalarKernels(), 2, 1, p, key.data(), val.data());
  }
  KvCache copy = KvCache::Create(config, 50, KvType::kQ4_0).value();
  copy.CopyPrefixFrom(kv, 39);
  for (const KvCache* cache : {&kv, &copy}) {
    const KvBlock v = cache->Block(2, 1, 0);
    const auto integer = [](const void* bytes, size_t i, bool upper) {
      const int both = static_cast<const uint8_t*>(bytes)[i];
      return static_cast<float>((upper ? both >> 4 : both & 15) - 8);
    };
    for (size_t p = 0; p < 39; ++p) {
      for (size_t d = 0; d < 64; ++d) {
        const float key_scale = HalfToFloat(v.key_scales[(p / 16 * 2 + d / 32) * 16 + p % 16]);
        const float value_scale = HalfToFloat(v.value_scales[p * 2 + d / 32]);
        const size_t key_at = (p / 16 * 32 + d / 2) * 16 + p % 16;
        EXPECT_NEAR(integer(v.keys, key_at, d % 2 == 1) * key_scale, value(p, d, true),
                    std::fabs(key_scale) * 1.01);
        const size_t value_at = p * 32 + d / 32 * 16 + d % 16;
        EXPECT_NEAR(integer(v.values, value_at, d % 32 >= 16) * value_scale, value(p, d, false),
                    std::fabs(value_scale) * 1.01);
      }
    }
  }
}

TEST(KvCacheTypesTest, Q4_0KeepsTheLargestZeroesAndWhatIsNotFinite) {
  KvCache kv = KvCache::Create(SmallConfig(64), 50, KvType::kQ4_0).value();
  ASSERT_TRUE(kv.Append(4));
  std::vector<float> x(64);
  const auto stored = [&](size_t position) {
    kv.Store(ScalarKernels(), 0, 0, position, x.data(), x.data());
    const KvBlock v = kv.Block(0, 0, position);
    const int both = static_cast<const uint8_t*>(v.values)[position * 32 + 3];
    const float scale = HalfToFloat(v.value_scales[position * 2]);
    return std::pair((static_cast<float>(both & 15) - 8) * scale,
                     (static_cast<float>(both >> 4) - 8) * scale);
  };
  EXPECT_EQ(stored(0), std::pair(0.0f, 0.0f));
  x[3] = -12, x[19] = 4;
  EXPECT_EQ(stored(1), std::pair(-12.0f, 4.5f));
  x[3] = 12, x[19] = -12;  // the first of two is the one that -8 stands for
  EXPECT_EQ(stored(2), std::pair(12.0f, -10.5f));
  for (const float wrong : {NAN, INFINITY, -INFINITY}) {
    x[5] = wrong;
    EXPECT_FALSE(std::isfinite(stored(3).first)) << wrong;
  }
}

TEST(KvCacheTypesTest, Q8_0RefusesHeadsThat32DoesNotDivide) {
  const auto kv = KvCache::Create(SmallConfig(), 50, KvType::kQ8_0);
  ASSERT_FALSE(kv);
  EXPECT_EQ(kv.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(kv.error().message.find("24"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
