// Turns at compiling grammars. Compiling is a client's work like any other: few compile at once, so
// that the processors are left to those who generate; a client that was served less comes first,
// and between two slices whoever compiles gives way to it. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <utility>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/engine/fair_shares.h"
#include "core/grammar/work_meter.h"

namespace lockstep {

// For whom a grammar is compiled. Belongs to one request.
struct CompileClient {
  std::string name{};            // as Job::client
  std::function<bool()> gone{};  // whether nobody waits for it any more; empty: never
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  uint64_t work = 0;  // what was done, in units of WorkBudget
};

struct CompileLimits {
  size_t at_once = 1;
  // More find no place: each holds the thread of its request.
  size_t waiting = 16;
  // Whether the server is about to end.
  std::function<bool()> stopping{};
};

class CompileQueue {
 public:
  explicit CompileQueue(CompileLimits limits) : limits_(std::move(limits)) {}

  // Calls `work` on this thread once it is the client's turn. Errors are those of `work`, and
  // kOverloaded without a place, kCancelled, kDeadlineExceeded and kUnavailable where the client
  // has gone, its deadline has passed or the server stops; within a slice, even in the midst of
  // `work`.
  [[nodiscard]] Status Run(CompileClient& client, const std::function<Status(WorkMeter&)>& work)
      EXCLUDES(mutex_);

 private:
  // One call of Run.
  struct Turn {
    CompileClient& client;
    uint64_t charged = 0;  // units
    bool begun = false;    // it has run, and may wait again
    bool runs = false;
    bool displaced = false;  // it had to make way while it waited
  };

  Status Enter(Turn& turn) EXCLUDES(mutex_);
  Status NextSlice(Turn& turn, uint64_t used) EXCLUDES(mutex_);
  void Leave(Turn& turn, uint64_t used) EXCLUDES(mutex_);
  Status Wait(Turn& turn) REQUIRES(mutex_);
  // The oldest waiting turn of the client that was served least; null if none waits.
  const Turn* Next() const REQUIRES(mutex_);
  // Finds a place for one more, at the cost of who has the most; false if that is the client.
  bool MakeRoom(const std::string& client) REQUIRES(mutex_);
  void Charge(Turn& turn, uint64_t used) REQUIRES(mutex_);
  Status GoesOn(const Turn& turn) const;

  const CompileLimits limits_;
  Mutex mutex_;
  CondVar wake_;
  std::list<Turn*> waiting_ GUARDED_BY(mutex_);  // oldest first
  size_t running_ GUARDED_BY(mutex_) = 0;
  FairShares shares_ GUARDED_BY(mutex_);
};

}  // namespace lockstep
