#include "core/tokenizer/merge_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/tiny_vocabulary.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

// A vocabulary, and its table once it is loaded.
struct Loaded {
  explicit Loaded(const GgufBuilder& builder)
      : bytes(builder.Build()),
        file(GgufFile::Parse(bytes, "tiny.gguf").value()),
        vocabulary(Vocabulary::Load(file).value()),
        status(table.Load(file, vocabulary)) {}

  Symbol Of(std::string_view text) const { return {0, 1, vocabulary.Find(text)}; }
  Merge Find(std::string_view left, std::string_view right) const {
    return table.Find(Of(left), Of(right));
  }

  const std::vector<uint8_t> bytes;
  const GgufFile file;
  const Vocabulary vocabulary;
  MergeTable table;
  const Status status;
};

TEST(MergeTable, KnowsPairsByTheirRanks) {
  const Loaded loaded(BpeVocabulary({"b c", "a b", "a bc"}).Metadata());
  ASSERT_TRUE(loaded.status.has_value()) << loaded.status.error().message;
  const std::tuple<const char*, const char*, float, const char*> kMerges[] = {
      {"b", "c", 0, "bc"}, {"a", "b", 1, "ab"}, {"a", "bc", 2, "abc"}};
  for (const auto& [left, right, rank, merged] : kMerges) {
    EXPECT_EQ(loaded.Find(left, right).cost, rank) << merged;
    EXPECT_EQ(loaded.Find(left, right).id, loaded.vocabulary.Find(merged)) << merged;
  }
  EXPECT_EQ(loaded.Find("c", "b").id, -1);
  EXPECT_EQ(loaded.Find("ab", "c").id, -1);  // the text is a token's, but not of this pair
  EXPECT_EQ(loaded.table.Find({0, 1, -1}, loaded.Of("c")).id, -1);
}

TEST(MergeTable, TheFirstOfTwoEqualOnesCounts) {
  TinyVocabulary v = BpeVocabulary({"a b", "b c"});
  v.merges = {"b c", "a b", "b c"};
  const Loaded loaded(v.Metadata());
  ASSERT_TRUE(loaded.status.has_value());
  EXPECT_EQ(loaded.Find("b", "c").cost, 0);
  EXPECT_EQ(loaded.Find("a", "b").cost, 1);
}

TEST(MergeTable, MakesNoControlToken) {
  TinyVocabulary v = BpeVocabulary({"a b"});
  v.Add("bc", 3);
  v.merges.push_back("b c");
  const Loaded loaded(v.Metadata());
  ASSERT_TRUE(loaded.status.has_value());
  EXPECT_EQ(loaded.Find("b", "c").id, -1);
  EXPECT_EQ(loaded.Find("a", "b").cost, 0);
}

TEST(MergeTable, RefusesWhatIsNoMerge) {
  const std::pair<const char*, const char*> kCases[] = {
      {"ab", "merges[1] is \"ab\": two tokens with a space between them are needed"},
      {" ab", "merges[1] is \" ab\": two tokens"},
      {"a ", "merges[1] is \"a \": two tokens"},
      {"", "merges[1] is \"\": two tokens"},
      {"a xyz", "merges[1] is \"a xyz\", but \"xyz\" is not one of the 258 tokens"},
      {"c d", "merges[1] is \"c d\", but \"cd\" is not one of the 258 tokens"},
  };
  for (const auto& [merge, says] : kCases) {
    TinyVocabulary v = BpeVocabulary({"a b"});
    v.merges.push_back(merge);
    const Loaded loaded(v.Metadata());
    ASSERT_FALSE(loaded.status.has_value()) << merge;
    EXPECT_EQ(loaded.status.error().kind, ErrorKind::kBadFile);
    EXPECT_THAT(loaded.status.error().message, HasSubstr(says));
  }
  GgufBuilder none = BpeVocabulary({"a b"}).Metadata();
  none.Remove("tokenizer.ggml.merges");
  EXPECT_THAT(
      Loaded(none).status.error().message,
      HasSubstr("tokenizer.ggml.merges is missing: a tokenizer of model \"gpt2\" needs it"));
}

}  // namespace
}  // namespace lockstep
