// Whether what the server may come to need of memory is there. Memory is taken as it is used, so
// without this check a server that starts well can be killed under load. Pure but for
// FindMemoryLimit, which reads files.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/transformer/kv_cache.h"
#include "server/host/cgroup.h"

namespace lockstep {

struct MemoryLimit {
  size_t bytes = 0;
  std::string source;  // "memory.max", "memory.limit_in_bytes", "MemAvailable", "ulimit -v", ...
  // Address space is limited too, and memory that is reserved and not yet used counts.
  bool of_addresses = false;
};

// The least of what all control groups above this process allow, what the system has left, and what
// the process may map.
MemoryLimit FindMemoryLimit(const CgroupPaths& paths = {}, const std::string& proc = "/proc");

struct MemoryNeeds {
  size_t model_bytes = 0;
  size_t other_bytes = 0;  // all that depends on neither context nor requests
  size_t sessions = 0;
  size_t context = 0;        // of each; 0: as much of the model's as fits
  size_t model_context = 0;  // the model's
  // Every session has room for its whole context; else they share what there is, and at least one
  // whole context.
  bool whole_sessions = false;
  KvCost session_kv;          // of a session
  size_t token_bytes = 0;     // keys and values of one position, in all layers
  size_t state_bytes = 0;     // of recurrent layers
  size_t prefix_bytes = 0;    // of the prefix store, which gets a whole context's if that is more
  bool prefix_fixed = false;  // it gets what was asked for
  size_t kv_bytes = 0;        // sessions and prefix store together at most; 0: what the rest leaves
  size_t draft_caches = 0;    // of a draft model, or fewer where memory is short
  size_t draft_cache_bytes = 0;    // of each
  size_t request_bytes = 0;        // for what requests hold; 0: a share of the memory
  size_t least_request_bytes = 0;  // of that share
  // What the rest would be smaller by with the least that each of these flags can ask for.
  std::vector<std::pair<std::string, size_t>> other_flags;
  bool chosen = false;  // any of these sizes was asked for, and is not a default
};

struct MemoryPlan {
  size_t context = 0;  // positions of a session
  size_t model_bytes = 0, session_bytes = 0, prefix_bytes = 0, request_bytes = 0, other_bytes = 0;
  size_t draft_caches = 0, draft_bytes = 0;  // of a draft model, and what they take in all
  size_t budget_bytes = 0;
  size_t total_bytes() const {
    return model_bytes + session_bytes + prefix_bytes + draft_bytes + request_bytes + other_bytes;
  }
};

// Where memory is short the context is smaller, if it was not asked for; then the prefix store, as
// far as one whole context; then the sessions share; then the prefix store goes; then a draft
// model's caches, which have a quarter of what the models leave at most. If that is not enough:
// kInvalidArgument where the sizes were chosen, else kUnavailable, with the sum and what to lower.
[[nodiscard]] Result<MemoryPlan> PlanMemory(const MemoryNeeds& needs, const MemoryLimit& limit);

// "1.5 GiB", "64.0 MiB": for people.
std::string BytesText(size_t bytes);

}  // namespace lockstep
