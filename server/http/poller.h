// Accepts connections and holds each one that needs no thread: it idles, sends its request, is
// slow to take its reply, or is being closed. One thread with epoll, which never waits for a
// client and gives each a deadline. A connection whose request is whole, or refused, is handed out
// to be answered and comes back for its next. Return and Stop may be called from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "server/http/connection.h"
#include "server/http/request_reader.h"

namespace lockstep {

struct PollerOptions {
  RequestLimits limits;
  std::chrono::milliseconds idle;         // for a connection's next request to begin
  std::chrono::milliseconds write_stall;  // for each Connection::kWritePiece of a reply
  size_t connections;                     // one more makes room, or is refused with a 503
  // What requests and replies hold of it is counted. Where it is overdrawn the larger requests that
  // still come in are refused with a 503, the slowest first. Must outlive the poller.
  MemoryBudget* memory;
  bool kept = false;  // another process holds the listener, too, and will serve who waits there
  // Called with a request's head where its body is yet to come, before a byte of that is counted:
  // it may refuse the request, or leave the body. On the poller's thread: must not block.
  std::function<void(RequestReader&)> on_head = [](RequestReader&) {};
};

class Poller {
 public:
  using Clock = std::chrono::steady_clock;
  using ConnectionPtr = std::shared_ptr<Connection>;
  // For so long nobody is taken for one who idles or sends slowly.
  static constexpr std::chrono::milliseconds kFresh{1000};
  // Called on the poller's thread: must not block. The connection's reader is kWhole or kRefused.
  using Dispatch = std::function<void(ConnectionPtr)>;

  // Does not own `listener`. kUnavailable if there are too many descriptors open.
  [[nodiscard]] static Result<std::unique_ptr<Poller>> Create(int listener, PollerOptions options,
                                                              Dispatch dispatch);
  ~Poller();

  size_t open() const { return open_; }  // connections, wherever they are; from any thread
  // Begins to accept. REQUIRES: called once.
  void Start();

  // Accepts who has come so far, and nobody from then on: a new connection is refused at once, and
  // its client tries another server. Where the listener is kept, who waits there is left to it.
  // accepting() is false when it is done.
  void StopAccepting();
  bool accepting() const { return accepting_; }
  // When the last connection was accepted or the last request was whole. From any thread.
  Clock::time_point last_arrival() const { return last_arrival_; }
  // Takes back a connection whose reply is written or queued.
  void Return(ConnectionPtr connection);
  // Ends at once the connections that are held here, and lets those that are not end soon.
  void Stop();

 private:
  enum class Phase { kIdle, kHead, kBody, kFlush, kLinger };
  struct Held {
    ConnectionPtr connection;
    Phase phase = Phase::kLinger;
    Clock::time_point since = {};  // when the phase began
    Clock::time_point deadline = Clock::time_point::max();
    size_t dropped = 0;  // bytes, in kLinger
  };

  // Requests up to this size are taken even while memory for them is short: each connection may
  // have one, and most prompts are smaller.
  static constexpr size_t kSmallRequest = 64 * 1024;

  Poller(int listener, PollerOptions options, Dispatch dispatch);
  void Run();
  int MillisecondsToWait() const;
  void TakeReturned();
  void EndWaits();

  void Accept();
  void EndListening();
  // Ends one of the connections that are held here, if there is any: now, or once it has its 503.
  enum class Room { kNone, kSoon, kNow };
  Room MakeRoom();
  // Closes the one with the earliest deadline that has been in one of these phases for so long, if
  // there is one.
  bool EndOne(Phase first, Phase last, std::chrono::milliseconds at_least = {});
  // Refuses a body that is more than all requests together may hold, so that no client is told to
  // try again what can never succeed.
  bool RefuseIfTooLarge(Held& held);
  // Refuses the slowest of the bodies that come in and have at least so many bytes, if there is
  // one.
  bool DropABody(size_t at_least, const char* message);
  void PauseAccepting();
  bool SetEvents(int operation, int socket, uint32_t events);
  // No memory for a step: its connection ends, the others go on.
  template <class Step>
  void Guard(int socket, Step step);

  Held& Hold(ConnectionPtr connection);
  ConnectionPtr Release(Held& held);
  void Enter(Held& held, Phase phase);

  // Each may end with the connection closed or handed out, and `held` gone.
  void OnReady(Held& held);
  void OnDeadline(Held& held);
  bool ReadSome(Held& held);  // false if nothing had come
  void DropSome(Held& held);
  void FlushSome(Held& held);
  void ReadOn(Held& held);
  // What the request takes of the memory; the body of one whose head decides takes none.
  void CountRequest(Connection& connection);
  void Refuse(Held& held, int status, std::string message);

  const int listener_;
  const PollerOptions options_;
  const Dispatch dispatch_;
  int epoll_ = -1, wake_ = -1;
  std::atomic<bool> stopping_{false}, accepting_{true}, told_to_stop_accepting_{false};
  std::atomic<Clock::time_point> last_arrival_{Clock::time_point::min()};
  std::atomic<size_t> open_{0};  // connections, wherever they are

  // The poller's thread only.
  std::unordered_map<int, Held> held_;                 // by socket
  std::set<std::pair<Clock::time_point, int>> waits_;  // the deadlines, with their sockets

  Mutex mutex_;
  std::vector<ConnectionPtr> returned_ GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace lockstep
