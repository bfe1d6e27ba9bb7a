#include "core/engine/prefix_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <thread>
#include <vector>

#include "core/engine/block_format.h"
#include "core/kernels/kernels.h"
#include "tests/support/memory_archive.h"
#include "tests/support/random.h"

namespace lockstep {
namespace {

constexpr size_t kHead = 32;

ModelConfig SmallConfig() {
  ModelConfig config;
  for (size_t i = 0; i < 2; ++i) {
    config.layers.push_back(
        {.heads = 2, .kv_heads = 2, .head = {.key = kHead, .value = kHead}, .kv_layer = i});
  }
  return config;
}

std::vector<int32_t> Text(size_t n, int32_t first) {
  std::vector<int32_t> tokens(n);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

// A cache whose contents follow from the tokens, as a model's would.
float ValueOf(const std::vector<int32_t>& tokens, size_t position, size_t layer, size_t head) {
  const int64_t sum = std::accumulate(tokens.begin(), tokens.begin() + position + 1, int64_t{0});
  return static_cast<float>(sum % 1021 + static_cast<int64_t>(layer * 2 + head));
}

// What an observer knows: it predicts from the events alone what the store has.
class Picker : public PrefixObserver {
 public:
  void OnStored(const StoredBlock& block) noexcept override {
    const BlockKey parent = block.parent != nullptr ? *block.parent : RootKey("ls3", block.scope);
    EXPECT_EQ(block.key, NextKey(parent, block.tokens));
    EXPECT_TRUE(block.parent == nullptr || blocks_.contains(parent));
    EXPECT_TRUE(blocks_.emplace(block.key, parent).second);
  }
  void OnRemoved(const BlockKey& key) noexcept override {
    EXPECT_EQ(blocks_.erase(key), 1u);
    for (const auto& [child, parent] : blocks_) EXPECT_NE(parent, key);
  }
  size_t Known(const std::string& scope, std::span<const int32_t> tokens) const {
    BlockKey key = RootKey("ls3", scope);
    size_t known = 0;
    for (; known + PrefixStore::kBlock <= tokens.size(); known += PrefixStore::kBlock) {
      key = NextKey(key, tokens.subspan(known, PrefixStore::kBlock));
      if (!blocks_.contains(key)) break;
    }
    return known;
  }
  size_t size() const { return blocks_.size(); }

 private:
  std::map<BlockKey, BlockKey> blocks_;  // and the one before each
};

class PrefixStoreTest : public testing::TestWithParam<KvType> {
 protected:
  static constexpr size_t kBlock = PrefixStore::kBlock;

  std::unique_ptr<PrefixStore> Store(size_t blocks) {
    const size_t bytes = kBlock * KvCache::BytesPerPosition(config_, GetParam());
    return PrefixStore::Create(config_, blocks * bytes + bytes / 2, GetParam()).value();
  }
  KvCache Empty() { return KvCache::Create(config_, 256, GetParam()).value(); }
  void Compute(KvCache& kv, const std::vector<int32_t>& tokens, size_t from) {
    ASSERT_TRUE(kv.Append(tokens.size() - from));
    for (size_t p = from; p < tokens.size(); ++p) {
      for (size_t layer = 0; layer < config_.layers.size(); ++layer) {
        for (size_t head = 0; head < config_.layers[layer].kv_heads; ++head) {
          const std::vector<float> x(kHead, ValueOf(tokens, p, layer, head));
          kv.Store(ScalarKernels(), layer, head, p, x.data(), x.data());
        }
      }
    }
  }
  KvCache Computed(const std::vector<int32_t>& tokens) {
    KvCache kv = Empty();
    Compute(kv, tokens, 0);
    return kv;
  }
  // The bytes of all positions of a head's keys, values and scales.
  std::vector<uint8_t> Bytes(const KvCache& kv, size_t layer, size_t head) {
    const size_t unit = GetParam() == KvType::kF16 ? 2 : 1;
    std::vector<uint8_t> bytes;
    const auto add = [&](const void* data, size_t n) {
      const auto* p = static_cast<const uint8_t*>(data);
      bytes.insert(bytes.end(), p, p + n);
    };
    for (size_t begin = 0; begin < kv.length(); begin += kAttentionBlock) {
      const KvBlock block = kv.Block(layer, head, begin);
      const size_t n = std::min(kAttentionBlock, kv.length() - begin);
      const size_t padded = (n + kKeyGroup - 1) / kKeyGroup * kKeyGroup;
      add(block.keys, padded * kHead * unit);
      add(block.values, n * kHead * unit);
      if (GetParam() == KvType::kF16) continue;
      add(block.key_scales, padded * sizeof(uint16_t));
      add(block.value_scales, n * sizeof(uint16_t));
    }
    return bytes;
  }
  void ExpectEqual(const KvCache& a, const KvCache& b) {
    ASSERT_EQ(a.length(), b.length());
    for (size_t layer = 0; layer < config_.layers.size(); ++layer) {
      for (size_t head = 0; head < config_.layers[layer].kv_heads; ++head) {
        EXPECT_EQ(Bytes(a, layer, head), Bytes(b, layer, head)) << layer << ' ' << head;
      }
    }
  }

  const ModelConfig config_ = SmallConfig();
};

INSTANTIATE_TEST_SUITE_P(KvTypes, PrefixStoreTest, testing::ValuesIn(kKvTypes));

TEST_P(PrefixStoreTest, GivesTheWholeBlocksOfWhatWasStored) {
  const auto store = Store(20);
  const std::vector<int32_t> text = Text(70, 5);
  store->Insert("", text, Computed(text));
  EXPECT_EQ(store->bytes(), store->capacity_bytes() / 20 * 4);

  KvCache kv = Empty();
  EXPECT_EQ(store->Extend("", text, kv), 64u);
  Compute(kv, text, 64);
  ExpectEqual(kv, Computed(text));

  std::vector<int32_t> other = text;
  other[40] = 999;
  KvCache partly = Empty();
  EXPECT_EQ(store->Extend("", other, partly), 32u);
  KvCache shorter = Empty();
  EXPECT_EQ(store->Extend("", Text(47, 5), shorter), 32u);
  KvCache elsewhere = Empty();
  EXPECT_EQ(store->Extend("other scope", text, elsewhere), 0u);
  EXPECT_EQ(store->Extend("", Text(64, 6), elsewhere), 0u);
  EXPECT_EQ(elsewhere.length(), 0u);
}

TEST_P(PrefixStoreTest, ScopesWithoutABlockAreForgotten) {
  const auto store = Store(4);
  const std::vector<int32_t> text = Text(20, 5);
  store->Insert("kept", text, Computed(text));
  for (size_t i = 0; i < 5000; ++i) store->Known("salt " + std::to_string(i), text);
  EXPECT_LE(store->scopes(), 1024U);
  EXPECT_EQ(store->Known("kept", text), 16U);
}

// In the bytes of each type of cache, by way of an archive, to another store.
TEST_P(PrefixStoreTest, WhatAnArchiveWasGivenIsRestoredToTheBit) {
  MemoryArchive archive;
  const std::vector<int32_t> text = Text(70, 5);
  const size_t bytes = kBlock * KvCache::BytesPerPosition(config_, GetParam());
  const PrefixArchiverOptions options{.fingerprint = "ls3", .payload_bytes = bytes};
  {
    PrefixArchiver archiver(archive, options);
    const auto store = Store(20);
    store->ArchiveBy(archiver);
    store->Insert("scope", text, Computed(text));
  }
  EXPECT_EQ(archive.size(), 4u);

  PrefixArchiver archiver(archive, options);
  const auto store = Store(20);
  store->ArchiveBy(archiver);
  Picker picker;
  store->TellOf(picker, options.fingerprint);
  const auto fetch = archiver.Fetch("scope", {text.begin(), text.begin() + 64}, 0,
                                    BlockArchive::Clock::now() + std::chrono::seconds(60));
  while (!fetch->ended()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const auto [begin, blocks] = fetch->Take();
  ASSERT_EQ(blocks.size(), 4u);
  // Not behind what is not there, and what is there stays.
  EXPECT_FALSE(store->Restore("scope", text, 1, std::span(blocks).subspan(1)));
  EXPECT_TRUE(store->Restore("scope", text, 0, std::span(blocks).first(1)));
  EXPECT_TRUE(store->Restore("scope", text, 1, std::span(blocks).subspan(1)));
  EXPECT_TRUE(store->Restore("scope", text, 0, blocks));
  EXPECT_EQ(store->Known("scope", text), 64u);
  EXPECT_EQ(store->Known("", text), 0u);
  EXPECT_EQ(picker.Known("scope", text), 64u);
  KvCache kv = Empty();
  EXPECT_EQ(store->Extend("scope", text, kv), 64u);
  Compute(kv, text, 64);
  ExpectEqual(kv, Computed(text));
}

TEST_P(PrefixStoreTest, GoesOnFromWhatTheCacheHas) {
  const auto store = Store(20);
  const std::vector<int32_t> text = Text(96, 0);
  store->Insert("", text, Computed(text));
  const std::vector<int32_t> begin(text.begin(), text.begin() + 23);  // in the middle of a block
  KvCache kv = Computed(begin);
  EXPECT_EQ(store->Extend("", text, kv), 96u - 23u);
  ExpectEqual(kv, Computed(text));
  EXPECT_EQ(store->Extend("", text, kv), 0u);
}

TEST_P(PrefixStoreTest, ASharedPrefixIsStoredOnce) {
  const auto store = Store(20);
  std::vector<int32_t> a = Text(64, 0), b = a;
  std::fill(b.begin() + 48, b.end(), 7);
  store->Insert("", a, Computed(a));
  store->Insert("", b, Computed(b));
  EXPECT_EQ(store->bytes(), store->capacity_bytes() / 20 * 5);
  for (const auto& text : {a, b}) {
    KvCache kv = Empty();
    EXPECT_EQ(store->Extend("", text, kv), 64u);
    ExpectEqual(kv, Computed(text));
  }
}

TEST_P(PrefixStoreTest, TheLeastRecentlyUsedMakesRoomLeavesFirst) {
  const auto store = Store(6);
  const std::vector<int32_t> a = Text(48, 0), b = Text(48, 1000), c = Text(32, 2000);
  store->Insert("", a, Computed(a));
  store->Insert("", b, Computed(b));
  KvCache kv = Empty();
  EXPECT_EQ(store->Extend("", a, kv), 48u);  // b is the older one now
  store->Insert("", c, Computed(c));         // and loses its last two blocks
  const auto stored = [&](const std::vector<int32_t>& text) {
    KvCache cache = Empty();
    const size_t n = store->Extend("", text, cache);
    if (n > 0) ExpectEqual(cache, Computed({text.begin(), text.begin() + n}));
    return n;
  };
  EXPECT_EQ(stored(a), 48u);
  EXPECT_EQ(stored(b), 16u);
  EXPECT_EQ(stored(c), 32u);
  const std::vector<int32_t> longer_than_all = Text(200, 3000);
  store->Insert("", longer_than_all, Computed(longer_than_all));
  EXPECT_EQ(stored(longer_than_all), 96u);
  EXPECT_EQ(stored(a), 0u);
  EXPECT_EQ(store->bytes(), store->capacity_bytes());
}

TEST_P(PrefixStoreTest, AnObserverKnowsWhatIsStored) {
  Picker picker;
  const auto store = Store(12);
  store->TellOf(picker, "ls3");
  Random random(7);
  size_t known = 0;
  for (int i = 0; i < 300; ++i) {
    std::vector<int32_t> text = Text(1 + random.Below(120), static_cast<int32_t>(random.Below(3)));
    if (random.Below(2) == 0) text[random.Below(text.size())] = 777;
    const std::string scope = random.Below(2) == 0 ? "a" : "b";
    known += picker.Known(scope, text);
    ASSERT_EQ(picker.Known(scope, text), store->Known(scope, text));
    store->Insert(scope, text, Computed(text));
    ASSERT_EQ(store->bytes(), picker.size() * store->block_bytes());
  }
  EXPECT_GT(known, 1000u);
}

// Against a plain rule: what Extend gives equals what computing gives, whatever was pushed out.
TEST_P(PrefixStoreTest, RandomTextsOfAFewFamilies) {
  const auto store = Store(12);
  Random random(3);
  size_t reused = 0;
  for (int i = 0; i < 300; ++i) {
    std::vector<int32_t> text;
    const size_t length = 1 + random.Below(120);
    while (text.size() < length) text.push_back(static_cast<int32_t>(random.Below(2)) * 8);
    const size_t shared = std::min<size_t>(length, random.Below(100));
    std::fill_n(text.begin(), shared, static_cast<int32_t>(random.Below(3)));
    KvCache kv = Empty();
    reused += store->Extend("", text, kv);
    Compute(kv, text, kv.length());
    ExpectEqual(kv, Computed(text));
    store->Insert("", text, kv);
  }
  EXPECT_GT(reused, 1000u);
}

// A model of one layer that attends and one with states.
class PrefixStatesTest : public testing::Test {
 protected:
  static ModelConfig Config() {
    ModelConfig config = SmallConfig();
    config.layers[0].recurrent = true, config.layers[0].kv_heads = 0;
    config.recurrence = {.taps = 3, .channels = 40, .key_heads = 1, .value_heads = 8};
    config.recurrence.head_dim = config.recurrence.keys = 32;
    return config;
  }
  // With room for so many states, and for eight blocks for each of them.
  std::unique_ptr<PrefixStore> Store(size_t states) {
    return PrefixStore::Create(config_, 2 * states * KvCache::StateBytes(config_)).value();
  }
  KvCache Empty() { return KvCache::Create(config_, 256).value(); }
  // As a model would leave it after these tokens.
  KvCache Computed(const std::vector<int32_t>& tokens) {
    KvCache kv = Empty();
    EXPECT_TRUE(kv.Append(tokens.size()));
    for (size_t p = 0; p < tokens.size(); ++p) {
      for (size_t head = 0; head < config_.layers[1].kv_heads; ++head) {
        const std::vector<float> x(kHead, ValueOf(tokens, p, 1, head));
        kv.Store(ScalarKernels(), 1, head, p, x.data(), x.data());
      }
    }
    kv.SetStates(States(tokens));
    return kv;
  }
  std::vector<float> States(const std::vector<int32_t>& tokens) {
    return std::vector<float>(KvCache::StateBytes(config_) / sizeof(float),
                              ValueOf(tokens, tokens.size() - 1, 0, 0));
  }
  // The positions that are taken, after checking what is taken.
  size_t Taken(PrefixStore& store, const std::vector<int32_t>& tokens) {
    KvCache kv = Empty();
    const size_t n = store.Extend("", tokens, kv);
    EXPECT_EQ(kv.length(), n);
    if (n == 0) return n;
    const std::vector<int32_t> begin(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(n));
    const KvCache expected = Computed(begin);
    EXPECT_TRUE(std::ranges::equal(kv.states(), expected.states())) << n;
    for (size_t p = 0; p < n; ++p) {
      const auto value = [&](const KvCache& cache) {
        return static_cast<const uint16_t*>(
            cache.Block(1, 1, p).values)[p % kAttentionBlock * kHead];
      };
      EXPECT_EQ(value(kv), value(expected)) << p;
    }
    return n;
  }

  const ModelConfig config_ = Config();
};

TEST_F(PrefixStatesTest, ATextGoesOnFromTheLastPlaceOfWhichThereAreStates) {
  const auto store = Store(8);
  const std::vector<int32_t> text = Text(100, 5);
  const auto first = [&](size_t n) {
    return std::vector<int32_t>(text.begin(), text.begin() + static_cast<ptrdiff_t>(n));
  };
  store->Insert("", first(64), Computed(first(64)));
  EXPECT_EQ(Taken(*store, text), 0u) << "keys and values alone are of no use";
  EXPECT_EQ(store->Known("", text), 64u);
  store->Insert("", first(48), Computed(first(48)), true);
  EXPECT_EQ(Taken(*store, text), 48u);
  store->Insert("", first(70), Computed(first(70)), true);  // six beyond a block
  EXPECT_EQ(Taken(*store, text), 70u);
  EXPECT_EQ(Taken(*store, first(70)), 70u);
  EXPECT_EQ(Taken(*store, first(69)), 48u);
  store->Insert("", first(73), Computed(first(73)), true);
  store->Insert("", text, Computed(text));  // the blocks that both tails are in
  EXPECT_EQ(Taken(*store, text), 73u);
  std::vector<int32_t> other = text;
  other[72] = 9999;
  EXPECT_EQ(Taken(*store, other), 70u);
  other[65] = 9999;
  EXPECT_EQ(Taken(*store, other), 48u);
  KvCache half = Computed(first(72));
  EXPECT_EQ(store->Extend("", text, half), 1u);
  EXPECT_TRUE(std::ranges::equal(half.states(), States(first(73))));
  EXPECT_EQ(store->Extend("other scope", text, half), 0u);
}

TEST_F(PrefixStatesTest, TheLeastRecentlyUsedStatesMakeRoom) {
  const auto store = Store(2);
  const std::vector<int32_t> a = Text(40, 0), b = Text(40, 1000), c = Text(40, 2000);
  for (const auto& text : {a, b}) store->Insert("", text, Computed(text), true);
  EXPECT_EQ(Taken(*store, a), 40u);
  store->Insert("", c, Computed(c), true);  // in place of b's
  EXPECT_EQ(Taken(*store, a), 40u);
  EXPECT_EQ(Taken(*store, b), 0u);
  EXPECT_EQ(Taken(*store, c), 40u);
  store->Insert("", b, Computed(b), true);  // whose blocks are still there
  EXPECT_EQ(Taken(*store, b), 40u);
  EXPECT_LE(store->bytes(), store->capacity_bytes());
}

// Few blocks and states, texts that part anywhere: what is taken has the right bits.
TEST_F(PrefixStatesTest, RandomTextsOfAFewFamilies) {
  const auto store = Store(3);
  Random random(3);
  size_t taken = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<int32_t> text = Text(1 + random.Below(100), static_cast<int32_t>(random.Below(3)));
    if (random.Below(2) == 0) text[random.Below(text.size())] = 777;
    taken += Taken(*store, text);
    store->Insert("", text, Computed(text), random.Below(3) != 0);
    ASSERT_LE(store->bytes(), store->capacity_bytes());
  }
  EXPECT_GT(taken, 5000u);
}

// What is kept of places within a block is not told.
TEST_F(PrefixStatesTest, AnObserverKnowsTheWholeBlocks) {
  Picker picker;
  const auto store = Store(3);
  store->TellOf(picker, "ls3");
  Random random(3);
  for (int i = 0; i < 500; ++i) {
    std::vector<int32_t> text = Text(1 + random.Below(100), static_cast<int32_t>(random.Below(3)));
    if (random.Below(2) == 0) text[random.Below(text.size())] = 777;
    ASSERT_EQ(picker.Known("", text), store->Known("", text));
    store->Insert("", text, Computed(text), random.Below(3) != 0);
  }
}

TEST(PrefixStoreSizeTest, LessThanABlockIsRefused) {
  const auto store = PrefixStore::Create(SmallConfig(), 1000);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace lockstep
