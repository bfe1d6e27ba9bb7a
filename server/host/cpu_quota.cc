// std::thread::hardware_concurrency knows the affinity but no quota: in a container with two
// processors of 64 it would start 64 threads, which use up a period's quota in a few milliseconds
// and then all stand still to its end.
#include "server/host/cpu_quota.h"

#include <sched.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

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

}  // namespace

size_t CgroupCpus(const CgroupPaths& paths) {
  double smallest = kNoQuota;
  for (const fs::path& folder : CgroupFolders(paths, "cpu")) {
    smallest = std::min({smallest, QuotaV2(folder), QuotaV1(folder)});
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
