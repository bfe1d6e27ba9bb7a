#include "server/cpu_quota.h"

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr double kNoQuota = 1e9;

// "max 100000" or "150000 100000": microseconds of processor time per period.
double QuotaV2(const fs::path& group) {
  std::ifstream in(group / "cpu.max");
  double quota = 0, period = 0;
  return in >> quota >> period && quota > 0 && period > 0 ? quota / period : kNoQuota;
}

// A quota of -1 is none.
double QuotaV1(const fs::path& group) {
  std::ifstream quota_in(group / "cpu.cfs_quota_us"), period_in(group / "cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (!(quota_in >> quota) || !(period_in >> period)) return kNoQuota;
  return quota > 0 && period > 0 ? quota / period : kNoQuota;
}

// The group and those above it up to the mount: a limit anywhere on the way holds. Inside a
// container without its own cgroup namespace the lower folders do not exist, and the mount's own
// files are the container's.
double SmallestQuota(const fs::path& mount, const fs::path& group,
                     double (*quota)(const fs::path&)) {
  double smallest = quota(mount);
  fs::path folder = mount;
  for (const fs::path& part : group.relative_path()) {
    folder /= part;
    smallest = std::min(smallest, quota(folder));
  }
  return smallest;
}

bool HasController(std::string_view list, std::string_view name) {
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (list.substr(begin, end - begin) == name) return true;
    begin = end + 1;
  }
  return false;
}

}  // namespace

size_t CgroupCpus(const CgroupPaths& paths) {
  // Lines are "0::/path" (v2) and "4:cpu,cpuacct:/path" (v1).
  std::ifstream in(paths.self);
  const fs::path mount = paths.mount;
  double smallest = kNoQuota;
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      smallest = std::min(smallest, SmallestQuota(mount, group, QuotaV2));
    } else if (HasController(controllers, "cpu")) {
      smallest = std::min(smallest, SmallestQuota(mount / controllers, group, QuotaV1));
      smallest = std::min(smallest, SmallestQuota(mount / "cpu", group, QuotaV1));
    }
  }
  return smallest >= kNoQuota ? 0 : std::max<size_t>(1, static_cast<size_t>(smallest));
}

size_t UsableCpus(const CgroupPaths& paths) {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int affinity = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const size_t usable = std::max<size_t>(1, static_cast<size_t>(affinity));
  const size_t quota = CgroupCpus(paths);
  return quota == 0 ? usable : std::min(usable, quota);
}

}  // namespace lockstep
