// Two things are decided here, and they are not the same. Who is served next is for FairShares; who
// finds no place in a full queue is decided by what waits: the newest job of the client with the
// most jobs goes ("drop from the longest queue", as in McKenney's stochastic fairness queueing,
// 1990), so that a burst shuts out its own sender and a client's first job always finds a place.
// With room for four jobs,
//
//   a1 a2 a3 b1   and b2 comes:   a3 goes     a had the most
//   a1 a2 b1 b2   and b3 comes:   b3 itself   nobody has more than b would have
//
// A queue is some tens of jobs, so it is searched and not indexed.
#include "core/engine/job_queue.h"

#include <algorithm>
#include <utility>

namespace lockstep {

bool JobQueue::Fits(size_t requests, size_t tokens, size_t extra) const {
  return requests <= max_requests_ + extra && (tokens <= max_tokens_ || requests == 1);
}

std::unique_ptr<ActiveJob> JobQueue::Push(std::unique_ptr<ActiveJob> job, size_t extra) {
  std::unique_ptr<ActiveJob> displaced;
  if (!Fits(jobs_.size() + 1, tokens_ + job->prompt_tokens, extra)) {
    const auto newest = Displaceable(jobs_, job->client, [](const ActiveJob&) { return true; });
    if (newest == jobs_.end() ||
        !Fits(jobs_.size(), tokens_ - (*newest)->prompt_tokens + job->prompt_tokens, extra)) {
      return job;
    }
    const auto index = static_cast<size_t>(newest - jobs_.begin());
    jobs_.push_back(nullptr);  // the place of `job`: nothing is displaced for want of memory
    displaced = Take(index);
    jobs_.pop_back();
  }
  const size_t tokens = job->prompt_tokens;
  jobs_.push_back(std::move(job));
  tokens_ += tokens;
  return displaced;
}

size_t JobQueue::NextIndex(const FairShares& shares) const {
  size_t next = jobs_.size();
  for (size_t i = 0; i < jobs_.size(); ++i) {
    if (jobs_[i]->waits_for_fetch()) continue;
    const bool less = next == jobs_.size() ||
                      shares.Served(jobs_[i]->client) < shares.Served(jobs_[next]->client);
    if (less) next = i;  // the first of equal ones
  }
  return next;
}

ActiveJob* JobQueue::Next(const FairShares& shares) const {
  const size_t next = NextIndex(shares);
  return next == jobs_.size() ? nullptr : jobs_[next].get();
}

std::vector<std::unique_ptr<ActiveJob>> JobQueue::TakeIf(
    const std::function<bool(const ActiveJob&)>& predicate) {
  std::vector<std::unique_ptr<ActiveJob>> taken;
  if (std::ranges::none_of(jobs_, [&](const auto& job) { return predicate(*job); })) return taken;
  taken.reserve(jobs_.size());  // no job may be lost on its way
  for (size_t i = 0; i < jobs_.size();) {
    if (predicate(*jobs_[i])) {
      taken.push_back(Take(i));
    } else {
      ++i;
    }
  }
  return taken;
}

std::unique_ptr<ActiveJob> JobQueue::Take(size_t index) {
  std::unique_ptr<ActiveJob> job = std::move(jobs_[index]);
  jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(index));
  tokens_ -= job->prompt_tokens;
  return job;
}

}  // namespace lockstep
