// What is given to the archiver comes back, and an archive that fails, hangs or lies costs nobody
// more than its blocks.
#include "core/engine/prefix_archiver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "core/engine/block_format.h"
#include "core/engine/prefix_store.h"
#include "tests/support/memory_archive.h"

namespace lockstep {
namespace {

using Clock = BlockArchive::Clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr size_t kBlock = PrefixStore::kBlock, kBytes = 100;

std::vector<int32_t> Text(size_t blocks) {
  std::vector<int32_t> tokens(blocks * kBlock);
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

BlockPayload PayloadOf(size_t block) { return BlockPayload(kBytes, static_cast<uint8_t>(block)); }

PrefixArchiverOptions OptionsFor(std::string fingerprint = "ls3-0") {
  return {.fingerprint = std::move(fingerprint), .payload_bytes = kBytes};
}

// Gives the archive the first blocks of the text.
void Archive(MemoryArchive& archive, size_t blocks, const std::string& scope = "") {
  PrefixArchiver archiver(archive, OptionsFor());
  BlockKey key = RootKey("ls3-0", scope);
  const std::vector<int32_t> text = Text(blocks);
  for (size_t i = 0; i < blocks; ++i) {
    key = NextKey(key, std::span(text).subspan(i * kBlock, kBlock));
    EXPECT_TRUE(archiver.HasRoom());
    archiver.Write(key, PayloadOf(i));
  }
}

// All that comes of the text from `first` on.
std::vector<BlockPayload> FetchAll(PrefixArchiver& archiver, size_t blocks, size_t first = 0,
                                   const std::string& scope = "",
                                   Clock::duration within = seconds(60)) {
  const auto fetch = archiver.Fetch(scope, Text(blocks), first, Clock::now() + within);
  if (fetch == nullptr) return {};
  std::vector<BlockPayload> all;
  for (bool ended = false; !ended;) {
    std::this_thread::sleep_for(milliseconds(1));
    ended = fetch->ended();
    auto [begin, some] = fetch->Take();
    EXPECT_EQ(begin, first + all.size());
    for (BlockPayload& block : some) all.push_back(std::move(block));
  }
  fetch->Close();
  return all;
}

TEST(PrefixArchiverTest, WhatWasWrittenIsFetchedFromAnyBlockOn) {
  MemoryArchive archive;
  Archive(archive, 5);
  EXPECT_EQ(archive.size(), 5u);
  PrefixArchiver archiver(archive, OptionsFor());
  for (const size_t first : {0, 2, 4}) {
    const std::vector<BlockPayload> blocks = FetchAll(archiver, 8, first);
    ASSERT_EQ(blocks.size(), 5 - first);
    for (size_t i = 0; i < blocks.size(); ++i) EXPECT_EQ(blocks[i], PayloadOf(first + i));
  }
  const ArchiveStats stats = archiver.stats();
  EXPECT_EQ(stats.hits, 5u + 3 + 1);
  EXPECT_EQ(stats.misses, 3u);
  EXPECT_EQ(stats.read_bytes, 9 * (kSealBytes + kBytes));
  EXPECT_EQ(stats.errors, 0u);
}

TEST(PrefixArchiverTest, AnotherScopeOrFingerprintFindsNothing) {
  MemoryArchive archive;
  Archive(archive, 3, "one");
  PrefixArchiver archiver(archive, OptionsFor()), other(archive, OptionsFor("ls3-1"));
  EXPECT_EQ(FetchAll(archiver, 3, 0, "one").size(), 3u);
  EXPECT_TRUE(FetchAll(archiver, 3, 0, "two").empty());
  EXPECT_TRUE(FetchAll(archiver, 3, 0, "").empty());
  EXPECT_TRUE(FetchAll(other, 3, 0, "one").empty());
}

TEST(PrefixArchiverTest, ADamagedBlockEndsAFetchAndIsForgotten) {
  MemoryArchive archive;
  Archive(archive, 1);
  archive.ForEach([](std::vector<uint8_t>& bytes) { bytes.back() ^= 1; });
  Archive(archive, 3);  // the first stays as it is
  EXPECT_EQ(archive.size(), 3u);
  PrefixArchiver archiver(archive, OptionsFor());
  EXPECT_TRUE(FetchAll(archiver, 3).empty());
  EXPECT_EQ(archiver.stats().errors, 1u);
  EXPECT_EQ(archiver.stats().misses, 1u);
  EXPECT_EQ(archive.size(), 2u);
}

TEST(PrefixArchiverTest, AFetchEndsAtItsDeadline) {
  MemoryArchive archive;
  Archive(archive, 100);
  archive.delay = milliseconds(20);
  PrefixArchiver archiver(archive, OptionsFor());
  const auto begin = Clock::now();
  const std::vector<BlockPayload> blocks = FetchAll(archiver, 100, 0, "", milliseconds(200));
  EXPECT_LT(blocks.size(), 12u);
  EXPECT_LT(Clock::now() - begin, seconds(2));  // all would take as long
  for (size_t i = 0; i < blocks.size(); ++i) EXPECT_EQ(blocks[i], PayloadOf(i));
}

TEST(PrefixArchiverTest, AnArchiveThatHangsIsAskedOnce) {
  MemoryArchive archive;
  Archive(archive, 3);
  archive.hangs = true;
  PrefixArchiver archiver(archive, OptionsFor());
  const auto fetch = archiver.Fetch("", Text(3), 0, Clock::now() + milliseconds(20));
  ASSERT_NE(fetch, nullptr);
  while (archive.gets == 0) std::this_thread::sleep_for(milliseconds(1));
  while (!fetch->ended()) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(archiver.Fetch("", Text(3), 0, Clock::now() + seconds(60)), nullptr);
  archive.hangs = false;
  EXPECT_EQ(archive.gets, 1u);
}

TEST(PrefixArchiverTest, AnArchiveThatFailsIsLeftAloneForAWhile) {
  MemoryArchive archive;
  Archive(archive, 3);
  archive.fails = true;
  std::atomic<size_t> warnings{0};
  PrefixArchiverOptions options = OptionsFor();
  options.warn = [&warnings](const std::string& problem) {
    EXPECT_EQ(problem, "the archive fails");
    ++warnings;
  };
  PrefixArchiver archiver(archive, options);
  EXPECT_TRUE(FetchAll(archiver, 3).empty());
  archive.fails = false;
  EXPECT_EQ(archiver.Fetch("", Text(3), 0, Clock::now() + seconds(60)), nullptr);
  std::vector<BlockPayload> blocks;
  while (blocks.empty()) {  // after a second
    std::this_thread::sleep_for(milliseconds(20));
    blocks = FetchAll(archiver, 3);
  }
  EXPECT_EQ(blocks.size(), 3u);
  EXPECT_EQ(warnings, 1u);
  EXPECT_EQ(archiver.stats().errors, 1u);
}

TEST(PrefixArchiverTest, WritesBeyondTheQueueAreDroppedAndCounted) {
  MemoryArchive archive;
  archive.hangs = true;
  PrefixArchiverOptions options = OptionsFor();
  options.write_bytes = 3 * kBytes;
  PrefixArchiver archiver(archive, options);
  size_t written = 0;
  for (size_t i = 0; i < 10; ++i) {
    if (!archiver.HasRoom()) continue;
    archiver.Write(RootKey("ls3-0", std::to_string(i)), PayloadOf(i));
    ++written;
  }
  EXPECT_EQ(written, 3u);  // one of them is being written
  EXPECT_EQ(archiver.stats().dropped, 7u);
  archive.hangs = false;
  while (archive.size() < 3) std::this_thread::sleep_for(milliseconds(1));
  while (!archiver.HasRoom()) std::this_thread::sleep_for(milliseconds(1));
}

// Beyond it the thread waits until blocks are taken.
TEST(PrefixArchiverTest, FetchedBlocksTakeNoMoreThanTheirRoom) {
  MemoryArchive archive;
  Archive(archive, 40);
  PrefixArchiverOptions options = OptionsFor();
  options.fetch_bytes = 4 * kBytes;
  PrefixArchiver archiver(archive, options);
  const auto fetch = archiver.Fetch("", Text(40), 0, Clock::now() + seconds(60));
  size_t had = 0;
  for (bool ended = false; !ended;) {
    std::this_thread::sleep_for(milliseconds(3));
    ended = fetch->ended();
    const auto blocks = fetch->Take().second;
    EXPECT_LE(blocks.size(), 4u);
    had += blocks.size();
  }
  EXPECT_EQ(had, 40u);
}

TEST(PrefixArchiverTest, AClosedFetchHoldsNobodyUp) {
  MemoryArchive archive;
  Archive(archive, 40);
  PrefixArchiverOptions options = OptionsFor();
  options.fetch_bytes = kBytes;
  PrefixArchiver archiver(archive, options);
  const auto fetch = archiver.Fetch("", Text(40), 0, Clock::now() + seconds(600));
  while (archiver.stats().hits == 0) std::this_thread::sleep_for(milliseconds(1));
  fetch->Close();  // its block stays where it is
  while (!fetch->ended()) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_EQ(fetch->Take().second.size(), 1u);
  EXPECT_EQ(FetchAll(archiver, 40).size(), 40u);
}

}  // namespace
}  // namespace lockstep
