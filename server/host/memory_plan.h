// Whether what the server may come to need of memory is there. Memory is taken as it is used, so
// without this check a server that starts well can be killed under load. Pure but for
// FindMemoryLimit, which reads files.
#pragma once

#include <cstddef>
#include <string>

#include "core/base/status.h"
#include "server/host/cgroup.h"

namespace lockstep {

struct MemoryLimit {
  size_t bytes = 0;
  std::string source;  // "memory.max", "memory.limit_in_bytes" or "MemAvailable"
};

// The least of what all control groups above this process allow and what the system has left.
MemoryLimit FindMemoryLimit(const CgroupPaths& paths = {},
                            const std::string& meminfo = "/proc/meminfo");

struct MemoryNeeds {
  size_t model_bytes = 0;
  size_t sessions = 0, context = 0;
  size_t token_bytes = 0;     // keys and values of one position
  size_t prefix_bytes = 0;    // of the prefix store
  bool prefix_fixed = false;  // it may not be made smaller
  size_t kv_bytes = 0;        // sessions and prefix store together at most; 0: what the rest leaves
  bool chosen = false;        // any of these sizes was asked for, and is not a default
};

struct MemoryPlan {
  size_t model_bytes = 0, session_bytes = 0, prefix_bytes = 0, other_bytes = 0;
  size_t budget_bytes = 0;
  size_t total_bytes() const { return model_bytes + session_bytes + prefix_bytes + other_bytes; }
};

// The prefix store is made smaller first where it may be. If that is not enough: kInvalidArgument
// where the sizes were chosen, else kUnavailable, with the sum and what to lower.
[[nodiscard]] Result<MemoryPlan> PlanMemory(const MemoryNeeds& needs, const MemoryLimit& limit);

// "1.5 GiB", "64.0 MiB": for people.
std::string BytesText(size_t bytes);

}  // namespace lockstep
