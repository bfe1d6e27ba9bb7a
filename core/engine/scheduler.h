// The one thread that calls Transformer::Forward. Each step takes a token of every decoding
// session first, then chunks of prompts, as many tokens as let the step end in time (StepPacer), so
// that a long prompt never stalls the streams of others. A session whose grammar has more to do
// than a step allows sits out until it is done. A prompt that begins like an earlier one starts
// from where the prefix store knows it. Requests beyond the free sessions wait in a bounded queue
// that is fair between clients (JobQueue). Sessions share the memory for keys and values; where it
// runs out the youngest request pauses, gives its memory up and reads its text again later, which
// changes no bit of it. Cancellation and deadlines are looked at in every step,
// for queued and running requests alike. Memory that cannot be had ends the request that needed it,
// never the thread.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/engine/active_job.h"
#include "core/engine/draft_model.h"
#include "core/engine/drain_state.h"
#include "core/engine/fair_shares.h"
#include "core/engine/job_queue.h"
#include "core/engine/prefix_archiver.h"
#include "core/engine/prefix_store.h"
#include "core/engine/session_pool.h"
#include "core/engine/step_pacer.h"
#include "core/engine/step_turns.h"
#include "core/transformer/transformer.h"

namespace lockstep {

struct SchedulerState {
  size_t queued = 0, queued_tokens = 0;  // requests without a session, and their prompts' tokens
  size_t running = 0, sessions = 0;      // sessions in use, and in all
  size_t paused = 0;                     // of those in use, without memory for their tokens
  size_t kv_bytes = 0, kv_capacity_bytes = 0;          // of the sessions
  size_t prefix_bytes = 0, prefix_capacity_bytes = 0;  // of the prefix store
  size_t block_bytes = 0;               // of PrefixStore::kBlock positions, in either
  std::optional<ArchiveStats> archive;  // of prefixes outside of the process, where there is one
  double predicted_wait_s = 0;          // of a request that came now, until its own prompt is read
  bool draining = false;
  bool stalled = false;  // there is work, and no step has ended for the stall timeout
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
  virtual void OnEnd(const JobStats& stats, FinishReason finish, const Error* error) = 0;
};

struct SchedulerOptions {
  size_t max_queued = 64;                 // requests that wait for a session
  size_t max_queued_tokens = 128 * 1024;  // of their prompts; a single longer one may still wait
  size_t prefill_tokens = 512;            // prompt tokens per step at most, over all sessions
  size_t longest_draft = 16;              // tokens of a session that a step may guess; 0: none
  std::chrono::milliseconds stall_timeout{30'000};
  // May be null; must outlive the scheduler, which alone uses the store. The turns are taken with
  // whoever else computes on the scheduler's threads.
  SchedulerObserver* observer = nullptr;
  PrefixStore* prefixes = nullptr;
  StepTurns* turns = nullptr;
  // May be null; guesses where a text itself says nothing. Must outlive the scheduler, which alone
  // uses it.
  DraftModel* draft_model = nullptr;
  // May be null; REQUIRES prefixes, which archives by it. Must outlive the scheduler.
  PrefixArchiver* archiver = nullptr;
  // What reading a token of a prompt takes, until steps have shown it.
  double assumed_token_s = 0.001;
};

// The drafts of full length that a step has room for, over all sessions.
inline constexpr size_t kDraftsInStep = 2;
// Beyond so many streams arithmetic limits a step, not the weights that are read for it: a row
// costs its whole share then, and guesses, which are wrong at times, cost more than they bring.
inline constexpr size_t kFewStreams = 4;
// The rows of logits that a step has at least beside those of the sessions, for the logprobs of
// prompts: few enough for large vocabularies, and enough for weights to be worth reading.
inline constexpr size_t kScoredRows = 32;
// The rows of a step's largest batch, and those of them that have logits.
size_t StepRows(size_t sessions, const SchedulerOptions& options);
size_t StepLogitRows(size_t sessions, const SchedulerOptions& options);

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
  [[nodiscard]] Status Submit(Job asked);

  // state() says that it drains, so that nobody sends more; what comes all the same is still taken.
  void AnnounceDrain();
  // Refuses new requests and waits until all others have ended, or until the timeout; those that
  // are left then end with kUnavailable. True if none was left.
  bool Drain(std::chrono::milliseconds timeout);

  SchedulerState state() const;

 private:
  using Clock = ActiveJob::Clock;

  void Loop();
  void EndExpired();
  void Admit();
  // Asks the archive for what it has of the prompt, once. True if the job is to wait for it.
  bool StartFetch(ActiveJob& job);
  // Stores what has come from the archive.
  void CollectFetched();
  Status Begin(ActiveJob& job);  // gives it a session
  // Gives paused jobs the room for all that they may come to hold. False if one still waits.
  bool ResumePaused();
  // Reserves room for one position more, for which the youngest jobs may have to pause. False if
  // that is the job itself.
  bool MakeRoom(ActiveJob& job);
  void Pause(ActiveJob& job);
  void Step();
  // Does a slice of what the grammars have left undone.
  void ResumeGrammars();
  // Calls `work` with what is left of a step's allowance. Runs beside others, none for the same
  // job.
  template <class Work>
  static Status Metered(ActiveJob& job, std::atomic<int64_t>& left, const Work& work);
  // Whether the job adds its last token to this step.
  static bool Decodes(const ActiveJob& job);
  // Has the draft model guess where `limit` and the text itself leave something to guess.
  void GuessByModel(size_t decoding, DraftLimit limit);
  void AddDecoding();
  void AddPrompts();
  // Returns how many tokens it adds.
  size_t AddToBatch(ActiveJob& job, size_t limit, std::span<const int32_t> guess = {});
  // Whether this very step computes what the job's prompt goes on with.
  bool IsBeingComputed(const ActiveJob& job) const;
  // Whether, besides, the states of a recurrent model will be stored where the job can go on; the
  // job that computes them is told to.
  bool StatesWillBeStored(const ActiveJob& job) const;
  void Forward(std::span<ActiveJob* const> jobs, std::span<const BatchEntry> batch);
  // Shows what the model has made of the batch to what guesses by it.
  void ShowHidden(std::span<ActiveJob* const> jobs, std::span<const BatchEntry> batch);
  // Computes the logprobs of the prompts' tokens that the step's logits are about.
  void ScorePrompts(std::span<ActiveJob* const> jobs, std::span<const BatchEntry> batch);
  // What has been done for the job's grammar since the last time.
  void ChargeGrammar(ActiveJob& job) REQUIRES(mutex_);
  void Account(std::span<ActiveJob* const> jobs, std::span<const BatchEntry> batch);
  // Gives the prefix store what the job's session has computed.
  void Remember(ActiveJob& job, bool leaves = false);
  // What a step or the grammar's work has given a job: tokens, and then perhaps an error.
  struct Outcome {
    Status status;
    std::vector<TokenEvent> events;
  };
  void Deliver(ActiveJob& job, Outcome& outcome);
  void DeliverToken(ActiveJob& job, TokenEvent event);
  void EraseEnded();
  void EndAll();
  // Gives the session back, if there is one, and makes the request's last call.
  void End(ActiveJob& job, const Error* error) EXCLUDES(mutex_);
  double RetryAfter() const REQUIRES(mutex_);  // seconds
  double PredictedWait() const REQUIRES(mutex_);

  const Transformer& transformer_;
  SessionPool& sessions_;
  ThreadPool& pool_;
  const SchedulerOptions options_;

  // The scheduler thread's own. A job without a session has ended.
  Scratch scratch_;
  StepPacer pacer_;
  std::vector<std::unique_ptr<ActiveJob>> running_;
  std::vector<ActiveJob*> prefilling_;  // in the order of their turns
  size_t prompt_tokens_read_ = 0;
  std::vector<std::shared_ptr<PrefixFetch>> fetches_;  // for jobs of the queue
  std::vector<ActiveJob*> waiting_;     // for their grammars, the least work so far first
  std::vector<ActiveJob*> batch_jobs_;  // one for each entry of batch_, those that decode first
  std::vector<BatchEntry> batch_;
  StepStats step_;
  std::vector<std::span<const float>> logits_;  // the rows of [vocab] that the batch asked for
  std::vector<size_t> first_logits_;            // [i] of batch_[i] in logits_
  // Rows of logits about tokens of prompts: whose, of how many in its entry, and which of them.
  struct ScoredRow {
    size_t entry, rows, row;
  };
  std::vector<ScoredRow> scored_rows_;
  std::vector<DraftTask> draft_tasks_;
  std::vector<Outcome> outcomes_;  // [i] of batch_[i] or of waiting_[i]

  std::atomic<size_t> kv_bytes_{0};          // of the running sessions
  std::atomic<size_t> unread_tokens_{0};     // of their prompts
  std::atomic<double> prefill_token_s_{0};   // as the pacer has it
  std::atomic<size_t> paused_{0};            // running jobs
  std::atomic<Clock::time_point> progress_;  // when the last step ended, or work came

  mutable Mutex mutex_;
  CondVar wake_;
  JobQueue queue_ GUARDED_BY(mutex_);
  FairShares shares_ GUARDED_BY(mutex_);
  // Jobs that others have pushed out of the queue, to be ended by the scheduler's thread.
  std::vector<std::unique_ptr<ActiveJob>> displaced_ GUARDED_BY(mutex_);
  size_t running_count_ GUARDED_BY(mutex_) = 0;   // jobs that hold a session
  double end_interval_s_ GUARDED_BY(mutex_) = 1;  // between the ends of jobs, smoothed
  Clock::time_point last_end_ GUARDED_BY(mutex_);
  DrainState drain_ GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace lockstep
