// startup_test starts servers with an archive; tests/events/run one with events.
#include "server/app/prefix_outlets.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(PrefixOutlets, NamesTheFlagsThatMeanNothingWithoutPrefixes) {
  Options options;
  EXPECT_EQ(VainPrefixFlags(options), "");
  options.prefix_dir = "folder";
  EXPECT_EQ(VainPrefixFlags(options), "--prefix-dir");
  options.prefix_cache_given = true;
  options.prefix_store = "redis://host";
  options.kv_events.endpoint = "tcp://*:5557";
  EXPECT_EQ(VainPrefixFlags(options), "--prefix-cache, --prefix-dir, --prefix-store, --kv-events");
  options.prefix_cache_mib = 0;  // to have none is what there is
  EXPECT_EQ(VainPrefixFlags(options), "--prefix-dir, --prefix-store, --kv-events");
}

TEST(PrefixOutlets, AnArchiveTakesMemoryWhereItIsAskedFor) {
  ModelConfig config;
  Options options;
  EXPECT_EQ(ArchiveBytes(options, config), 0u);
  options.prefix_dir = "folder";
  EXPECT_EQ(ArchiveBytes(options, config), size_t{64} << 20);
}

// The log says so.
TEST(PrefixOutlets, WithoutAPrefixCacheNothingIsStarted) {
  Options options;
  options.prefix_dir = "/nowhere";
  const auto archive = StartArchive(options, "ls3", nullptr);
  ASSERT_TRUE(archive);
  EXPECT_EQ(archive->archiver, nullptr);
}

}  // namespace
}  // namespace lockstep
