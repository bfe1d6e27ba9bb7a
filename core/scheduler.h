// The one thread that calls Transformer::Forward. Each step takes a token of every decoding
// session first, then chunks of waiting prompts up to a budget, so a long prompt never stalls the
// streams of others. Requests beyond the free sessions wait in a bounded queue, first come first
// served. Cancellation is looked at in every step, for queued and running requests alike.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/session.h"
#include "core/session_pool.h"
#include "core/status.h"
#include "core/transformer.h"

namespace lockstep {

struct Timings {
  double queue_s = 0;    // submitted to first scheduled
  double prefill_s = 0;  // first scheduled to first token
  double decode_s = 0;   // first token to last
};

// Where a request's tokens go. Called on the scheduler's thread, without a lock held: all streams
// wait for it, so it must neither block nor throw. A sink with a slow reader buffers, and sets
// `cancelled` when it has had enough. Exactly one of OnFinish and OnError is the last call; the
// session is free again before that call is made.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  virtual void OnToken(TokenEvent event) = 0;
  virtual void OnFinish(FinishReason reason, const Timings& timings) = 0;
  virtual void OnError(const Error& error, const Timings& timings) = 0;
};

struct GenerationRequest {
  std::string id;
  std::vector<int32_t> prompt;
  GenerationParams params;
  std::shared_ptr<TokenSink> sink;
  // Set by anyone, at any time: the request ends within one step, with kCancelled.
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
};

struct SchedulerOptions {
  size_t max_queued = 64;       // requests that wait for a session
  size_t prefill_tokens = 128;  // prompt tokens per step, over all sessions
};

struct SchedulerState {
  size_t queued = 0;
  size_t running = 0;
  bool draining = false;
};

class Scheduler {
 public:
  // Starts the thread. All three references must outlive the scheduler, which alone leases from
  // `sessions` and uses `pool`. REQUIRES: at least one session, prefill_tokens >= 1.
  Scheduler(const Transformer& transformer, SessionPool& sessions, ThreadPool& pool,
            SchedulerOptions options);
  ~Scheduler();  // stops at the end of the step; what is left gets OnError(kUnavailable)
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // kOverloaded when the queue is full, kUnavailable when draining; the sink is not called then.
  // kInvalidArgument and kContextExceeded as InferenceSession::Begin says, also at once.
  // An id that another request holds is found out later: OnError with kInvalidArgument.
  [[nodiscard]] Status Submit(GenerationRequest request);

  // Refuses new requests and waits until all others have ended, or until the timeout; those that
  // are left then end with kUnavailable. True if none was left.
  bool Drain(std::chrono::milliseconds timeout);

  SchedulerState state() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Job;

  void Loop();
  void DropCancelled();
  void Admit();
  void Step();
  void Forward(std::span<Job* const> jobs, std::span<const BatchEntry> batch);
  void Deliver(Job& job, Result<std::optional<TokenEvent>> event);
  void EraseEnded();
  void EndAll();
  // Gives the session back, if there is one, and makes the request's last call.
  void End(Job& job, const Error* error);

  const Transformer& transformer_;
  SessionPool& sessions_;
  ThreadPool& pool_;
  const SchedulerOptions options_;

  // The scheduler thread's own. A job without a session has ended.
  Scratch scratch_;
  std::vector<std::unique_ptr<Job>> running_;
  std::vector<Job*> batch_jobs_;  // one for each entry of batch_
  std::vector<BatchEntry> batch_;
  std::vector<std::span<const float>> logits_;             // likewise; [vocab] or empty
  std::vector<Result<std::optional<TokenEvent>>> events_;  // likewise

  mutable std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<std::unique_ptr<Job>> queue_;  // guarded by mutex_
  size_t running_count_ = 0;                // guarded by mutex_: hold a session
  size_t unfinished_ = 0;                   // guarded by mutex_: last call not yet made
  bool draining_ = false, stop_ = false;    // guarded by mutex_
  std::thread thread_;
};

}  // namespace lockstep
