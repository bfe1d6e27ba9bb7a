// How many threads this process can keep busy: the processors it may run on, and the share of
// them that its control groups allow. A container with more threads than quota is throttled in the
// middle of every step.
#pragma once

#include <cstddef>

#include "server/host/cgroup.h"

namespace lockstep {

// The smallest quota of the process's control groups (v2's cpu.max, v1's cpu.cfs_quota_us) and all
// groups above them, in processors, rounded down, at least 1; 0 if there is none.
size_t CgroupCpus(const CgroupPaths& paths = {});

// CgroupCpus, but no more than the scheduler affinity. At least 1.
size_t UsableCpus(const CgroupPaths& paths = {});

}  // namespace lockstep
