#include "server/host/cpu_quota.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace lockstep {
namespace {

namespace fs = std::filesystem;

// A folder that looks like /sys/fs/cgroup, and a file like /proc/self/cgroup.
class CpuQuotaTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_); }
  void TearDown() override { fs::remove_all(root_); }

  CgroupPaths Make(const std::string& self, const std::map<std::string, std::string>& files) {
    fs::remove_all(root_);
    fs::create_directories(root_);
    for (const auto& [path, content] : files) {
      fs::create_directories((root_ / "cgroup" / path).parent_path());
      std::ofstream(root_ / "cgroup" / path) << content << "\n";
    }
    std::ofstream(root_ / "self") << self;
    return {root_ / "cgroup", root_ / "self"};
  }

  const fs::path root_ =
      fs::path(testing::TempDir()) /
      (testing::UnitTest::GetInstance()->current_test_info()->name() + std::to_string(getpid()));
};

TEST_F(CpuQuotaTest, RoundsTheSmallestQuotaDown) {
  const std::string v2 = "0::/pod/box\n";
  const std::string v1 = "5:memory:/m\n4:cpu,cpuacct:/docker/abc\n";
  const std::string quota = "cpu.cfs_quota_us", period = "cpu.cfs_period_us";
  const struct {
    const char* what;
    std::string self;
    std::map<std::string, std::string> files;
    size_t cpus;
  } cases[] = {
      {"nothing", v2, {}, 0},
      {"v2 unlimited", v2, {{"pod/box/cpu.max", "max 100000"}}, 0},
      {"v2", v2, {{"pod/box/cpu.max", "250000 100000"}}, 2},
      {"v2 below one", v2, {{"pod/box/cpu.max", "50000 100000"}}, 1},
      {"v2 in the group above",
       v2,
       {{"pod/box/cpu.max", "max 100000"}, {"pod/cpu.max", "300000 100000"}},
       3},
      {"v2 the smallest",
       v2,
       {{"pod/box/cpu.max", "800000 100000"}, {"pod/cpu.max", "400000 100000"}},
       4},
      {"v2 own namespace", "0::/\n", {{"cpu.max", "150000 50000"}}, 3},
      {"v2 outside the mount", "0::/../x\n", {{"cpu.max", "200000 100000"}}, 2},
      {"v2 garbage", v2, {{"pod/box/cpu.max", "many"}, {"cpu.max", "0 0"}}, 0},
      {"v1",
       v1,
       {{"cpu,cpuacct/docker/abc/" + quota, "350000"},
        {"cpu,cpuacct/docker/abc/" + period, "100000"}},
       3},
      {"v1 by short name", v1, {{"cpu/" + quota, "200000"}, {"cpu/" + period, "100000"}}, 2},
      {"v1 unlimited", v1, {{"cpu/" + quota, "-1"}, {"cpu/" + period, "100000"}}, 0},
      {"v1 other controller",
       "3:cpuset:/x\n",
       {{"cpu/" + quota, "100000"}, {"cpu/" + period, "100000"}},
       0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.what);
    EXPECT_EQ(CgroupCpus(Make(c.self, c.files)), c.cpus);
  }
}

TEST_F(CpuQuotaTest, UsableIsTheLesserOfQuotaAndAffinity) {
  cpu_set_t all, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  const size_t affinity = static_cast<size_t>(CPU_COUNT(&all));
  EXPECT_EQ(UsableCpus(Make("0::/\n", {{"cpu.max", "max 100000"}})), affinity);
  EXPECT_EQ(UsableCpus(Make("0::/\n", {{"cpu.max", "100000 100000"}})), 1u);
  EXPECT_EQ(UsableCpus(Make("0::/\n", {{"cpu.max", "99900000 100000"}})), affinity);

  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(UsableCpus(Make("0::/\n", {})), 1u);
  sched_setaffinity(0, sizeof all, &all);
}

}  // namespace
}  // namespace lockstep
