// The virtual token counter (Sheng et al., OSDI 2024) is fair queueing without knowing beforehand
// what a job will cost: a client's counter grows by what was done for it, and the lowest is served
// next. While two clients both have jobs waiting, their counters stay close together,
// however many jobs each of them sends. For example, with prompt tokens counted once and generated
// ones twice:
//
//   a joins, is served 100 + 2 * 50                    a: 200
//   b joins while a waits: raised to the lowest, 200   a: 200   b: 200
//   b is served 300                                    a: 200   b: 500    a is next
//   b leaves and comes back                            a: 200   b: 500    nothing is forgiven
//
// Without the raise b could save up a right to the whole machine by staying away.
#include "core/engine/fair_shares.h"

#include <algorithm>
#include <limits>

namespace lockstep {
namespace {

constexpr size_t kRemembered = 4096;  // clients; beyond, those without a request are forgotten

}  // namespace

void FairShares::Join(const std::string& client) {
  double lowest = std::numeric_limits<double>::infinity();
  for (const auto& [name, other] : clients_) {
    if (other.requests > 0) lowest = std::min(lowest, other.served);
  }
  if (clients_.size() >= kRemembered) {
    std::erase_if(clients_, [](const auto& entry) { return entry.second.requests == 0; });
  }
  Client& joined = clients_[client];
  if (joined.requests++ > 0) return;
  if (active_++ > 0) joined.served = std::max(joined.served, lowest);
}

void FairShares::Leave(const std::string& client) {
  if (--clients_.at(client).requests > 0) return;
  if (--active_ == 0) clients_.clear();
}

}  // namespace lockstep
