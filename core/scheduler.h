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

// What a request took. Complete in its sink's last call.
struct GenerationStats {
  double queue_s = 0;    // submitted to first scheduled
  double prefill_s = 0;  // first scheduled to first token
  double decode_s = 0;   // first token to last
  size_t prompt_tokens = 0;
  size_t cached_tokens = 0;  // of these, not computed but taken from an earlier request's prefix
  size_t generated_tokens = 0;
};

// Where a request's tokens go. Called on the scheduler's thread, without a lock held: all streams
// wait for it, so it must neither block nor throw. A sink with a slow reader buffers, and sets
// `cancelled` when it has had enough. Exactly one of OnFinish and OnError is the last call; the
// session is free again before that call is made.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  virtual void OnToken(TokenEvent event) = 0;
  virtual void OnFinish(FinishReason reason, const GenerationStats& stats) = 0;
  virtual void OnError(const Error& error, const GenerationStats& stats) = 0;
};

// Counted from Submit. All are looked at in every step.
struct Deadlines {
  std::chrono::milliseconds queue{30'000};         // to be given a session, else kUnavailable
  std::chrono::milliseconds first_token{120'000};  // else kDeadlineExceeded
  std::chrono::milliseconds total{300'000};        // else kDeadlineExceeded
};

struct GenerationRequest {
  std::string id;
  // Whose it is. Clients get equal shares of the machine while they have requests waiting.
  std::string client;
  // Only requests of one scope share prefixes: that one was shared shows in its time.
  std::string prefix_scope;
  Deadlines deadlines;
  std::vector<int32_t> prompt;
  GenerationParams params;
  std::shared_ptr<TokenSink> sink;
  // Set by anyone, at any time: the request ends within one step, with kCancelled.
  std::shared_ptr<std::atomic<bool>> cancelled = std::make_shared<std::atomic<bool>>(false);
};

struct SchedulerState {
  size_t queued = 0, queued_tokens = 0;  // requests without a session, and their prompts' tokens
  size_t running = 0, sessions = 0;      // sessions in use, and in all
  size_t kv_bytes = 0, kv_capacity_bytes = 0;          // of the sessions
  size_t prefix_bytes = 0, prefix_capacity_bytes = 0;  // of the prefix store
  bool draining = false;
  bool stalled = false;  // there is work, and no step has ended for the stall timeout
};

struct StepStats {
  double seconds = 0;
  size_t decoding = 0;        // sessions that decoded one token each
  size_t prefill_tokens = 0;  // prompt tokens of other sessions
};

// Is told what happens, on the scheduler's thread: must neither block nor throw.
class SchedulerObserver {
 public:
  virtual ~SchedulerObserver() = default;
  virtual void OnStep(const StepStats& step) = 0;
  virtual void OnFirstToken(double seconds_since_submit) = 0;
  virtual void OnNextToken(double seconds_since_last) = 0;
  // `error` is null where the request was answered to its end. Also called for requests that
  // Submit accepted and that never ran.
  virtual void OnEnd(const GenerationStats& stats, FinishReason finish, const Error* error) = 0;
};

struct SchedulerOptions {
  size_t max_queued = 64;                 // requests that wait for a session
  size_t max_queued_tokens = 128 * 1024;  // of their prompts; a single longer one may still wait
  size_t prefill_tokens = 512;            // prompt tokens per step at most, over all sessions
  std::chrono::milliseconds stall_timeout{30'000};
  SchedulerObserver* observer = nullptr;  // may be null; must outlive the scheduler
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
