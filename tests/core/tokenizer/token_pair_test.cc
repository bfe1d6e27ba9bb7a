// What is left is compared with what the tokenizers library leaves by "longest_first".
#include "core/tokenizer/token_pair.h"

#include <gtest/gtest.h>

#include <string>

namespace lockstep {
namespace {

// [q...|d...] with so many ids of each, cut; a pair's second text follows two bars.
std::string Cut(size_t query, size_t document, const PairLimits& limits) {
  TokenizedPair pair;
  pair.ids.push_back('[');
  for (size_t i = 0; i < query; ++i) pair.ids.push_back(static_cast<int32_t>('a' + i));
  pair.ids.push_back('|');
  pair.second = pair.ids.size();
  for (size_t i = 0; i < document; ++i) pair.ids.push_back(static_cast<int32_t>('A' + i));
  pair.ids.push_back(']');
  CutPair({1, 1 + query}, {2 + query, 2 + query + document}, limits, &pair);
  std::string text(pair.ids.begin(), pair.ids.end());
  return text.insert(pair.second, "|");
}

TEST(CutPair, TheDocumentAlone) {
  EXPECT_EQ(Cut(2, 4, {}), "[ab||ABCD]");
  EXPECT_EQ(Cut(2, 4, {.all = 7}), "[ab||AB]");
  EXPECT_EQ(Cut(2, 4, {.all = 5}), "[ab||]");
  EXPECT_EQ(Cut(2, 4, {.document = 3}), "[ab||ABC]");
  EXPECT_EQ(Cut(2, 4, {.all = 7, .document = 3}), "[ab||AB]");
  EXPECT_EQ(Cut(2, 4, {.all = 7, .begin = true}), "[ab||CD]");
  // Nothing of it that could go would suffice.
  EXPECT_EQ(Cut(2, 4, {.all = 4}), "[ab||ABCD]");
  EXPECT_EQ(Cut(2, 4, {.all = 4, .document = 3}), "[ab||ABC]");
}

TEST(CutPair, TheLongerOneFirst) {
  EXPECT_EQ(Cut(2, 6, {.all = 8, .query = true}), "[ab||ABC]");
  EXPECT_EQ(Cut(6, 2, {.all = 8, .query = true}), "[abc||AB]");
  EXPECT_EQ(Cut(6, 6, {.all = 8, .query = true}), "[ab||ABC]");
  EXPECT_EQ(Cut(6, 4, {.all = 8, .query = true}), "[abc||AB]");
  EXPECT_EQ(Cut(6, 4, {.all = 8, .query = true, .begin = true}), "[def||CD]");
  EXPECT_EQ(Cut(6, 4, {.all = 4, .query = true}), "[a||]");
  EXPECT_EQ(Cut(6, 4, {.all = 3, .query = true}), "[||]");
  EXPECT_EQ(Cut(6, 4, {.all = 2, .query = true}), "[abcdef||ABCD]");
  EXPECT_EQ(Cut(9, 9, {.all = 9, .document = 2, .query = true}), "[abcd||AB]");
}

// In a template the query may stand behind the document.
TEST(CutPair, InEitherOrder) {
  TokenizedPair pair;
  for (const char c : std::string("[ABCD|abcd]")) pair.ids.push_back(c);
  CutPair({6, 10}, {1, 5}, {.all = 8, .query = true}, &pair);
  EXPECT_EQ(std::string(pair.ids.begin(), pair.ids.end()), "[ABC|ab]");
}

}  // namespace
}  // namespace lockstep
