// The plan is a sum of what is known before a byte of the weights is read. It is compared with a
// share of the limit and not with all of it, because what it leaves out (page cache, the kernel's
// buffers) counts for the limit of a control group too.
#include "server/host/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

#include "core/engine/prefix_store.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
// A group without a limit says so with a number near 2^63 in v1.
constexpr size_t kLargestLimit = size_t{1} << 62;
// The rest is for the page cache, the kernel's share of sockets, and what was not thought of.
constexpr size_t kBudgetPercent = 80;
// Threads' stacks, scratch, the vocabulary, and bodies and buffers of requests under way.
constexpr size_t kOtherBytes = size_t{96} << 20;

// "max" and a missing file are no limit.
size_t ReadLimit(const fs::path& file) {
  std::ifstream in(file);
  size_t bytes = 0;
  return in >> bytes && bytes < kLargestLimit ? bytes : kNoLimit;
}

size_t ReadMeminfo(const std::string& meminfo, const std::string& key) {
  std::ifstream in(meminfo);
  for (std::string name, line; in >> name && std::getline(in, line);) {
    size_t kib = 0;
    if (name == key + ":" && std::istringstream(line) >> kib) return kib * 1024;
  }
  return kNoLimit;
}

size_t Minus(size_t a, size_t b) { return a > b ? a - b : 0; }

}  // namespace

MemoryLimit FindMemoryLimit(const CgroupPaths& paths, const std::string& meminfo) {
  MemoryLimit least{kNoLimit, "no limit"};
  const auto consider = [&least](size_t bytes, const char* source) {
    if (bytes < least.bytes) least = {bytes, source};
  };
  for (const fs::path& folder : CgroupFolders(paths, "memory")) {
    for (const char* file : {"memory.max", "memory.limit_in_bytes"}) {
      consider(ReadLimit(folder / file), file);
    }
  }
  const size_t available = ReadMeminfo(meminfo, "MemAvailable");
  consider(available, "MemAvailable");
  if (available == kNoLimit) consider(ReadMeminfo(meminfo, "MemTotal"), "MemTotal");
  return least;
}

Result<MemoryPlan> PlanMemory(const MemoryNeeds& needs, const MemoryLimit& limit) {
  MemoryPlan plan;
  plan.budget_bytes = limit.bytes / 100 * kBudgetPercent;
  plan.model_bytes = needs.model_bytes;
  plan.other_bytes = kOtherBytes;
  const size_t padded = (needs.context + kAttentionBlock - 1) / kAttentionBlock * kAttentionBlock;
  plan.session_bytes = needs.sessions * padded * needs.token_bytes;
  plan.prefix_bytes = needs.prefix_bytes;

  const size_t left = Minus(plan.budget_bytes, plan.model_bytes + plan.other_bytes);
  const size_t kv_budget = needs.kv_bytes > 0 ? std::min(needs.kv_bytes, left) : left;
  if (!needs.prefix_fixed) {
    plan.prefix_bytes = std::min(plan.prefix_bytes, Minus(kv_budget, plan.session_bytes));
    if (plan.prefix_bytes < PrefixStore::kBlock * needs.token_bytes) plan.prefix_bytes = 0;
  }
  if (plan.total_bytes() <= plan.budget_bytes &&
      plan.session_bytes + plan.prefix_bytes <= kv_budget) {
    return plan;
  }
  const std::string sum = fmt::format(
      "memory does not suffice: {} for the model + {} sessions x {} tokens x {} bytes = {} + {} "
      "for the prefix cache + {} for the rest = {}, but the budget is {}",
      BytesText(plan.model_bytes), needs.sessions, padded, needs.token_bytes,
      BytesText(plan.session_bytes), BytesText(plan.prefix_bytes), BytesText(plan.other_bytes),
      BytesText(plan.total_bytes()),
      fmt::format("{} ({}% of {}, {})", BytesText(plan.budget_bytes), kBudgetPercent,
                  BytesText(limit.bytes), limit.source));
  const std::string cap =
      needs.kv_bytes > 0
          ? fmt::format(", of which --kv-memory leaves {} to sessions and prefix cache",
                        BytesText(kv_budget))
          : "";
  const size_t fitting = kv_budget / std::max<size_t>(1, padded * needs.token_bytes);
  return Fail(needs.chosen ? ErrorKind::kInvalidArgument : ErrorKind::kUnavailable,
              sum + cap +
                  (fitting == 0 ? "; lower --context or take a smaller model"
                                : fmt::format("; lower --sessions (without a prefix cache {} fit), "
                                              "--context or --prefix-cache, or use --kv-type q8_0",
                                              std::min(fitting, needs.sessions))));
}

std::string BytesText(size_t bytes) {
  constexpr double kMi = 1 << 20, kGi = 1 << 30;
  const auto number = static_cast<double>(bytes);
  return number >= kGi ? fmt::format("{:.1f} GiB", number / kGi)
                       : fmt::format("{:.1f} MiB", number / kMi);
}

}  // namespace lockstep
