// A block is opened by those who may have it, and only as it was sealed.
#include "core/engine/block_format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace lockstep {
namespace {

constexpr char kFingerprint[] = "ls3-0123456789abcdef";

std::vector<uint8_t> Payload(size_t bytes) {
  std::vector<uint8_t> payload(bytes);
  for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<uint8_t>(i * 37 + i / 256);
  return payload;
}

std::string Hex(const BlockKey& key) {
  std::string text;
  for (const uint8_t byte : key) {
    text += "0123456789abcdef"[byte / 16];
    text += "0123456789abcdef"[byte % 16];
  }
  return text;
}

TEST(BlockFormatTest, WhatWasSealedIsOpened) {
  const BlockKey key = RootKey(kFingerprint, "scope");
  for (const size_t size : {0, 1, 1000, 70'000}) {
    const std::vector<uint8_t> payload = Payload(size);
    const std::vector<uint8_t> bytes = SealBlock(kFingerprint, key, payload);
    EXPECT_EQ(bytes.size(), kSealBytes + size);
    const auto opened = OpenBlock(kFingerprint, key, size, bytes);
    ASSERT_TRUE(opened);
    EXPECT_TRUE(std::ranges::equal(*opened, payload));
  }
}

TEST(BlockFormatTest, ADamagedByteAnywhereIsSeen) {
  const BlockKey key = RootKey(kFingerprint, "");
  const std::vector<uint8_t> bytes = SealBlock(kFingerprint, key, Payload(200));
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const uint8_t bit : {0x01, 0x80}) {
      std::vector<uint8_t> damaged = bytes;
      damaged[i] ^= bit;
      EXPECT_FALSE(OpenBlock(kFingerprint, key, 200, damaged)) << i;
    }
  }
}

TEST(BlockFormatTest, AnotherLengthIsSeen) {
  const BlockKey key = RootKey(kFingerprint, "");
  const std::vector<uint8_t> bytes = SealBlock(kFingerprint, key, Payload(200));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(OpenBlock(kFingerprint, key, 200, std::span(bytes).first(size))) << size;
  }
  std::vector<uint8_t> longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(OpenBlock(kFingerprint, key, 200, longer));
  EXPECT_FALSE(OpenBlock(kFingerprint, key, 201, longer));
  // Whole, but of a model whose blocks have another size.
  EXPECT_FALSE(OpenBlock(kFingerprint, key, 100, bytes));
}

TEST(BlockFormatTest, WhatIsOfAnotherModelOrPlaceIsSeen) {
  const BlockKey key = RootKey(kFingerprint, ""), other = RootKey(kFingerprint, "other");
  const std::vector<uint8_t> bytes = SealBlock(kFingerprint, key, Payload(64));
  EXPECT_FALSE(OpenBlock(kFingerprint, other, 64, bytes));
  for (const char* fingerprint :
       {"ls4-0123456789abcdef", "ls3-0123456789abcdee", "", "ls3-0123456789abcdef-kvq8_0"}) {
    EXPECT_FALSE(OpenBlock(fingerprint, key, 64, bytes)) << fingerprint;
  }
}

TEST(BlockFormatTest, KeysTellModelsScopesAndTextsApart) {
  const std::vector<int32_t> tokens = {1, 2, 3, 4}, reversed = {4, 3, 2, 1};
  std::set<BlockKey> keys;
  for (const char* fingerprint : {"ls3-a", "ls3-b", "ls3-a-kvq8_0"}) {
    for (const char* scope : {"", "a", "b", "-kvq8_0"}) {
      const BlockKey root = RootKey(fingerprint, scope);
      const BlockKey first = NextKey(root, tokens);
      for (const BlockKey& key :
           {root, first, NextKey(root, reversed), NextKey(first, tokens), NextKey(first, reversed),
            NextKey(NextKey(root, reversed), tokens)}) {
        EXPECT_TRUE(keys.insert(key).second) << fingerprint << ' ' << scope;
      }
    }
  }
  EXPECT_EQ(keys.size(), 3u * 4 * 6);
}

// What other versions and machines have written must be found: computed by Python's hashlib.
TEST(BlockFormatTest, KeysAndSumsAreWhatTheyAlwaysWere) {
  const BlockKey root = RootKey(kFingerprint, "scope");
  EXPECT_EQ(Hex(root), "baca5a9ad40858f7a466660a87e46ea05e249ff8020b3b1927909ce9d4d7d025");
  const std::vector<int32_t> tokens = {1, 2, 70'000};
  EXPECT_EQ(Hex(NextKey(root, tokens)),
            "801c0f04611b9eecc0da7e3efb45d4ad28cdb1dc41c0885c89ac2c713a2ba341");
  const std::vector<uint8_t> bytes = SealBlock(kFingerprint, root, Payload(32));
  BlockKey sum;
  std::copy_n(bytes.begin() + 104, sum.size(), sum.begin());
  EXPECT_EQ(Hex(sum), "1f68b86c19824d3d63f2ff1893c96e39a2148c165fb9eeba961a65439af4664e");
}

}  // namespace
}  // namespace lockstep
