#include "server/hub/file_digest.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

// What sha256sum and git hash-object say of "hello\n".
constexpr char kSha256[] = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
constexpr char kGit[] = "ce013625030ba8dba906f756967f9e9ca394464a";

TEST(FileDigest, IsThatOfOtherPrograms) {
  for (const std::string hash : {kSha256, kGit}) {
    FileDigest digest(hash, 6);
    digest.Add("other bytes");
    digest.Restart();
    digest.Add("hel");
    digest.Add("");
    digest.Add("lo\n");
    EXPECT_EQ(digest.Hex(), hash);
  }
  FileDigest unknown("", 0);
  unknown.Add("hello\n");
  EXPECT_EQ(unknown.Hex(), kSha256);
}

TEST(FileDigest, KnowsWhatIsAHash) {
  EXPECT_TRUE(IsFileHash(kSha256) && IsFileHash(kGit));
  EXPECT_FALSE(IsFileHash("") || IsFileHash("../x") || IsFileHash(std::string(64, 'A')) ||
               IsFileHash(std::string(63, 'a')) || IsFileHash(std::string(39, 'a') + "/"));
}

}  // namespace
}  // namespace lockstep
