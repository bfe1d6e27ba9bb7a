#include "core/model/digest_cache.h"

#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;
using ::testing::Optional;

const std::string kDigest(64, 'a');
const std::string kName = "/models/a.gguf";

FileState Old(uint64_t inode) {
  return {.inode = inode, .size = 1000, .modified_ns = 1'600'000'000'000'000'001, .changed_ns = 2};
}

class DigestCacheTest : public ::testing::Test {
 protected:
  std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    if (!fs::exists(folder_)) return files;
    for (const auto& entry : fs::directory_iterator(folder_)) files.push_back(entry.path());
    return files;
  }

  const TempFile file_;
  const std::string folder_ = file_.path() + "/a/digests";  // whose parents are missing, too
  const DigestCache cache_{folder_};
  const std::vector<FileState> parts_ = {Old(1), Old(2)};
};

TEST_F(DigestCacheTest, FindsWhatItKept) {
  EXPECT_EQ(cache_.Find(kName, parts_), std::nullopt);
  cache_.Keep(kName, parts_, kDigest);
  EXPECT_THAT(cache_.Find(kName, parts_), Optional(kDigest));
  EXPECT_THAT(DigestCache(folder_).Find(kName, parts_), Optional(kDigest));
  EXPECT_EQ(cache_.Find("/models/b.gguf", parts_), std::nullopt);
}

TEST_F(DigestCacheTest, AChangeOfAnyPartIsAnotherFile) {
  cache_.Keep(kName, parts_, kDigest);
  for (auto member : {&FileState::modified_ns, &FileState::changed_ns}) {
    std::vector<FileState> changed = parts_;
    ++(changed[1].*member);
    EXPECT_EQ(cache_.Find(kName, changed), std::nullopt);
  }
  for (auto member : {&FileState::inode, &FileState::size}) {
    std::vector<FileState> changed = parts_;
    ++(changed[0].*member);
    EXPECT_EQ(cache_.Find(kName, changed), std::nullopt);
  }
  EXPECT_EQ(cache_.Find(kName, {{Old(2), Old(1)}}), std::nullopt);
  EXPECT_EQ(cache_.Find(kName, {{Old(1)}}), std::nullopt);
}

TEST_F(DigestCacheTest, AModelHasOneEntry) {
  cache_.Keep(kName, {{Old(1)}}, kDigest);
  const std::string other(64, 'b');
  cache_.Keep(kName, {{Old(3)}}, other);
  EXPECT_EQ(Files().size(), 1u);
  EXPECT_EQ(cache_.Find(kName, {{Old(1)}}), std::nullopt);
  EXPECT_THAT(cache_.Find(kName, {{Old(3)}}), Optional(other));
}

TEST_F(DigestCacheTest, KeepsTheNewestEntriesAndFilesOfOthers) {
  fs::create_directories(folder_);
  std::ofstream(folder_ + "/notes") << "mine";
  constexpr int kEntries = 260;
  for (int i = 0; i < kEntries; ++i) {
    cache_.Keep("/models/" + std::to_string(i), parts_, kDigest);
    if (i != 3) continue;
    // Some file systems have coarse clocks.
    for (const fs::path& path : Files()) {
      fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
    }
  }
  EXPECT_EQ(Files().size(), 257u);
  EXPECT_TRUE(fs::exists(folder_ + "/notes"));
  for (const int gone : {0, 1, 2, 3}) {
    EXPECT_EQ(cache_.Find("/models/" + std::to_string(gone), parts_), std::nullopt) << gone;
  }
  EXPECT_THAT(cache_.Find("/models/4", parts_), Optional(kDigest));
  EXPECT_THAT(cache_.Find("/models/259", parts_), Optional(kDigest));
}

// A second change within the same tick of the file system's clock would go unnoticed.
TEST_F(DigestCacheTest, KeepsNothingOfAFileThatWasJustChanged) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  for (auto member : {&FileState::modified_ns, &FileState::changed_ns}) {
    std::vector<FileState> fresh = parts_;
    fresh[1].*member = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
    cache_.Keep(kName, fresh, kDigest);
    EXPECT_THAT(Files(), IsEmpty());
  }
}

TEST_F(DigestCacheTest, DamagedEntriesAreNone) {
  cache_.Keep(kName, parts_, kDigest);
  ASSERT_EQ(Files().size(), 1u);
  const fs::path path = Files()[0];
  std::string entry(fs::file_size(path), '\0');
  std::ifstream(path).read(entry.data(), static_cast<std::streamsize>(entry.size()));
  const auto write = [&path](const std::string& text) { std::ofstream(path) << text; };
  for (size_t at = 0; at < entry.size(); ++at) {
    std::string damaged = entry;
    damaged[at] ^= 1;
    write(damaged);
    EXPECT_EQ(cache_.Find(kName, parts_), std::nullopt) << at;
    write(entry.substr(0, at));
    EXPECT_EQ(cache_.Find(kName, parts_), std::nullopt) << at;
  }
  write(entry + "\n");
  EXPECT_EQ(cache_.Find(kName, parts_), std::nullopt);
  write(entry);
  EXPECT_THAT(cache_.Find(kName, parts_), Optional(kDigest));
}

TEST_F(DigestCacheTest, WithoutAFolderThereIsNothing) {
  for (const std::string& folder : {std::string(), std::string("/proc/nowhere")}) {
    const DigestCache none(folder);
    none.Keep(kName, parts_, kDigest);
    EXPECT_EQ(none.Find(kName, parts_), std::nullopt);
  }
}

TEST_F(DigestCacheTest, WhatIsNoFileIsNotKept) {
  cache_.Keep(kName, {}, kDigest);
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_EQ(cache_.Find(kName, {}), std::nullopt);
}

}  // namespace
}  // namespace lockstep
