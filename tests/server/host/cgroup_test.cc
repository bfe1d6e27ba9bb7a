#include "server/host/cgroup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

// The folders below "/mount" for a process whose /proc/self/cgroup has this text.
std::vector<fs::path> Folders(const std::string& self, std::string_view controller) {
  const fs::path file = fs::path(testing::TempDir()) / ("cgroup" + std::to_string(getpid()));
  std::ofstream(file) << self;
  std::vector<fs::path> folders = CgroupFolders({"/mount", file}, controller);
  fs::remove(file);
  return folders;
}

TEST(CgroupTest, Version2HasOneTreeForAllControllers) {
  EXPECT_THAT(Folders("0::/pod/box\n", "cpu"),
              ElementsAre("/mount", "/mount/pod", "/mount/pod/box"));
  EXPECT_THAT(Folders("0::/\n", "memory"), ElementsAre("/mount"));
}

// A controller may be mounted by its own name or by that of its line.
TEST(CgroupTest, Version1HasATreeForEachController) {
  const std::string self = "5:memory:/m\n4:cpu,cpuacct:/c\n3:cpuset:/s\n";
  EXPECT_THAT(Folders(self, "cpu"), ElementsAre("/mount/cpu,cpuacct", "/mount/cpu,cpuacct/c",
                                                "/mount/cpu", "/mount/cpu/c"));
  EXPECT_THAT(Folders(self, "memory"), ElementsAre("/mount/memory", "/mount/memory/m"));
  EXPECT_THAT(Folders(self, "cpuac"), IsEmpty());
}

TEST(CgroupTest, WhatIsMalformedOrMissingIsNoGroup) {
  EXPECT_THAT(Folders("rubbish\n:\n\n", "cpu"), IsEmpty());
  EXPECT_THAT(CgroupFolders({"/mount", "/no/such/file"}, "cpu"), IsEmpty());
}

}  // namespace
}  // namespace lockstep
