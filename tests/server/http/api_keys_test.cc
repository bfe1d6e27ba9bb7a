#include "server/http/api_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

using testing::HasSubstr;
using testing::Not;

TempFile FileOf(const std::string& text) {
  return TempFile(std::vector<uint8_t>(text.begin(), text.end()));
}

TEST(ApiKeysTest, AKeyFileHasComments) {
  const TempFile file = FileOf("# ours\n\n  one  \r\ntwo");
  const auto keys = ApiKeys::Load({"zero"}, file.path());
  ASSERT_TRUE(keys.has_value()) << keys.error().message;
  EXPECT_EQ(keys->size(), 3u);
  EXPECT_EQ(keys->NameOf("zero"), "key-1");
  EXPECT_EQ(keys->NameOf("two"), "key-3");
  EXPECT_EQ(keys->NameOf("tw"), std::nullopt);
  EXPECT_EQ(keys->NameOf("twoo"), std::nullopt);
  EXPECT_EQ(keys->NameOf("# ours"), std::nullopt);
  EXPECT_EQ(keys->NameOf(""), std::nullopt);
}

// What is kept for a key must not be found by another one that has its place in another list.
TEST(ApiKeysTest, TheScopeOfAKeyIsTheSameInEveryListAndNeverThatOfAnother) {
  const ApiKeys a = *ApiKeys::Load({"one", "two", "three"}, ""), b = *ApiKeys::Load({"two"}, "");
  EXPECT_EQ(a.ScopeOf("key-2"), b.ScopeOf("key-1"));
  EXPECT_NE(a.ScopeOf("key-1"), b.ScopeOf("key-1"));
  EXPECT_NE(a.ScopeOf("key-1"), a.ScopeOf("key-3"));
  EXPECT_THAT(a.ScopeOf("key-2"), Not(HasSubstr("two")));
}

TEST(ApiKeysTest, WithoutKeysThereIsNoNameForAny) {
  EXPECT_TRUE(ApiKeys().empty());
  EXPECT_EQ(ApiKeys().NameOf(""), std::nullopt);
  EXPECT_TRUE(ApiKeys::Load({}, "")->empty());
}

TEST(ApiKeysTest, BadKeysAreRefusedAndNotShown) {
  const TempFile none = FileOf(""), comment = FileOf("# nothing\n"),
                 spaced = FileOf("good\nse cret\n");
  for (const auto& keys :
       {ApiKeys::Load({"se cret"}, ""), ApiKeys::Load({""}, ""), ApiKeys::Load({}, "/no/file"),
        ApiKeys::Load({}, "/"), ApiKeys::Load({}, none.path()), ApiKeys::Load({}, comment.path()),
        ApiKeys::Load({"other"}, none.path()), ApiKeys::Load({}, spaced.path())}) {
    ASSERT_FALSE(keys.has_value());
    EXPECT_EQ(keys.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_THAT(keys.error().message, HasSubstr("--api-key"));
    EXPECT_THAT(keys.error().message, Not(HasSubstr("cret")));
  }
  EXPECT_THAT(ApiKeys::Load({}, none.path()).error().message, HasSubstr("has no key"));
  EXPECT_EQ(ApiKeys::Load({}, "/").error().message,
            "--api-key-file: \"/\" is a directory, not a file");
}

}  // namespace
}  // namespace lockstep
