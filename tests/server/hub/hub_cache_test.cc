#include "server/hub/hub_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/temp_file.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

const std::string kCommit(40, 'a'), kOther(40, 'b'), kHash(64, '1');

class HubCacheTest : public testing::Test {
 protected:
  // A file as a download leaves it.
  void Put(const std::string& commit, const std::string& file, const std::string& hash) {
    fs::create_directories(fs::path(cache_.BlobPath("u/r", hash)).parent_path());
    std::ofstream(cache_.BlobPath("u/r", hash)) << hash;
    ASSERT_TRUE(cache_.Link("u/r", commit, file, hash));
  }

  const TempFile temp_;
  const std::string folder_ = fs::path(temp_.path()).parent_path().string() + "/hub";
  const HubCache cache_{folder_};
};

TEST_F(HubCacheTest, HasTheLayoutOfHuggingFace) {
  Put(kCommit, "d/m.gguf", kHash);
  const std::string link = folder_ + "/models--u--r/snapshots/" + kCommit + "/d/m.gguf";
  EXPECT_EQ(cache_.LinkPath("u/r", kCommit, "d/m.gguf"), link);
  EXPECT_EQ(fs::read_symlink(link), "../../../blobs/" + kHash);
  EXPECT_TRUE(fs::is_regular_file(link));
  EXPECT_EQ(cache_.LockPath("u/r", kHash), folder_ + "/.locks/models--u--r/" + kHash + ".lock");
  ASSERT_TRUE(cache_.Link("u/r", kCommit, "d/m.gguf", kHash));  // once more
}

TEST_F(HubCacheTest, TheRevisionsSnapshotComesFirst) {
  EXPECT_THAT(cache_.Snapshots("u/r", "main"), IsEmpty());
  Put(kCommit, "m.gguf", kHash);
  Put(kOther, "m.gguf", std::string(64, '2'));
  const auto snapshot = [this](const std::string& commit) {
    return folder_ + "/models--u--r/snapshots/" + commit;
  };
  for (const std::string& first : {kCommit, kOther}) {
    ASSERT_TRUE(cache_.SetRevision("u/r", "main", first));
    const std::string& second = first == kCommit ? kOther : kCommit;
    EXPECT_THAT(cache_.Snapshots("u/r", "main"), ElementsAre(snapshot(first), snapshot(second)));
  }
  EXPECT_THAT(cache_.Snapshots("u/r", kCommit), ElementsAre(snapshot(kCommit)));
}

TEST_F(HubCacheTest, ListsWhatIsThereWhole) {
  Put(kCommit, "m-Q8_0-00001-of-00002.gguf", kHash);
  EXPECT_THAT(cache_.List(), IsEmpty());
  Put(kCommit, "m-Q8_0-00002-of-00002.gguf", std::string(64, '2'));
  Put(kCommit, "a-Q4_0.gguf", std::string(64, '3'));
  Put(kCommit, "b-Q4_0.gguf", std::string(64, '4'));
  Put(kCommit, "gone-F16.gguf", std::string(64, '5'));
  fs::remove(cache_.BlobPath("u/r", std::string(64, '5')));
  fs::create_directories(folder_ + "/models--odd/snapshots/x");
  std::vector<std::string> names;
  for (const CachedModel& model : cache_.List()) {
    names.push_back(model.repo + ":" + model.quant + " " + std::to_string(model.bytes));
  }
  EXPECT_THAT(names, ElementsAre("u/r:Q4_0 64", "u/r:Q8_0 128", "u/r:b-Q4_0.gguf 64"));
}

TEST_F(HubCacheTest, RemovesAllLinksToAFileAndLeavesTheRest) {
  Put(kCommit, "m-Q8_0.gguf", kHash);
  Put(kOther, "m-Q8_0.gguf", kHash);
  Put(kCommit, "m-Q4_0.gguf", std::string(64, '2'));
  auto models = cache_.List();
  ASSERT_EQ(models.size(), 2u);
  const auto freed = cache_.Remove({&models[1], 1});
  ASSERT_TRUE(freed.has_value()) << freed.error().message;
  EXPECT_EQ(*freed, 64u);
  EXPECT_FALSE(fs::exists(cache_.BlobPath("u/r", kHash)));
  EXPECT_FALSE(fs::exists(folder_ + "/models--u--r/snapshots/" + kOther));
  models = cache_.List();
  ASSERT_EQ(models.size(), 1u);
  // One that is just being fetched stays.
  const std::string lock_path = cache_.LockPath("u/r", std::string(64, '2'));
  {
    const auto lock = FileLock::Take(lock_path, {});
    EXPECT_EQ(cache_.Remove(models).error().kind, ErrorKind::kUnavailable);
  }
  ASSERT_TRUE(cache_.Remove(models).has_value());
  EXPECT_FALSE(fs::exists(folder_ + "/models--u--r"));
}

// Else the older one would be served under the name that was removed.
TEST_F(HubCacheTest, RemovesAllVersionsOfWhatIsNamed) {
  const std::string other_hash(64, '2');
  Put(kOther, "m-Q8_0.gguf", kHash);
  Put(kOther, "m-Q4_0.gguf", std::string(64, '3'));
  Put(kCommit, "m-Q8_0.gguf", other_hash);
  ASSERT_TRUE(cache_.SetRevision("u/r", "main", kCommit));
  const auto versions = cache_.Versions("u/r", "main", "Q8_0");
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_EQ(versions[0].paths[0], cache_.LinkPath("u/r", kCommit, "m-Q8_0.gguf"));
  EXPECT_EQ(versions[1].paths[0], cache_.LinkPath("u/r", kOther, "m-Q8_0.gguf"));
  EXPECT_EQ(cache_.Versions("u/r", kOther, "Q8_0").size(), 1u);
  EXPECT_EQ(cache_.Versions("u/r", "main", "").size(), 3u);
  EXPECT_EQ(cache_.Remove(versions).value_or(0), 128u);
  EXPECT_FALSE(fs::exists(cache_.BlobPath("u/r", kHash)));
  EXPECT_FALSE(fs::exists(cache_.BlobPath("u/r", other_hash)));
  ASSERT_EQ(cache_.List().size(), 1u);
  EXPECT_EQ(cache_.List()[0].quant, "Q4_0");
  EXPECT_FALSE(fs::exists(folder_ + "/models--u--r/refs"));  // it named the commit that is gone
}

TEST_F(HubCacheTest, AnotherModelThatTheNameWouldMeanIsNoVersionOfIt) {
  Put(kOther, "m-UD-Q8_0.gguf", kHash);
  Put(kCommit, "m-Q8_0.gguf", std::string(64, '2'));
  ASSERT_TRUE(cache_.SetRevision("u/r", "main", kCommit));
  const auto versions = cache_.Versions("u/r", "main", "Q8_0");
  ASSERT_EQ(versions.size(), 1u);
  EXPECT_EQ(versions[0].paths[0], cache_.LinkPath("u/r", kCommit, "m-Q8_0.gguf"));
}

TEST_F(HubCacheTest, AFileOutsideTheCacheStays) {
  Put(kCommit, "m-Q4_0.gguf", kHash);
  const std::string own = fs::path(temp_.path()).parent_path().string() + "/own.gguf";
  std::ofstream(own) << "GGUF";
  const std::string link = cache_.LinkPath("u/r", kCommit, "m-Q8_0.gguf");
  fs::create_symlink(own, link);
  EXPECT_EQ(cache_.Remove(cache_.Versions("u/r", "main", "Q8_0")).value_or(1), 0u);
  EXPECT_TRUE(fs::exists(own));
  EXPECT_FALSE(fs::is_symlink(link));
  EXPECT_EQ(cache_.List().size(), 1u);
  fs::remove(own);
}

TEST_F(HubCacheTest, ALockIsWaitedForAlsoWhereItsFileWasRemoved) {
  const std::string path = cache_.LockPath("u/r", kHash);
  std::atomic<int> waited = 0, order = 0;
  auto first = FileLock::Take(path, {});
  ASSERT_TRUE(first.has_value()) << first.error().message;
  std::thread other([&] {
    const auto second = FileLock::Take(path, [&waited] { ++waited; });
    EXPECT_TRUE(second.has_value());
    EXPECT_EQ(++order, 2);
  });
  while (waited == 0) std::this_thread::yield();
  fs::remove(path);
  EXPECT_EQ(++order, 1);
  { const FileLock gone = *std::move(first); }
  other.join();
  EXPECT_EQ(waited, 1);
}

}  // namespace
}  // namespace lockstep
