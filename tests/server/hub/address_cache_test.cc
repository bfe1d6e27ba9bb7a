#include "server/hub/address_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

TEST(AddressCache, KeepsTheFilesOfAFolderTogether) {
  const TempFile temp;
  const AddressCache cache(fs::path(temp.path()).parent_path().string());
  const auto addresses = PartAddresses("https://h/d/m%20x-00002-of-00002.gguf?k=/v");
  EXPECT_THAT(addresses, ElementsAre("https://h/d/m%20x-00001-of-00002.gguf?k=/v",
                                     "https://h/d/m%20x-00002-of-00002.gguf?k=/v"));
  for (const std::string& address : addresses) {
    ASSERT_TRUE(cache.Note(address));
    std::ofstream(cache.PathOf(address)) << "12345";
  }
  const fs::path first = cache.PathOf(addresses[0]);
  EXPECT_EQ(first.filename(), "m x-00001-of-00002.gguf");
  EXPECT_EQ(first.parent_path(), fs::path(cache.PathOf(addresses[1])).parent_path());
  EXPECT_NE(first, cache.PathOf("https://h/e/m%20x-00001-of-00002.gguf?k=/v"));

  const auto models = cache.List();
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].repo, "");
  EXPECT_EQ(models[0].quant, addresses[0]);
  EXPECT_EQ(models[0].bytes, 10u);
  EXPECT_EQ(*AddressCache::Remove(models[0]), 10u);
  EXPECT_FALSE(fs::exists(first.parent_path()));
  EXPECT_TRUE(cache.List().empty());
}

TEST(AddressCache, AFileAloneIsItsOnlyPart) {
  EXPECT_THAT(PartAddresses("https://h/m.gguf"), ElementsAre("https://h/m.gguf"));
}

}  // namespace
}  // namespace lockstep
