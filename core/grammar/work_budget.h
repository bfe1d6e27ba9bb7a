// How much a call may do before it hands back with its work half done. Counted in work and not in
// time, so that a test is not a race. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace lockstep {

class WorkBudget {
 public:
  WorkBudget() = default;  // without end
  // One unit is the visit of one node of a trie: some 5 ns.
  explicit WorkBudget(uint64_t units) : left_(units) {}

  void Spend(uint64_t units) { left_ -= std::min(units, left_); }
  bool spent() const { return left_ == 0; }

 private:
  uint64_t left_ = UINT64_MAX;
};

// What following one place in a grammar costs: a look into a hash table, a push and a pop.
inline constexpr uint64_t kFollowCost = 8;

}  // namespace lockstep
