#include "core/tokenizer/pair_merger.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/support/random.h"

namespace lockstep {
namespace {

struct Rules {
  std::map<std::string, Merge> merges;  // by the text of both symbols
  Merge Find(const std::string& text) const {
    const auto found = merges.find(text);
    return found == merges.end() ? Merge{0, -1} : found->second;
  }
};

// The definition, in quadratic time.
std::vector<std::string> MergeNaively(const std::string& text, const Rules& rules) {
  std::vector<std::string> symbols;
  for (const char c : text) symbols.emplace_back(1, c);
  for (;;) {
    int best = -1;
    float least = 0;
    for (int i = 0; i + 1 < static_cast<int>(symbols.size()); ++i) {
      const Merge merge = rules.Find(symbols[i] + symbols[i + 1]);
      if (merge.id >= 0 && (best < 0 || merge.cost < least)) {
        best = i;
        least = merge.cost;
      }
    }
    if (best < 0) return symbols;
    symbols[best] += symbols[best + 1];
    symbols.erase(symbols.begin() + best + 1);
  }
}

std::vector<std::string> MergeFast(const std::string& text, const Rules& rules,
                                   PairMerger* merger) {
  merger->Clear();
  for (const char c : text) merger->Add(1, c);
  merger->Run([&](const Symbol& left, const Symbol& right) {
    EXPECT_EQ(left.begin + left.size, right.begin);
    return rules.Find(text.substr(left.begin, left.size + right.size));
  });
  std::vector<std::string> out;
  merger->ForEach([&](const Symbol& symbol) {
    out.push_back(text.substr(symbol.begin, symbol.size));
    EXPECT_EQ(symbol.id, symbol.size == 1 ? text[symbol.begin] : rules.Find(out.back()).id);
  });
  return out;
}

TEST(PairMerger, EqualsTheDefinition) {
  Random random(7);
  PairMerger merger;  // shared: runs must not leak into each other
  for (int round = 0; round < 500; ++round) {
    Rules rules;
    for (int i = 0; i < 24; ++i) {
      std::string text;
      for (uint64_t n = 2 + random.Below(4); n > 0; --n) {
        text += static_cast<char>('a' + random.Below(3));
      }
      // Few costs, so that ties are common.
      rules.merges[text] = {static_cast<float>(random.Below(6)), 1000 + i};
    }
    std::string text;
    for (uint64_t n = random.Below(40); n > 0; --n) {
      text += static_cast<char>('a' + random.Below(3));
    }
    EXPECT_EQ(MergeFast(text, rules, &merger), MergeNaively(text, rules)) << text;
  }
}

TEST(PairMerger, TheLeftmostOfEqualPairsComesFirst) {
  Rules rules;
  rules.merges["aa"] = {1, 1000};
  PairMerger merger;
  EXPECT_EQ(MergeFast("aaaaa", rules, &merger), (std::vector<std::string>{"aa", "aa", "a"}));
  EXPECT_EQ(MergeFast("", rules, &merger), std::vector<std::string>{});
}

// Counted, not timed: a look-up is made once for each pair of neighbours that ever comes to be.
TEST(PairMerger, WorkGrowsWithTheTextOnly) {
  for (const size_t size : {size_t{1} << 12, size_t{1} << 16}) {
    size_t finds = 0;
    PairMerger merger;
    for (size_t i = 0; i < size; ++i) merger.Add(1, 0);
    merger.Run([&](const Symbol& a, const Symbol& b) {
      ++finds;
      return Merge{static_cast<float>(a.size + b.size), a.size == b.size ? 0 : -1};
    });
    size_t left = 0;
    merger.ForEach([&](const Symbol&) { ++left; });
    EXPECT_EQ(left, 1u);
    EXPECT_LT(finds, 4 * size);
  }
}

}  // namespace
}  // namespace lockstep
