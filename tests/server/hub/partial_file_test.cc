#include "server/hub/partial_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

// The SHA-256 of "hello\n".
constexpr char kHash[] = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

std::string Text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(PartialFile, GoesOnWhereItWasAndGetsItsNameAtTheEnd) {
  const TempFile file;
  {
    const auto first = PartialFile::Open(file.path(), kHash, 6);
    ASSERT_TRUE(first.has_value()) << first.error().message;
    ASSERT_TRUE((*first)->Add("hel"));
  }
  EXPECT_EQ(Text(file.path() + ".incomplete"), "hel");
  EXPECT_FALSE(std::filesystem::exists(file.path()));
  const auto second = PartialFile::Open(file.path(), kHash, 6);
  EXPECT_EQ((*second)->size(), 3u);
  ASSERT_TRUE((*second)->Add("lo\n") && (*second)->Flush());
  EXPECT_EQ((*second)->Hash(), kHash);
  ASSERT_TRUE((*second)->Finish());
  EXPECT_EQ(Text(file.path()), "hello\n");
  EXPECT_FALSE(std::filesystem::exists(file.path() + ".incomplete"));
}

TEST(PartialFile, BeginsAgain) {
  const TempFile file;
  std::ofstream(file.path() + ".incomplete") << "longer than six";
  const auto partial = PartialFile::Open(file.path(), kHash, 6);
  EXPECT_EQ((*partial)->size(), 0u);
  ASSERT_TRUE((*partial)->Add("wrong") && (*partial)->Restart() && (*partial)->Add("hello\n"));
  EXPECT_EQ((*partial)->size(), 6u);
  ASSERT_TRUE((*partial)->Flush());
  EXPECT_EQ((*partial)->Hash(), kHash);
  (*partial)->Discard();
  EXPECT_FALSE(std::filesystem::exists(file.path() + ".incomplete"));
}

TEST(PartialFile, SaysWhatCannotBeWritten) {
  const TempFile file;
  std::filesystem::create_symlink("/dev/full", file.path() + ".incomplete");
  EXPECT_FALSE(PartialFile::Open(file.path(), kHash, 6).has_value())
      << "a link could lead anywhere";
  const auto nowhere = PartialFile::Open("/proc/none/x", kHash, 6);
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_NE(nowhere.error().message.find("/proc/none/x"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
