// How much a call may do before it hands back with its work half done. Counted in work and not in
// time, so that a test is not a race. Not thread-safe.
#pragma once

#include <cstdint>

namespace lockstep {

class WorkBudget {
 public:
  WorkBudget() = default;  // without end
  // One unit is the visit of one node of a trie: some 5 ns.
  explicit WorkBudget(uint64_t units) : units_(units) {}

  void Spend(uint64_t units) { used_ += units; }
  bool spent() const { return used_ >= units_; }
  uint64_t used() const { return used_; }  // more than was given, where a piece of work is large

 private:
  uint64_t units_ = UINT64_MAX, used_ = 0;
};

// What following one place in a grammar costs: a look into a hash table, a push and a pop.
inline constexpr uint64_t kFollowCost = 8;

}  // namespace lockstep
