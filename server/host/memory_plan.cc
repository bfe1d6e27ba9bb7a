// The plan is a sum of what is known before a byte of the weights is read. It is compared with a
// share of the limit and not with all of it, because what it leaves out (page cache, the kernel's
// buffers) counts for the limit of a control group too.
#include "server/host/memory_plan.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <utility>

#include "core/engine/prefix_store.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
// A group without a limit says so with a number near 2^63 in v1.
constexpr size_t kLargestLimit = size_t{1} << 62;
// The rest is for the page cache, the kernel's share of sockets, and what was not thought of.
constexpr size_t kBudgetPercent = 80;
constexpr size_t kMib = size_t{1} << 20;
// What requests hold gets a share of what the model leaves: enough for a few large ones, and no
// more than a crowd of them needs.
constexpr size_t kRequestShare = 8;
constexpr size_t kLeastRequestBytes = 32 * kMib, kMostRequestBytes = 256 * kMib;
// A context below this gets the memory that prefixes could have.
constexpr size_t kSmallContext = 2048;
// The caches of a draft model, which only make answers faster, get at most such a share.
constexpr size_t kDraftShare = 4;
// A conversation has states where its prompt ends and where its answer does, now and a turn ago.
constexpr size_t kPrefixStates = 4;

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

// 2: the system promises no more memory than it has, however little of it is used.
bool PromisesOnlyWhatItHas(const fs::path& proc) {
  std::ifstream in(proc / "sys/vm/overcommit_memory");
  int mode = 0;
  return in >> mode && mode == 2;
}

size_t Minus(size_t a, size_t b) { return a > b ? a - b : 0; }

size_t WholeBlocks(size_t positions) {
  return (positions + kAttentionBlock - 1) / kAttentionBlock * kAttentionBlock;
}

// The largest context up to `most` that `fits`, which holds up to some size and for none beyond.
template <class Fits>
size_t LargestContext(size_t most, const Fits& fits) {
  size_t low = 0, high = WholeBlocks(most) / kAttentionBlock + 1;  // in blocks; low fits
  while (low + 1 < high) {
    const size_t middle = (low + high) / 2;
    (fits(std::min(most, middle * kAttentionBlock)) ? low : high) = middle;
  }
  return std::min(most, low * kAttentionBlock);
}

// What a context takes, by which plans are compared.
class ContextCost {
 public:
  ContextCost(const MemoryNeeds& needs, const MemoryLimit& limit)
      : needs_(needs),
        of_addresses_(limit.of_addresses),
        whole_(needs.whole_sessions || limit.of_addresses) {}

  bool whole() const { return whole_; }
  size_t Session(size_t context) const {
    if (!of_addresses_) return needs_.session_kv.Of(context);
    return WholeBlocks(context) * needs_.token_bytes + needs_.session_kv.state_bytes +
           KvCache::kPageWaste;
  }
  size_t AllSessions(size_t context) const { return needs_.sessions * Session(context); }
  size_t LeastSessions(size_t context) const {
    return whole_ ? AllSessions(context) : Session(context);
  }
  // So that what one session has computed finds a place.
  size_t Prefixes(size_t context) const {
    if (needs_.prefix_fixed) return needs_.prefix_bytes;
    return WholeBlocks(context) * needs_.token_bytes + kPrefixStates * needs_.state_bytes;
  }

  size_t FindContext(size_t kv_budget) const {
    if (needs_.context > 0) return needs_.context;
    const size_t small = std::min(kSmallContext, needs_.model_context);
    const size_t found = LargestContext(needs_.model_context, [&](size_t context) {
      return LeastSessions(context) + Prefixes(context) <= kv_budget;
    });
    if (found >= small) return found;
    const size_t alone = LargestContext(small, [&](size_t context) {
      return LeastSessions(context) + (needs_.prefix_fixed ? needs_.prefix_bytes : 0) <= kv_budget;
    });
    return alone > 0 ? alone : small;  // of which the sum is refused
  }

 private:
  const MemoryNeeds& needs_;
  const bool of_addresses_, whole_;
};

Error Refusal(const MemoryNeeds& needs, const MemoryLimit& limit, const MemoryPlan& plan,
              const ContextCost& cost, size_t kv_budget) {
  const size_t session = cost.Session(plan.context), positions = WholeBlocks(plan.context);
  std::string text = fmt::format(
      "memory does not suffice: {} for the model + {} x {} tokens x {} bytes = {} + {} for the "
      "prefix cache + {} for requests + {} for the rest = {}, but the budget is {} ({}% of {}, {})",
      BytesText(plan.model_bytes),
      cost.whole() ? fmt::format("{} sessions", needs.sessions) : "one session", positions,
      session / std::max<size_t>(1, positions), BytesText(plan.session_bytes),
      BytesText(plan.prefix_bytes), BytesText(plan.request_bytes), BytesText(plan.other_bytes),
      BytesText(plan.total_bytes()), BytesText(plan.budget_bytes), kBudgetPercent,
      BytesText(limit.bytes), limit.source);
  if (needs.kv_bytes > 0) {
    text += fmt::format(", of which --kv-memory leaves {} to sessions and prefix cache",
                        BytesText(kv_budget));
  }
  const size_t fitting = kv_budget / std::max<size_t>(1, session);
  const auto largest =
      std::ranges::max_element(needs.other_flags, {}, [](const auto& flag) { return flag.second; });
  if (largest != needs.other_flags.end() &&
      largest->second > std::max(plan.session_bytes, plan.model_bytes)) {
    text += fmt::format("; lower {}, which has {} of the rest", largest->first,
                        BytesText(largest->second));
  } else if (fitting == 0) {
    text += "; lower --context or take a smaller model";
  } else {
    text += fmt::format(
        "; lower --sessions (without a prefix cache {} fit), --context or --prefix-cache, or use "
        "--kv-type q8_0",
        std::min(fitting, needs.sessions));
  }
  if (limit.source == "--memory") text += "; or raise --memory";
  return {
      needs.chosen ? ErrorKind::kInvalidArgument : ErrorKind::kUnavailable, std::move(text), {}};
}

// The plan with so many caches of a draft model.
Result<MemoryPlan> PlanBeside(size_t draft_caches, const MemoryNeeds& needs,
                              const MemoryLimit& limit) {
  MemoryPlan plan;
  plan.budget_bytes = limit.bytes / 100 * kBudgetPercent;
  plan.model_bytes = needs.model_bytes;
  plan.other_bytes = needs.other_bytes;
  plan.draft_caches = draft_caches;
  plan.draft_bytes = draft_caches * needs.draft_cache_bytes;
  const size_t free =
      Minus(plan.budget_bytes, plan.model_bytes + plan.other_bytes + plan.draft_bytes);
  plan.request_bytes = needs.request_bytes;
  if (plan.request_bytes == 0) {
    plan.request_bytes = std::clamp(free / kRequestShare, kLeastRequestBytes, kMostRequestBytes);
    plan.request_bytes = std::max(plan.request_bytes, needs.least_request_bytes);
  }
  const size_t left = Minus(free, plan.request_bytes);
  const size_t kv_budget = needs.kv_bytes > 0 ? std::min(needs.kv_bytes, left) : left;

  const ContextCost cost(needs, limit);
  plan.context = cost.FindContext(kv_budget);
  const size_t least = cost.LeastSessions(plan.context), one = cost.Prefixes(plan.context);
  const size_t prefixes = needs.prefix_fixed ? one : std::min(one, Minus(kv_budget, least));
  plan.session_bytes =
      std::max(least, std::min(cost.AllSessions(plan.context), Minus(kv_budget, prefixes)));
  plan.prefix_bytes = needs.prefix_bytes;
  if (!needs.prefix_fixed) {
    plan.prefix_bytes =
        std::min(std::max(needs.prefix_bytes, one), Minus(kv_budget, plan.session_bytes));
    const size_t least_bytes = PrefixStore::kBlock * needs.token_bytes + needs.state_bytes;
    if (plan.prefix_bytes < least_bytes) plan.prefix_bytes = 0;
  }
  if (plan.total_bytes() <= plan.budget_bytes &&
      plan.session_bytes + plan.prefix_bytes <= kv_budget) {
    return plan;
  }
  return tl::unexpected(Refusal(needs, limit, plan, cost, kv_budget));
}

}  // namespace

MemoryLimit FindMemoryLimit(const CgroupPaths& paths, const std::string& proc) {
  const std::string meminfo = proc + "/meminfo";
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
  if (PromisesOnlyWhatItHas(proc)) {
    consider(Minus(ReadMeminfo(meminfo, "CommitLimit"), ReadMeminfo(meminfo, "Committed_AS")),
             "CommitLimit");
    least.of_addresses = true;
  }
  rlimit addresses{};
  if (getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY) {
    consider(addresses.rlim_cur, "ulimit -v");
    least.of_addresses = true;
  }
  return least;
}

Result<MemoryPlan> PlanMemory(const MemoryNeeds& needs, const MemoryLimit& limit) {
  if (needs.draft_caches > 0) {
    const size_t free =
        Minus(limit.bytes / 100 * kBudgetPercent, needs.model_bytes + needs.other_bytes);
    const size_t fitting = free / kDraftShare / needs.draft_cache_bytes;
    const size_t caches = std::min(needs.draft_caches, fitting);
    if (auto plan = PlanBeside(caches, needs, limit)) return plan;
  }
  return PlanBeside(0, needs, limit);
}

std::string BytesText(size_t bytes) {
  constexpr double kMi = 1 << 20, kGi = 1 << 30;
  const auto number = static_cast<double>(bytes);
  return number >= kGi ? fmt::format("{:.1f} GiB", number / kGi)
                       : fmt::format("{:.1f} MiB", number / kMi);
}

}  // namespace lockstep
