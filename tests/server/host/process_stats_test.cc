#include "server/host/process_stats.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

namespace lockstep {
namespace {

namespace fs = std::filesystem;

TEST(ProcessStats, AreThoseOfThisProcess) {
  const ProcessStats stats = ReadProcessStats();
  EXPECT_GT(stats.resident_bytes, 1e6);
  EXPECT_GE(stats.open_fds, 3);
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_LE(stats.start_time_s, now + 2);  // of clock ticks and a second's rounding
  EXPECT_GT(stats.start_time_s, now - 3600);
  EXPECT_GT(stats.cpu_s, 0);
  const int copy = dup(0);
  EXPECT_EQ(ReadProcessStats().open_fds, stats.open_fds + 1);
  close(copy);
}

// Waiting in a group above is waiting too.
TEST(ProcessStats, ThrottledPeriodsOfAllGroupsAreAdded) {
  const fs::path root = fs::path(testing::TempDir()) / ("throttled" + std::to_string(getpid()));
  fs::create_directories(root / "cgroup/pod/box");
  std::ofstream(root / "self") << "0::/pod/box\n";
  const CgroupPaths paths{root / "cgroup", root / "self"};
  EXPECT_EQ(ThrottledPeriods(paths), 0u);
  std::ofstream(root / "cgroup/pod/box/cpu.stat") << "nr_periods 10\nnr_throttled 3\n";
  std::ofstream(root / "cgroup/pod/cpu.stat") << "usage_usec 1\nnr_throttled 4\nthrottled_usec 9\n";
  EXPECT_EQ(ThrottledPeriods(paths), 7u);
  fs::remove_all(root);
}

}  // namespace
}  // namespace lockstep
