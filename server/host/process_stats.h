// What the kernel knows of this process, from /proc and its control groups.
#pragma once

#include <cstddef>

#include "server/host/cgroup.h"

namespace lockstep {

struct ProcessStats {
  double resident_bytes = 0, mapped_bytes = 0;
  double open_fds = 0;
  double start_time_s = 0;  // Unix time
  double cpu_s = 0;         // used by all threads
};
ProcessStats ReadProcessStats();

// The number of periods of their CPU quota in which the process's control groups had to wait.
size_t ThrottledPeriods(const CgroupPaths& paths = {});

}  // namespace lockstep
