// The control groups that hold this process, as folders of files with their limits and counters.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

struct CgroupPaths {
  std::string mount = "/sys/fs/cgroup";
  std::string self = "/proc/self/cgroup";
};

// The folders where a controller ("cpu", "memory") of the process's groups, and of all groups above
// them, may have its files, in v2 and in v1: a limit anywhere on the way holds. Not all exist.
std::vector<std::filesystem::path> CgroupFolders(const CgroupPaths& paths,
                                                 std::string_view controller);

}  // namespace lockstep
