#include "core/engine/fair_shares.h"

#include <algorithm>
#include <limits>

namespace lockstep {
namespace {

constexpr size_t kRemembered = 4096;  // clients; beyond, those without a request are forgotten

}  // namespace

void FairShares::Join(const std::string& client) {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [name, other] : clients_) {
    if (other.requests > 0) least = std::min(least, other.served);
  }
  if (clients_.size() >= kRemembered) {
    std::erase_if(clients_, [](const auto& entry) { return entry.second.requests == 0; });
  }
  Client& joined = clients_[client];
  if (joined.requests++ > 0) return;
  if (active_++ > 0) joined.served = std::max(joined.served, least);
}

void FairShares::Leave(const std::string& client) {
  if (--clients_.at(client).requests > 0) return;
  if (--active_ == 0) clients_.clear();
}

}  // namespace lockstep
