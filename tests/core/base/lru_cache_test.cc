#include "core/base/lru_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace lockstep {
namespace {

TEST(LruCacheTest, ForgetsWhatWasNotUsedForLongest) {
  LruCache<std::string, int> cache(2, 100);
  cache.Insert("a", 1, 1);
  cache.Insert("b", 2, 1);
  EXPECT_EQ(cache.Find("a"), 1);  // used again: b is the older one now
  cache.Insert("c", 3, 1);
  EXPECT_EQ(cache.Find("a"), 1);
  EXPECT_EQ(cache.Find("b"), std::nullopt);
  EXPECT_EQ(cache.Find("c"), 3);
  EXPECT_EQ(cache.size(), 2u);
}

TEST(LruCacheTest, HoldsToItsBytes) {
  LruCache<std::string, int> cache(100, 10);
  cache.Insert("a", 1, 4);
  cache.Insert("b", 2, 4);
  cache.Insert("c", 3, 3);
  EXPECT_EQ(cache.Find("a"), std::nullopt);
  EXPECT_EQ(cache.Find("b"), 2);
  EXPECT_EQ(cache.Find("c"), 3);
  EXPECT_EQ(cache.Insert("d", 4, 11), 4);  // handed back, but too large to remember
  EXPECT_EQ(cache.size(), 0u);
  cache.Insert("e", 5, 10);
  EXPECT_EQ(cache.Find("e"), 5);
}

TEST(LruCacheTest, WhatIsErasedMakesRoom) {
  LruCache<std::string, int> cache(100, 10);
  cache.Insert("a", 1, 6);
  cache.Insert("b", 2, 4);
  cache.Erase("a");
  cache.Erase("a");
  EXPECT_EQ(cache.Find("a"), std::nullopt);
  cache.Insert("c", 3, 6);
  EXPECT_EQ(cache.Find("b"), 2);
  EXPECT_EQ(cache.Find("c"), 3);
}

TEST(LruCacheTest, TheFirstToInsertAKeyWins) {
  LruCache<std::string, int> cache(2, 100);
  EXPECT_EQ(cache.Insert("a", 1, 60), 1);
  EXPECT_EQ(cache.Insert("a", 2, 60), 1);
  EXPECT_EQ(cache.Find("a"), 1);
  EXPECT_EQ(cache.size(), 1u);
}

}  // namespace
}  // namespace lockstep
