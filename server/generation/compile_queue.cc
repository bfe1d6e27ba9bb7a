// A request compiles on its own thread, which the operating system slices; what is decided here is
// who may. Each waits on its own, and looks every 20 ms whether its client is still there. With one
// at a time, a's large grammar and b's small ones share the processor like this:
//
//   a runs: 3 ms    b comes, with less    a waits    b runs: 1 ms, ends    a runs on
//
// A share is counted in work done and not in grammars, so that a client with a hundred small ones
// and one with a single large one get the same.
#include "server/generation/compile_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "core/engine/active_job.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kClientCheck{20};
constexpr double kRetrySeconds = 1;

}  // namespace

Status CompileQueue::Run(CompileClient& client, const std::function<Status(WorkMeter&)>& work) {
  Turn turn{client};
  TRY_OK(Enter(turn));
  WorkMeter meter([&](uint64_t used) { return NextSlice(turn, used); });
  Status done;
  try {
    done = work(meter);
  } catch (...) {  // no memory: the turn is given back
    Leave(turn, meter.used());
    throw;
  }
  Leave(turn, meter.used());
  return done;
}

Status CompileQueue::Enter(Turn& turn) {
  const MutexLock lock(mutex_);
  const std::string& name = turn.client.name;
  if (waiting_.size() >= limits_.waiting && !MakeRoom(name)) {
    Error error{
        ErrorKind::kOverloaded,
        fmt::format("{} other grammars wait to be compiled; try again later", waiting_.size()),
        {}};
    error.retry_after_s = kRetrySeconds;
    return tl::unexpected<Error>(std::move(error));
  }
  waiting_.push_back(&turn);
  try {
    shares_.Join(name);
  } catch (...) {
    waiting_.pop_back();
    throw;
  }
  Status status = Wait(turn);
  if (!status) shares_.Leave(name);
  return status;
}

Status CompileQueue::NextSlice(Turn& turn, uint64_t used) {
  const MutexLock lock(mutex_);
  Charge(turn, used);
  TRY_OK(GoesOn(turn));
  const Turn* const next = Next();
  if (next == nullptr || shares_.Served(next->client.name) >= shares_.Served(turn.client.name)) {
    return {};
  }
  waiting_.push_front(&turn);
  turn.runs = false;
  --running_;
  wake_.NotifyAll();
  return Wait(turn);
}

void CompileQueue::Leave(Turn& turn, uint64_t used) {
  const MutexLock lock(mutex_);
  Charge(turn, used);
  shares_.Leave(turn.client.name);
  if (turn.runs) --running_;
  wake_.NotifyAll();
}

// REQUIRES: the turn is in waiting_, which it leaves in any case.
Status CompileQueue::Wait(Turn& turn) {
  Status status;
  while (!turn.displaced && (running_ >= limits_.at_once || Next() != &turn) &&
         (status = GoesOn(turn))) {
    wake_.WaitUntil(mutex_, Clock::now() + kClientCheck);
  }
  waiting_.remove(&turn);
  if (turn.displaced) {
    Error error{ErrorKind::kOverloaded,
                "this client has the most grammars waiting, and others came; try again later",
                {}};
    error.retry_after_s = kRetrySeconds;
    return tl::unexpected<Error>(std::move(error));
  }
  if (!status) return status;
  turn.begun = turn.runs = true;
  ++running_;
  wake_.NotifyAll();  // where several may run, the next one is next now
  return {};
}

const CompileQueue::Turn* CompileQueue::Next() const {
  const Turn* next = nullptr;
  for (const Turn* turn : waiting_) {
    if (next == nullptr || shares_.Served(turn->client.name) < shares_.Served(next->client.name)) {
      next = turn;
    }
  }
  return next;
}

bool CompileQueue::MakeRoom(const std::string& client) {
  std::unordered_map<std::string, size_t> places;
  for (const Turn* turn : waiting_) places[turn->client.name] += turn->begun ? 0 : 1;
  const size_t own = places[client];
  const auto most =
      std::ranges::max_element(places, {}, [](const auto& entry) { return entry.second; });
  if (most->second <= own + 1) return false;
  const auto newest = std::find_if(waiting_.rbegin(), waiting_.rend(), [&](const Turn* turn) {
    return !turn->begun && turn->client.name == most->first;
  });
  (*newest)->displaced = true;
  waiting_.erase(std::next(newest).base());
  wake_.NotifyAll();
  return true;
}

void CompileQueue::Charge(Turn& turn, uint64_t used) {
  shares_.Charge(turn.client.name, static_cast<double>(used - turn.charged));
  turn.client.work += used - turn.charged;
  turn.charged = used;
}

Status CompileQueue::GoesOn(const Turn& turn) const {
  const CompileClient& client = turn.client;
  if (client.gone && client.gone()) return Fail(ErrorKind::kCancelled, "the client went away");
  if (Clock::now() > client.deadline) {
    return Fail(ErrorKind::kDeadlineExceeded,
                "the grammar was not compiled in time; send a smaller one, or come when there is "
                "less load");
  }
  if (limits_.stopping && limits_.stopping()) {
    return tl::unexpected(ShuttingDown());
  }
  return {};
}

}  // namespace lockstep
