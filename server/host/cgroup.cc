// The files are read anew at each call, which happens at start and at scrapes only. Where v1 and v2
// are mounted together, lines of both are followed; a folder that does not exist has no limit.
#include "server/host/cgroup.h"

#include <fstream>

namespace lockstep {
namespace {

namespace fs = std::filesystem;

bool HasController(std::string_view list, std::string_view name) {
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (list.substr(begin, end - begin) == name) return true;
    begin = end + 1;
  }
  return false;
}

// From the mount down to the group. Inside a container without its own cgroup namespace the lower
// folders do not exist, and the mount's own files are the container's.
void AddPath(const fs::path& mount, const fs::path& group, std::vector<fs::path>& folders) {
  fs::path folder = mount;
  folders.push_back(folder);
  for (const fs::path& part : group.relative_path()) folders.push_back(folder /= part);
}

}  // namespace

std::vector<fs::path> CgroupFolders(const CgroupPaths& paths, std::string_view controller) {
  // Lines are "0::/path" (v2) and "4:cpu,cpuacct:/path" (v1).
  std::ifstream in(paths.self);
  const fs::path mount = paths.mount;
  std::vector<fs::path> folders;
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      AddPath(mount, group, folders);
    } else if (HasController(controllers, controller)) {
      AddPath(mount / controllers, group, folders);
      if (controllers != controller) AddPath(mount / controller, group, folders);
    }
  }
  return folders;
}

}  // namespace lockstep
