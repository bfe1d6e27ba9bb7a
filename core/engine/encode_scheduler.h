// The one thread that calls Transformer::Encode. Each step takes whole texts, as many as let it end
// in time (StepPacer): first of the client that was served least, and of a client's jobs the
// smaller first, so that a single query never waits for more than the step in hand, however many
// texts others have sent. Jobs wait in no line: all that were taken are served side by side, and
// bounded by their number and by the tokens of those that no step has begun.
//
// Where another scheduler computes on the same threads they take turns, step by step.
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
#include "core/engine/active_encode_job.h"
#include "core/engine/drain_state.h"
#include "core/engine/encode_job.h"
#include "core/engine/fair_shares.h"
#include "core/engine/step_pacer.h"
#include "core/engine/step_turns.h"
#include "core/transformer/transformer.h"

namespace lockstep {

struct EncodeState {
  size_t queued = 0, queued_tokens = 0;  // jobs that no step has begun, and their tokens
  size_t running = 0;                    // jobs of which some texts are encoded
  double predicted_wait_s = 0;           // until all that is there now is encoded
  bool draining = false;
  bool stalled = false;  // there is work, and no step has ended for the stall timeout
};

// Is told what happens, on the scheduler's thread: must neither block nor throw.
class EncodeObserver {
 public:
  virtual ~EncodeObserver() = default;
  virtual void OnEncodeStep(size_t texts, size_t tokens, double seconds) = 0;
  // `error` is null where all vectors were made. Also called for jobs that never ran.
  virtual void OnEncodeEnd(const EncodeStats& stats, const Error* error) = 0;
};

struct EncodeOptions {
  size_t context = 512;      // tokens of a text at most
  size_t step_tokens = 512;  // of all texts of a step; a single longer one may be one
  size_t max_jobs = 64;
  size_t max_queued_tokens = 128 * 1024;  // of jobs not begun; a single longer one may still wait
  std::chrono::milliseconds stall_timeout{30'000};
  EncodeObserver* observer = nullptr;  // may be null; both must outlive the scheduler
  StepTurns* turns = nullptr;
};

// The rows of a step's largest batch, and the texts.
size_t EncodeStepRows(const EncodeOptions& options);
size_t EncodeStepTexts(const EncodeOptions& options);

class EncodeScheduler {
 public:
  // Starts the thread. Both references must outlive the scheduler, which alone uses `pool`, but for
  // whom it takes turns with. REQUIRES: the model encodes, all options >= 1, and a context of at
  // most the model's.
  EncodeScheduler(const Transformer& transformer, ThreadPool& pool, const EncodeOptions& options);
  ~EncodeScheduler();  // stops at the end of the step; what is left gets OnError(kUnavailable)
  EncodeScheduler(const EncodeScheduler&) = delete;
  EncodeScheduler& operator=(const EncodeScheduler&) = delete;

  // kOverloaded when too many wait, kUnavailable when draining, kContextExceeded or
  // kInvalidArgument for texts that cannot be encoded; the sink is not called then.
  [[nodiscard]] Status Submit(EncodeJob asked);

  // These do what Scheduler's functions of the same names do.
  void AnnounceDrain();
  bool Drain(std::chrono::milliseconds timeout);
  EncodeState state() const;

  size_t context() const { return options_.context; }

 private:
  using Clock = ActiveEncodeJob::Clock;

  using Jobs = std::vector<std::unique_ptr<ActiveEncodeJob>>;

  void Loop();
  void EndExpired();
  void Step();
  // The texts of a step; charges their clients.
  void Choose() EXCLUDES(mutex_);
  ActiveEncodeJob* NextJob() REQUIRES(mutex_);  // null if all texts of all jobs are chosen
  // Encodes what was chosen, from one to before another of picks_.
  void Encode(size_t begin, size_t end);
  void EndAllBegun(const Error& error);
  void EndAll();
  // Whether a job of so many tokens finds a place, once `leaving` is gone, which may be null.
  bool Fits(size_t tokens, const ActiveEncodeJob* leaving) const REQUIRES(mutex_);
  // Makes the place, if need be by moving the newest waiting job of the client with the most into
  // displaced_, as one client's burst must not shut the others out. False if that is the client's
  // own, or does not help.
  bool MakePlace(const ActiveEncodeJob& job) REQUIRES(mutex_);
  // The jobs that `leaves` says yes to, no longer in jobs_.
  template <class Leaves>
  Jobs Take(const Leaves& leaves) REQUIRES(mutex_);
  void End(ActiveEncodeJob& job, const Error* error) EXCLUDES(mutex_);
  double PredictedWait() const REQUIRES(mutex_);
  double RetryAfter() const REQUIRES(mutex_);  // seconds

  const Transformer& transformer_;
  ThreadPool& pool_;
  const EncodeOptions options_;

  // Used by the scheduler's thread alone.
  Scratch scratch_;
  StepPacer pacer_;
  struct Pick {
    ActiveEncodeJob* job;
    size_t text;
  };
  std::vector<Pick> picks_;          // of the step
  std::vector<EncoderText> tokens_;  // [i] of picks_[i]

  std::atomic<double> token_s_{0};           // as the pacer has it
  std::atomic<Clock::time_point> progress_;  // when the last step ended, or work came

  mutable Mutex mutex_;
  CondVar wake_;
  Jobs jobs_ GUARDED_BY(mutex_);  // in the order in which they came
  // Pushed out by others, to be ended by the thread.
  Jobs displaced_ GUARDED_BY(mutex_);
  FairShares shares_ GUARDED_BY(mutex_);
  size_t tokens_left_ GUARDED_BY(mutex_) = 0;   // not yet chosen, of all jobs
  size_t tokens_taken_ GUARDED_BY(mutex_) = 0;  // chosen, since the start
  DrainState drain_ GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace lockstep
