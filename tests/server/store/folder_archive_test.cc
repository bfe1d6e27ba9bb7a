// Files appear whole, the oldest go, and several archives have one folder.
#include "server/store/folder_archive.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "server/host/descriptor.h"
#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using Clock = BlockArchive::Clock;

constexpr size_t kBytes = 1000;

BlockKey KeyOf(size_t i) {
  BlockKey key{};
  key[0] = static_cast<uint8_t>(i % 5);  // a few folders
  key[30] = static_cast<uint8_t>(i / 256);
  key[31] = static_cast<uint8_t>(i);
  return key;
}

std::vector<uint8_t> BytesOf(size_t i) {
  std::vector<uint8_t> bytes(kBytes, static_cast<uint8_t>(i * 7));
  bytes[0] = static_cast<uint8_t>(i / 256);
  return bytes;
}

class FolderArchiveTest : public testing::Test {
 protected:
  std::unique_ptr<FolderArchive> Open(size_t max_bytes = 1 << 20) const {
    return FolderArchive::Open(folder(), kBytes, max_bytes).value();
  }
  std::string folder() const { return parent_.path() + "/a/b"; }
  std::string FileOf(size_t i) const {
    std::string name;
    for (const uint8_t byte : KeyOf(i)) {
      name += "0123456789abcdef"[byte / 16];
      name += "0123456789abcdef"[byte % 16];
      if (name.size() == 2) name += '/';
    }
    return folder() + "/" + name;
  }
  // As many of the keys from `first` on as are there, in one call.
  static std::vector<std::vector<uint8_t>> GetFrom(FolderArchive& archive, size_t first, size_t n) {
    std::vector<BlockKey> keys;
    for (size_t i = 0; i < n; ++i) keys.push_back(KeyOf(first + i));
    std::vector<std::vector<uint8_t>> all;
    EXPECT_TRUE(archive.Get(keys, Clock::now() + std::chrono::seconds(60),
                            [&](std::span<const uint8_t> bytes) {
                              all.emplace_back(bytes.begin(), bytes.end());
                              return true;
                            }));
    return all;
  }
  static bool Has(FolderArchive& archive, size_t i) { return !GetFrom(archive, i, 1).empty(); }
  // Of blocks, whole or not. Nobody else writes or removes one meanwhile.
  size_t BytesInFolder() const {
    const Descriptor lock(open((folder() + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    EXPECT_EQ(flock(lock.number(), LOCK_EX), 0);
    size_t bytes = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder())) {
      if (entry.is_regular_file() && entry.path().filename() != "lock") bytes += entry.file_size();
    }
    return bytes;
  }
  static void SetAge(const std::string& file, int seconds) {
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::seconds(seconds));
  }

  TempFile parent_;
};

TEST_F(FolderArchiveTest, WhatWasPutIsThereForOthersToo) {
  auto archive = Open();
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(archive->Put(KeyOf(i), BytesOf(i)).value(), kBytes);
  EXPECT_EQ(archive->Put(KeyOf(3), BytesOf(3)).value(), 0u);  // it is there
  for (const auto& reader : {Open(), std::move(archive)}) {
    const auto blocks = GetFrom(*reader, 2, 20);
    ASSERT_EQ(blocks.size(), 8u);
    for (size_t i = 0; i < 8; ++i) EXPECT_EQ(blocks[i], BytesOf(2 + i));
    EXPECT_TRUE(GetFrom(*reader, 10, 1).empty());
    reader->Forget(KeyOf(5));
    EXPECT_EQ(GetFrom(*reader, 2, 20).size(), 3u);
    EXPECT_TRUE(reader->Put(KeyOf(5), BytesOf(5)));
  }
}

TEST_F(FolderArchiveTest, NothingIsReadAfterTheDeadlineOrWhenNoMoreIsWanted) {
  const auto archive = Open();
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(archive->Put(KeyOf(i), BytesOf(i)));
  const std::vector<BlockKey> keys = {KeyOf(0), KeyOf(1), KeyOf(2)};
  size_t had = 0;
  EXPECT_TRUE(archive->Get(keys, Clock::now(), [&](auto) { return ++had > 0; }));
  EXPECT_EQ(had, 0u);
  EXPECT_TRUE(
      archive->Get(keys, Clock::now() + std::chrono::hours(1), [&](auto) { return ++had < 2; }));
  EXPECT_EQ(had, 2u);
}

// Whoever opens the bytes sees what is wrong with them: all are handed over, and one more.
TEST_F(FolderArchiveTest, FilesOfOtherLengthsAreHandedOverAsTheyAre) {
  const auto archive = Open();
  for (const size_t size : {0, 1, 999, 1001, 5000}) {
    EXPECT_TRUE(archive->Put(KeyOf(size), BytesOf(size)));
    std::ofstream(FileOf(size), std::ios::binary | std::ios::trunc) << std::string(size, 'x');
    const auto blocks = GetFrom(*archive, size, 1);
    ASSERT_EQ(blocks.size(), 1u);
    EXPECT_EQ(blocks[0].size(), std::min<size_t>(size, kBytes + 1));
  }
  fs::create_directories(FileOf(7777));
  const auto folder = GetFrom(*archive, 7777, 1);
  EXPECT_TRUE(folder.empty() || folder[0].empty());
}

TEST_F(FolderArchiveTest, WhatIsNoFileIsDamagedAndWaitedForByNobody) {
  const auto archive = Open();
  ASSERT_TRUE(archive->Put(KeyOf(1), BytesOf(1)));
  fs::remove(FileOf(1));
  ASSERT_EQ(mkfifo(FileOf(1).c_str(), 0600), 0);
  EXPECT_EQ(GetFrom(*archive, 1, 1), std::vector<std::vector<uint8_t>>{{}});
  archive->Forget(KeyOf(1));
  ASSERT_TRUE(archive->Put(KeyOf(1), BytesOf(1)));
  EXPECT_EQ(GetFrom(*archive, 1, 1), std::vector<std::vector<uint8_t>>{BytesOf(1)});
}

TEST_F(FolderArchiveTest, TheOldestGoAndThoseThatWereReadStay) {
  auto archive = Open(40 * kBytes);
  for (size_t i = 0; i < 38; ++i) {
    EXPECT_TRUE(archive->Put(KeyOf(i), BytesOf(i)));
    SetAge(FileOf(i), static_cast<int>(1000 - i));
  }
  EXPECT_TRUE(Has(*archive, 0));  // which makes it the newest
  for (size_t i = 100; i < 110; ++i) EXPECT_TRUE(archive->Put(KeyOf(i), BytesOf(i)));
  EXPECT_LE(BytesInFolder(), 40 * kBytes);
  EXPECT_GE(BytesInFolder(), 30 * kBytes);
  EXPECT_TRUE(fs::exists(FileOf(0)));
  EXPECT_FALSE(fs::exists(FileOf(1)));
  EXPECT_FALSE(fs::exists(FileOf(2)));
  EXPECT_TRUE(fs::exists(FileOf(37)));
  EXPECT_TRUE(fs::exists(FileOf(109)));
}

TEST_F(FolderArchiveTest, AFullFolderOfAnEarlierProcessIsWithinTheBoundAfterOneWrite) {
  {
    const auto archive = Open(1 << 20);
    for (size_t i = 0; i < 100; ++i) EXPECT_TRUE(archive->Put(KeyOf(i), BytesOf(i)));
  }
  EXPECT_TRUE(Open(20 * kBytes)->Put(KeyOf(200), BytesOf(200)));
  EXPECT_LE(BytesInFolder(), 20 * kBytes);
}

TEST_F(FolderArchiveTest, FilesOfOthersStayAndUnfinishedOnesGo) {
  auto archive = Open(5 * kBytes);
  EXPECT_TRUE(archive->Put(KeyOf(0), BytesOf(0)));
  const fs::path part = fs::path(FileOf(0)).parent_path();
  for (const char* name : {"notes.txt", ".0123456789abcdef.new", ".fedcba9876543210.new"}) {
    std::ofstream(part / name) << std::string(9 * kBytes, 'x');
  }
  SetAge(part / ".fedcba9876543210.new", 4000);
  SetAge(part / "notes.txt", 4000);
  archive = Open(5 * kBytes);
  for (size_t i = 1; i < 20; ++i) EXPECT_TRUE(archive->Put(KeyOf(i), BytesOf(i)));
  EXPECT_TRUE(fs::exists(part / "notes.txt"));
  EXPECT_TRUE(fs::exists(part / ".0123456789abcdef.new"));  // somebody may be at it
  EXPECT_FALSE(fs::exists(part / ".fedcba9876543210.new"));
  EXPECT_TRUE(Has(*archive, 19));
}

// Each of four processes writes, reads and removes in a folder that has room for a part of it, and
// whenever one looks, there is no more than that.
TEST_F(FolderArchiveTest, SeveralProcessesSeeWholeBlocksOrNone) {
  constexpr size_t kBlocks = 400, kBound = 100 * kBytes;
  fs::create_directories(folder());
  std::vector<pid_t> children;
  for (size_t process = 0; process < 4; ++process) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const auto archive = Open(kBound);
      int wrong = 0;
      for (size_t n = 0; n < 3 * kBlocks; ++n) {
        const size_t i = (n * (2 * process + 1) + 31 * process) % kBlocks;
        if (!archive->Put(KeyOf(i), BytesOf(i))) ++wrong;
        const size_t j = i * 17 % kBlocks;
        for (const auto& bytes : GetFrom(*archive, j, 1)) wrong += bytes != BytesOf(j) ? 1 : 0;
      }
      _exit(wrong == 0 ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    pid_t ended = 0;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0) {
      EXPECT_LE(BytesInFolder(), kBound);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(ended, child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_LE(BytesInFolder(), kBound);
  EXPECT_GT(BytesInFolder(), kBound / 2);
}

// Two that know nothing of each other's blocks: the second has counted before the first one wrote.
TEST_F(FolderArchiveTest, WhatOthersWroteSinceTheCountIsWithinTheBound) {
  const auto first = Open(64 * kBytes), second = Open(64 * kBytes);
  EXPECT_TRUE(second->Put(KeyOf(1000), BytesOf(1000)));
  for (size_t i = 0; i < 63; ++i) EXPECT_TRUE(first->Put(KeyOf(i), BytesOf(i)));
  EXPECT_EQ(BytesInFolder(), 64 * kBytes);
  EXPECT_TRUE(second->Put(KeyOf(1001), BytesOf(1001)));
  EXPECT_LE(BytesInFolder(), 64 * kBytes);
}

TEST_F(FolderArchiveTest, AProcessThatStopsWhileItHasTheLockStopsNobodyElse) {
  const auto archive = Open();
  EXPECT_TRUE(archive->Put(KeyOf(1), BytesOf(1)));
  {
    const Descriptor stopped(open((folder() + "/lock").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(flock(stopped.number(), LOCK_EX), 0);
    const auto written = archive->Put(KeyOf(2), BytesOf(2));
    ASSERT_FALSE(written);
    EXPECT_NE(written.error().message.find("is locked by another process"), std::string::npos);
    EXPECT_TRUE(Has(*archive, 1));
  }
  EXPECT_EQ(archive->Put(KeyOf(2), BytesOf(2)).value(), kBytes);
}

TEST_F(FolderArchiveTest, ASumThatIsLostIsCountedAgain) {
  const auto archive = Open(64 * kBytes);
  for (size_t i = 0; i < 64; ++i) EXPECT_TRUE(archive->Put(KeyOf(i), BytesOf(i)));
  for (const std::string sum : {"", "0", "-0000000000000000001", "nothing that is a sum"}) {
    std::ofstream(folder() + "/lock", std::ios::trunc) << sum;
    for (size_t i = 0; i < 20; ++i) {
      EXPECT_TRUE(archive->Put(KeyOf(100 * sum.size() + 100 + i), BytesOf(i)));
    }
    EXPECT_LE(BytesInFolder(), 64 * kBytes) << sum;
    EXPECT_GT(BytesInFolder(), 32 * kBytes) << sum;
  }
}

TEST_F(FolderArchiveTest, WhatCannotBeAFolderIsRefused) {
  parent_.Write({});
  const auto archive = FolderArchive::Open(parent_.path(), kBytes, 1 << 20);
  ASSERT_FALSE(archive);
  EXPECT_EQ(archive.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_NE(archive.error().message.find(parent_.path() + " is no folder"), std::string::npos);
  const auto small = FolderArchive::Open(parent_.path() + "-b", kBytes, kBytes - 1);
  ASSERT_FALSE(small);
  EXPECT_NE(small.error().message.find("--prefix-dir-size: a block of this model takes 1000 bytes"),
            std::string::npos);
}

TEST_F(FolderArchiveTest, AFolderThatCannotBeMadeAgainIsAnErrorOfWritesOnly) {
  const auto archive = Open();
  EXPECT_TRUE(archive->Put(KeyOf(0), BytesOf(0)));
  fs::remove_all(folder());
  EXPECT_FALSE(Has(*archive, 0));
  std::ofstream(folder()) << "a file";
  const auto written = archive->Put(KeyOf(0), BytesOf(0));
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().message.find("cannot be written to"), std::string::npos);
}

// Whoever cleans up caches removes all of it.
TEST_F(FolderArchiveTest, AFolderThatIsRemovedIsMadeAgain) {
  const auto archive = Open();
  ASSERT_TRUE(archive->Put(KeyOf(1), BytesOf(1)));
  fs::remove_all(parent_.path() + "/a");
  const auto put = archive->Put(KeyOf(2), BytesOf(2));
  ASSERT_TRUE(put) << put.error().message;
  EXPECT_EQ(*put, kBytes);
  EXPECT_TRUE(fs::exists(FileOf(2)));
  EXPECT_FALSE(fs::exists(FileOf(1)));
}

}  // namespace
}  // namespace lockstep
