#include "core/transformer/kv_cache.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/kernels/half.h"
#include "tests/core/transformer/small_kv_cache.h"

namespace lockstep {
namespace {

void Fill(KvCache& kv, size_t from, size_t to) {
  ASSERT_TRUE(kv.Append(to - from));
  std::vector<float> key(24), value(24);
  for (size_t layer = 0; layer < 3; ++layer) {
    for (size_t head = 0; head < 2; ++head) {
      for (size_t p = from; p < to; ++p) {
        for (size_t d = 0; d < 24; ++d) {
          key[d] = Mark(layer, head, p, d, true);
          value[d] = Mark(layer, head, p, d, false);
        }
        kv.Store(ScalarKernels(), layer, head, p, key.data(), value.data());
      }
    }
  }
}

void ExpectFilled(const KvCache& kv, size_t n) {
  for (size_t layer = 0; layer < 3; ++layer) {
    for (size_t head = 0; head < 2; ++head) {
      for (size_t p = 0; p < n; ++p) {
        for (size_t d = 0; d < 24; ++d) {
          const KvBlock view = kv.Block(layer, head, p);
          const auto* keys = static_cast<const uint16_t*>(view.keys);
          const auto* values = static_cast<const uint16_t*>(view.values);
          ASSERT_EQ(HalfToFloat(keys[(p % 64 / 16 * 24 + d) * 16 + p % 16]),
                    Mark(layer, head, p, d, true));
          ASSERT_EQ(HalfToFloat(values[p % 64 * 24 + d]), Mark(layer, head, p, d, false));
        }
      }
    }
  }
}

// Two recurrent layers, of a window of 2 x 5 and two matrices of 16 x 16, and one that attends.
TEST(KvCacheTest, StatesBeginWithZerosAndAreCopiedAndTakenBackWhole) {
  ModelConfig config = SmallConfig();
  for (const size_t i : {0, 2}) config.layers[i].recurrent = true, config.layers[i].kv_heads = 0;
  config.recurrence = {.taps = 3, .channels = 5, .value_heads = 2, .head_dim = 16, .keys = 16};
  KvCache kv = KvCache::Create(config, 64).value(), copy = KvCache::Create(config, 32).value();
  const size_t floats = 2 * 16 * 16 + 16;  // in whole cache lines
  EXPECT_EQ(KvCache::StateBytes(config), 2 * floats * sizeof(float));
  const size_t position = KvCache::BytesPerPosition(config, KvType::kF16);
  EXPECT_EQ(position, KvCache::BytesPerPosition(SmallConfig(), KvType::kF16) / 3);
  EXPECT_EQ(kv.used_bytes(), 0u);
  const KvCost cost = KvCache::Cost(config, KvType::kF16, 8);
  EXPECT_EQ(cost.Of(0), 0u);
  EXPECT_EQ(cost.Of(10), 64 * position + KvCache::StateBytes(config));

  ASSERT_TRUE(kv.Append(20));
  EXPECT_EQ(kv.used_bytes(), 20 * position + KvCache::StateBytes(config));
  ASSERT_EQ(kv.states().size(), 2 * floats);
  EXPECT_EQ(kv.State(2), kv.State(0) + floats);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(kv.State(2)) % 64, 0u);
  const auto all = [](const KvCache& cache, float value) {
    return std::ranges::all_of(cache.states(), [=](float v) { return v == value; });
  };
  EXPECT_TRUE(all(kv, 0));
  std::fill_n(kv.State(0), 2 * floats, 3.0f);
  copy.CopyPrefixFrom(kv, 20);
  EXPECT_TRUE(all(copy, 3));
  kv.Truncate(20);
  EXPECT_TRUE(all(kv, 3));
  kv.Truncate(0);
  EXPECT_TRUE(all(kv, 0));
  kv.SetStates(copy.states());
  EXPECT_TRUE(all(kv, 3));
  ASSERT_TRUE(kv.Append(1));
  kv.Reset();
  EXPECT_TRUE(all(kv, 0));
}

TEST(KvCacheTest, StatesGoBackToTheirCopy) {
  ModelConfig config = SmallConfig();
  for (LayerConfig& layer : config.layers) layer.recurrent = true;
  config.recurrence = {.taps = 3, .channels = 5, .value_heads = 2, .head_dim = 16, .keys = 16};
  KvCache kv =
      KvCache::Create(config, 64, KvType::kF16, KvKeep::kWindows, KvStates::kWithCopy).value();
  const size_t states = KvCache::StateBytes(config);
  const KvCost cost = KvCache::Cost(config, KvType::kF16, 8, KvStates::kWithCopy);
  EXPECT_EQ(cost.state_bytes, 2 * states);
  ASSERT_TRUE(kv.Append(20));
  const size_t used = kv.used_bytes();
  const size_t floats = kv.states().size();
  std::fill_n(kv.State(0), floats, 3.0f);
  kv.SaveStates();
  EXPECT_EQ(kv.used_bytes(), used + states);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(kv.Append(5));
    std::fill_n(kv.State(0), floats, 4.0f);
    kv.RestoreStates();
    EXPECT_EQ(kv.length(), 20u);
    EXPECT_EQ(std::ranges::count(kv.states(), 3.0f), static_cast<ptrdiff_t>(floats));
  }
  kv.Reset();
  EXPECT_EQ(kv.used_bytes(), 0u);
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
  Result<KvCache> kv = KvCache::Create(SmallConfig(), 4096);
  ASSERT_TRUE(kv);
  Fill(*kv, 0, 4096);
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<uintptr_t>(kv->View(0, 0).blocks) / page * page;
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

TEST(KvCacheTest, BytesPerPositionAreWhatIsReserved) {
  const ModelConfig config = SmallConfig(64);
  for (const KvType type : kKvTypes) {
    KvCache kv = KvCache::Create(config, 128, type).value();
    EXPECT_EQ(kv.reserved_bytes(), 128 * KvCache::BytesPerPosition(config, type));
    ASSERT_TRUE(kv.Append(10));
    EXPECT_EQ(kv.used_bytes(), 10 * KvCache::BytesPerPosition(config, type));
  }
}

TEST(KvCacheTest, AnImpossibleSizeIsRefusedWithTheArithmetic) {
  ModelConfig config = SmallConfig();
  config.layers[0].kv_heads = 1 << 10;
  config.layers.resize(1 << 20, config.layers[0]);
  for (size_t i = 0; i < config.layers.size(); ++i) config.layers[i].kv_layer = i;
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

// Five of six layers see 100 positions; 64 positions of these five take 640 KiB.
ModelConfig WindowConfig() {
  ModelConfig c;
  c.window = 100;
  for (size_t i = 0; i < 6; ++i) {
    c.layers.push_back({.heads = 8,
                        .kv_heads = 8,
                        .head = {.key = 64, .value = 64},
                        .window = i != 5,
                        .kv_layer = i});
  }
  return c;
}

void FillWindows(KvCache& kv, size_t n, size_t batch) {
  std::vector<float> key(64), value(64);
  for (size_t end = kv.length() + n; kv.length() < end;) {
    const size_t begin = kv.length();
    ASSERT_TRUE(kv.Append(std::min(batch, end - begin)));
    for (size_t layer = 0; layer < 6; ++layer) {
      for (size_t p = begin; p < kv.length(); ++p) {
        std::fill(key.begin(), key.end(), Mark(layer, 3, p, 0, true));
        std::fill(value.begin(), value.end(), Mark(layer, 3, p, 0, false));
        kv.Store(ScalarKernels(), layer, 3, p, key.data(), value.data());
      }
    }
  }
}

// Of each layer, all positions that a token at kv.length() attends to.
void ExpectWindows(const KvCache& kv) {
  for (size_t layer = 0; layer < 6; ++layer) {
    for (size_t p = layer == 5 ? 0 : kv.length() + 1 - 100; p < kv.length(); ++p) {
      const KvBlock block = kv.Block(layer, 3, p);
      ASSERT_EQ(
          HalfToFloat(static_cast<const uint16_t*>(block.keys)[p % 64 / 16 * 64 * 16 + p % 16]),
          Mark(layer, 3, p, 0, true))
          << layer << " " << p;
      ASSERT_EQ(HalfToFloat(static_cast<const uint16_t*>(block.values)[p % 64 * 64]),
                Mark(layer, 3, p, 0, false));
    }
  }
}

size_t ResidentBytes(const KvCache& kv) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  size_t bytes = 0;
  for (size_t layer : {size_t{0}, size_t{5}}) {  // the first of each region
    auto* const begin = const_cast<uint8_t*>(kv.View(layer, 0).blocks);
    std::vector<unsigned char> pages(kv.context() / 64 * kv.View(layer, 0).stride / page);
    EXPECT_EQ(mincore(begin, pages.size() * page, pages.data()), 0);
    for (const unsigned char in_core : pages) bytes += (in_core & 1) * page;
  }
  return bytes;
}

TEST(KvCacheTest, LayersWithAWindowKeepTheWindow) {
  const ModelConfig config = WindowConfig();
  const KvCost cost = KvCache::Cost(config, KvType::kF16, 64);
  EXPECT_EQ(cost.position_bytes + cost.window_position_bytes,
            KvCache::BytesPerPosition(config, KvType::kF16));
  for (const size_t batch : {1, 64}) {
    KvCache kv = KvCache::Create(config, 4096, KvType::kF16, KvKeep::kWindows).value();
    for (const size_t n : {99, 200, 1000, 2797}) {
      FillWindows(kv, n, batch);
      ExpectWindows(kv);
      EXPECT_LE(kv.used_bytes(), cost.Of(kv.length()));
      EXPECT_LE(ResidentBytes(kv), cost.Of(kv.length()) + KvCache::kPageWaste);
    }
    EXPECT_EQ(kv.length(), 4096u);
    EXPECT_LT(kv.used_bytes(), kv.reserved_bytes() / 3);
    kv.Reset();
    EXPECT_EQ(ResidentBytes(kv), 0u);
    FillWindows(kv, 300, batch);
    ExpectWindows(kv);
  }
}

TEST(KvCacheTest, ACopyIntoWindowsBringsWhatTheyNeed) {
  const ModelConfig config = WindowConfig();
  KvCache all = KvCache::Create(config, 4096).value();
  FillWindows(all, 4000, 500);
  KvCache kv = KvCache::Create(config, 4096, KvType::kF16, KvKeep::kWindows).value();
  FillWindows(kv, 80, 80);
  ASSERT_TRUE(kv.AppendForCopy(3920));
  for (size_t i = 80; i < 4000; i += 16) kv.CopyFrom(all, i, i, 16);
  ExpectWindows(kv);
  EXPECT_GE(kv.kept_from(), 4000u - 100 - 64);
  EXPECT_LE(ResidentBytes(kv),
            KvCache::Cost(config, KvType::kF16, 80).Of(4000) + KvCache::kPageWaste);
  FillWindows(kv, 96, 1);
  ExpectWindows(kv);
}

// Layers of unlike heads, one that reads another's, and one whose values are parts of its keys.
TEST(KvCacheTest, LayersMayDiffer) {
  ModelConfig config;
  config.layers = {{.heads = 4, .kv_heads = 2, .head = {.key = 32, .value = 64}, .kv_layer = 0},
                   {.heads = 4, .kv_heads = 1, .head = {.key = 96, .value = 32}, .kv_layer = 1},
                   {.heads = 4, .kv_heads = 2, .head = {.key = 32, .value = 64}, .kv_layer = 0},
                   {.heads = 4,
                    .kv_heads = 1,
                    .head = {.key = 96, .value = 64, .value_in_key = true},
                    .kv_layer = 3}};
  EXPECT_EQ(KvCache::BytesPerPosition(config, KvType::kF16), 2u * (2 * (32 + 64) + (96 + 32) + 96));
  for (const KvType type : kKvTypes) {
    KvCache kv = KvCache::Create(config, 80, type).value();
    EXPECT_EQ(kv.reserved_bytes(), 128 * KvCache::BytesPerPosition(config, type));
    ASSERT_TRUE(kv.Append(80));
    const auto store = [&](size_t layer, size_t head, size_t p) {
      std::vector<float> key(96), value(64);
      for (size_t d = 0; d < 96; ++d) key[d] = Mark(layer, head, p, d, true) / 64;
      for (size_t d = 0; d < 64; ++d) value[d] = Mark(layer, head, p, d, false) / 64;
      kv.Store(ScalarKernels(), layer, head, p, key.data(), value.data());
    };
    for (size_t p = 0; p < 80; ++p) {
      for (const auto& [layer, heads] : {std::pair{0, 2}, {1, 1}, {3, 1}}) {
        for (int head = 0; head < heads; ++head) {
          store(static_cast<size_t>(layer), static_cast<size_t>(head), p);
        }
      }
    }
    KvCache copy = KvCache::Create(config, 80, type).value();
    copy.CopyPrefixFrom(kv, 80);
    // What attention makes of a layer's keys and values is the same in the copy, and of a layer
    // that reads another's the same as in that.
    const auto attend = [&](const KvCache& cache, size_t layer, size_t head) {
      const LayerConfig& c = config.layers[layer];
      std::vector<float> q(c.head.key, 0.01f), out(c.head.value);
      std::vector<float> scratch(AttentionScratchFloats(c.head));
      ScalarKernels().attention({.q = q.data(),
                                 .q_stride = c.head.key,
                                 .out = out.data(),
                                 .out_stride = c.head.value,
                                 .rows = 1,
                                 .heads = 1,
                                 .head = c.head,
                                 .kv = cache.View(layer, head),
                                 .length = 80,
                                 .scale = 1,
                                 .scratch = scratch.data()});
      return out;
    };
    for (size_t layer = 0; layer < 4; ++layer) {
      EXPECT_EQ(attend(copy, layer, 0), attend(kv, layer, 0)) << layer;
    }
    EXPECT_EQ(attend(kv, 2, 1), attend(kv, 0, 1));
    EXPECT_NE(attend(kv, 0, 0), attend(kv, 0, 1));
  }
}

}  // namespace
}  // namespace lockstep
