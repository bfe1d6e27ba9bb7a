// The jobs that wait for a session: bounded by their number and by the tokens of their prompts, and
// fair between clients. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/engine/active_job.h"
#include "core/engine/fair_shares.h"

namespace lockstep {

// Who goes from a full queue where a job of `client` comes: the newest job of the client with the
// most, if that has more than `client` would have; else end(). `jobs`: pointers to jobs, oldest
// first, of which those count that `waits` is true for.
template <class Jobs, class Waits>
auto Displaceable(Jobs& jobs, const std::string& client, const Waits& waits) {
  std::unordered_map<std::string, size_t> waiting;  // jobs of each client
  for (const auto& job : jobs) waiting[job->client] += waits(*job) ? 1 : 0;
  const size_t own = waiting[client];
  const auto most =
      std::ranges::max_element(waiting, {}, [](const auto& entry) { return entry.second; });
  auto newest = jobs.end();
  if (most->second <= own + 1) return newest;
  for (auto job = jobs.begin(); job != jobs.end(); ++job) {
    if (waits(**job) && (*job)->client == most->first) newest = job;
  }
  return newest;
}

class JobQueue {
 public:
  JobQueue(size_t max_requests, size_t max_tokens)
      : max_requests_(max_requests), max_tokens_(max_tokens) {}

  // Returns what finds no place, nullptr if all do: the job itself, or the newest one of a client
  // that has more waiting, as one client's burst must not shut the others out. A single prompt
  // of more tokens than the bound may wait. `extra` more requests fit, as they are about to go.
  std::unique_ptr<ActiveJob> Push(std::unique_ptr<ActiveJob> job, size_t extra);
  // The oldest request of the client that was served least, which Pop takes, of those that wait for
  // nothing but a session. Null if there is none; then there must be no Pop.
  ActiveJob* Next(const FairShares& shares) const;
  std::unique_ptr<ActiveJob> Pop(const FairShares& shares) { return Take(NextIndex(shares)); }
  std::vector<std::unique_ptr<ActiveJob>> TakeIf(
      const std::function<bool(const ActiveJob&)>& predicate);

  bool empty() const { return jobs_.empty(); }
  size_t size() const { return jobs_.size(); }
  size_t tokens() const { return tokens_; }  // of the prompts

 private:
  size_t NextIndex(const FairShares& shares) const;  // size() if there is none
  std::unique_ptr<ActiveJob> Take(size_t index);
  bool Fits(size_t requests, size_t tokens, size_t extra) const;

  const size_t max_requests_, max_tokens_;
  std::deque<std::unique_ptr<ActiveJob>> jobs_;  // oldest first
  size_t tokens_ = 0;
};

}  // namespace lockstep
