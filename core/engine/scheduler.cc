// The scheduler's two sides. Any thread may Submit, Drain and ask for the state, and holds the
// mutex for no longer than it takes to move a job. The scheduler's own thread runs the loop:
//
//   EndExpired   whoever was cancelled or is past a deadline ends, queued or running
//   Admit        free sessions go to the jobs whose clients were served least, once there is room
//                for the prompt and the beginning of an answer; paused jobs come first. A job of
//                whose prompt an archive may have more waits for that in the queue, and a session
//                for it; it would compute for longer
//   Step         scheduler_step.cc, without the mutex
//
// so a cancellation waits for one step at most. A job is in one place at a time: in queue_, pushed
// out of it in displaced_, or in running_ with a session. Whichever way it leaves, End makes its
// last call, exactly once and after its session is free, since the client may come back at once.
//
// An exception in a step, which only memory that runs out should cause, ends what is running: what
// the step has left half done is not known. The thread goes on with the next jobs.
#include "core/engine/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <new>
#include <string>
#include <utility>

#include "core/engine/end_waiting.h"
#include "core/kernels/float_mode.h"

namespace lockstep {
namespace {

constexpr double kEndSmoothing = 0.2;  // weight of the newest interval between two ends

// Most answers end long before their limit, so that reserving all of it would keep sessions idle;
// with less than this, jobs would begin only to make way at once.
constexpr size_t kAnswerRoom = 512;

// How often what comes from an archive is looked for where nothing runs.
constexpr std::chrono::milliseconds kFetchPoll{1};

// The positions for which there must be room before a job begins.
size_t FirstRoom(const ActiveJob& job, size_t context) {
  const size_t answer = std::min(job.options.max_tokens, kAnswerRoom);
  return std::min(job.prompt_tokens + answer, context);
}

}  // namespace

size_t StepRows(size_t sessions, const SchedulerOptions& options) {
  return sessions + kDraftsInStep * options.longest_draft + options.prefill_tokens;
}

size_t StepLogitRows(size_t sessions, const SchedulerOptions& options) {
  return sessions + std::max(kScoredRows, kDraftsInStep * options.longest_draft);
}

Scheduler::Scheduler(const Transformer& transformer, SessionPool& sessions, ThreadPool& pool,
                     SchedulerOptions options)
    : transformer_(transformer),
      sessions_(sessions),
      pool_(pool),
      options_(options),
      scratch_(transformer.config(), StepRows(sessions.size(), options),
               StepLogitRows(sessions.size(), options), pool.threads()),
      pacer_(options.prefill_tokens),
      logits_(scratch_.max_logit_rows()),
      first_logits_(sessions.size()),
      outcomes_(sessions.size()),
      progress_(Clock::now()),
      queue_(options.max_queued, options.max_queued_tokens) {
  assert(sessions.size() >= 1 && options.prefill_tokens >= 1);
  running_.reserve(sessions.size());
  prefilling_.reserve(sessions.size());
  waiting_.reserve(sessions.size());
  batch_jobs_.reserve(sessions.size());
  batch_.reserve(sessions.size());
  scored_rows_.reserve(scratch_.max_logit_rows());
  draft_tasks_.reserve(kFewStreams);
  for (Outcome& outcome : outcomes_) outcome.events.reserve(1 + options.longest_draft);
  thread_ = std::thread([this] { Loop(); });
}

Scheduler::~Scheduler() {
  {
    const MutexLock lock(mutex_);
    drain_.Stop();
  }
  wake_.NotifyOne();
  thread_.join();
}

Status Scheduler::Submit(Job asked) {
  TRY_OK(CheckGeneration(asked.prompt, asked.options, transformer_.config().vocab,
                         sessions_.context()));
  auto job = std::make_unique<ActiveJob>(std::move(asked));
  const std::string client = job->client;
  {
    const MutexLock lock(mutex_);
    if (drain_.refuses()) return tl::unexpected(ShuttingDown());
    ActiveJob* const submitted = job.get();
    displaced_.reserve(displaced_.size() + 1);  // once a job is in the queue nothing may throw
    shares_.Join(client);
    ChargeGrammar(*job);
    std::unique_ptr<ActiveJob> refused;
    try {
      // A request that a free session is about to take does not count as waiting.
      refused = queue_.Push(std::move(job), sessions_.size() - running_count_);
    } catch (const std::bad_alloc&) {
      shares_.Leave(client);
      throw;
    }
    if (refused.get() == submitted) {
      shares_.Leave(client);
      // Those that a session is free for are on their way out of the queue, and do not fill it.
      const size_t placed = std::min(queue_.size(), sessions_.size() - running_count_);
      Error error{
          ErrorKind::kOverloaded,
          fmt::format("the queue is full: {} of {} sessions are taken, {} requests wait for "
                      "one, and {} prompt tokens for being read; try again later",
                      running_count_ + placed, sessions_.size(), queue_.size() - placed,
                      queue_.tokens()),
          {}};
      error.retry_after_s = RetryAfter();
      return tl::unexpected<Error>(std::move(error));
    }
    if (refused) displaced_.push_back(std::move(refused));
    if (drain_.Add()) progress_ = last_end_ = Clock::now();
  }
  wake_.NotifyOne();
  return {};
}

void Scheduler::AnnounceDrain() {
  const MutexLock lock(mutex_);
  drain_.Announce();
}

bool Scheduler::Drain(std::chrono::milliseconds timeout) {
  const MutexLock lock(mutex_);
  return drain_.Drain(mutex_, wake_, timeout);
}

SchedulerState Scheduler::state() const {
  SchedulerState state;
  state.sessions = sessions_.size();
  state.paused = paused_;
  state.kv_bytes = kv_bytes_;
  state.kv_capacity_bytes = sessions_.kv_bytes();
  state.block_bytes = sessions_.context_bytes() * PrefixStore::kBlock / sessions_.context();
  if (options_.prefixes != nullptr) {
    state.block_bytes = options_.prefixes->block_bytes();
    state.prefix_bytes = options_.prefixes->bytes();
    state.prefix_capacity_bytes = options_.prefixes->capacity_bytes();
  }
  if (options_.archiver != nullptr) state.archive = options_.archiver->stats();
  const bool overdue = Clock::now() - progress_.load() > options_.stall_timeout;
  const MutexLock lock(mutex_);
  state.queued = queue_.size();
  state.queued_tokens = queue_.tokens();
  state.predicted_wait_s = PredictedWait();
  state.running = running_count_;
  state.draining = drain_.announced();
  state.stalled = drain_.has_jobs() && overdue;
  return state;
}

void Scheduler::Loop() {
  SetComputeFloatMode();
  while (true) {
    {
      const MutexLock lock(mutex_);
      while (!drain_.stops() && queue_.empty() && running_.empty()) wake_.Wait(mutex_);
      if (drain_.stops()) break;
      // What comes from the archive wakes nobody.
      if (running_.empty() && !fetches_.empty()) {
        wake_.WaitUntil(mutex_, Clock::now() + kFetchPoll);
      }
    }
    try {
      EndExpired();
      CollectFetched();
      Admit();
      const StepTurns::Turn turn(options_.turns);
      progress_ = Clock::now();  // to wait for the other model is no stall
      Step();
    } catch (const std::exception&) {
      // Which of the running requests it was is not known, and neither is what the step has left.
      const Error error = CaughtError();
      for (const auto& job : running_) {
        if (job->session) End(*job, &error);
      }
      EraseEnded();
    }
    progress_ = Clock::now();
  }
  EndAll();
}

void Scheduler::EndExpired() {
  const Clock::time_point now = Clock::now();
  std::vector<std::unique_ptr<ActiveJob>> expired, displaced;
  double retry_after_s;
  {
    const MutexLock lock(mutex_);
    displaced.swap(displaced_);
    expired = queue_.TakeIf([&](const ActiveJob& job) { return job.Expired(now).has_value(); });
    retry_after_s = RetryAfter();
  }
  EndWaiting(displaced, expired, now, retry_after_s,
             [this](ActiveJob& job, const Error& error) { End(job, &error); });
  for (const auto& job : running_) {
    if (const auto error = job->Expired(now)) End(*job, &*error);
  }
  EraseEnded();
}

void Scheduler::Admit() {
  if (!ResumePaused()) return;  // whoever comes now would have to make way for them
  while (running_.size() + fetches_.size() < sessions_.size()) {
    ActiveJob* next;
    std::unique_ptr<ActiveJob> job;
    size_t room;
    {
      const MutexLock lock(mutex_);
      next = queue_.Next(shares_);
      if (next == nullptr) return;
      // The next one is waited for, and not passed by: a long prompt must not wait for ever.
      room = FirstRoom(*next, sessions_.context());
      if (!sessions_.HasRoom(room)) return;
    }
    // Whoever pushes it out of the queue leaves it for this thread to end.
    if (StartFetch(*next)) continue;
    {
      const MutexLock lock(mutex_);
      if (queue_.Next(shares_) != next) continue;
      job = queue_.Pop(shares_);
    }
    if (const Status status = Begin(*job); !status) {
      End(*job, &status.error());
      continue;
    }
    // A prompt is overtaken only by shorter ones, and only by those that come before as many
    // tokens as it has itself were read: short prompts need not wait for long ones, and long ones
    // wait for a bounded time.
    job->turn = prompt_tokens_read_ + job->prompt_tokens;
    job->progress->begun = true;
    job->session.Reserve(room);
    if (options_.draft_model != nullptr) job->guess.reserve(options_.longest_draft);
    running_.push_back(std::move(job));
  }
}

Status Scheduler::Begin(ActiveJob& job) {
  try {
    {
      const MutexLock lock(mutex_);
      TRY(job.session, sessions_.Acquire(job.id));
      ++running_count_;
    }
    return job.session->Begin(std::move(job.prompt), std::move(job.options));
  } catch (const std::exception&) {
    return tl::unexpected<Error>(CaughtError());
  }
}

// Jobs resume in the order in which they came, each with room for all that it may still need: it
// will not pause again before another job has ended. The oldest of all jobs never waits here, since
// a whole context always has room.
bool Scheduler::ResumePaused() {
  for (const auto& job : running_) {
    if (!job->paused) continue;
    const InferenceSession& session = *job->session;
    if (!job->session.Reserve(session.prompt().size() + session.max_tokens())) return false;
    job->paused = false;
    --paused_;
  }
  return true;
}

bool Scheduler::MakeRoom(ActiveJob& job) {
  while (!job.session.Reserve(job.session->position() + job.session->fed_again() + 1)) {
    const auto youngest = std::find_if(running_.rbegin(), running_.rend(),
                                       [](const auto& other) { return other->session.has_room(); });
    Pause(**youngest);
    if (youngest->get() == &job) return false;
  }
  return true;
}

void Scheduler::Pause(ActiveJob& job) {
  Remember(job, true);
  if (options_.draft_model != nullptr) options_.draft_model->Forget(&job);
  job.session.Rewind();
  job.paused = job.was_paused = true;
  ++paused_;
}

void Scheduler::End(ActiveJob& job, const Error* error) {
  const JobStats stats = job.stats();
  const bool held_session = static_cast<bool>(job.session);
  FinishReason reason = FinishReason::kNone;
  if (held_session) {
    if (error == nullptr) reason = job.session->finish_reason();
    Remember(job, true);
    if (std::exchange(job.paused, false)) --paused_;
  }
  if (options_.draft_model != nullptr) options_.draft_model->Forget(&job);
  job.session = {};
  if (job.fetch != nullptr) job.fetch->Close();
  {
    const MutexLock lock(mutex_);
    ChargeGrammar(job);
    shares_.Leave(job.client);
    if (held_session) {
      --running_count_;
      const Clock::time_point now = Clock::now();
      end_interval_s_ += kEndSmoothing * (InSeconds(now - last_end_) - end_interval_s_);
      last_end_ = now;
    }
  }
  if (error != nullptr) {
    job.sink->OnError(*error, stats);
  } else {
    job.sink->OnFinish(reason, stats);
  }
  if (options_.observer != nullptr) {
    try {
      options_.observer->OnEnd(stats, reason, error);
    } catch (const std::bad_alloc&) {  // statistics only
    }
  }
  const MutexLock lock(mutex_);
  if (drain_.Remove()) kv_bytes_ = unread_tokens_ = 0;
}

double Scheduler::RetryAfter() const {
  // Until half of those that wait have had their turn: places enough for those that come back.
  const size_t turns = queue_.size() / 2 + 1;
  return std::min(kMaxRetry, static_cast<double>(turns) * end_interval_s_);
}

// Two things are waited for: that sessions become free, and that the prompts before are read. They
// go on at the same time, so that the longer one counts.
double Scheduler::PredictedWait() const {
  const size_t free = sessions_.size() - running_count_;
  const size_t turns = queue_.size() + 1 - std::min(queue_.size() + 1, free);
  const double prompts = static_cast<double>(queue_.tokens() + unread_tokens_) * prefill_token_s_;
  return std::max(static_cast<double>(turns) * end_interval_s_, prompts);
}

void Scheduler::EraseEnded() {
  std::erase_if(running_, [](const auto& job) { return !job->session; });
}

void Scheduler::EndAll() {
  std::vector<std::unique_ptr<ActiveJob>> waiting;
  {
    const MutexLock lock(mutex_);
    waiting = queue_.TakeIf([](const ActiveJob&) { return true; });
    for (auto& job : displaced_) waiting.push_back(std::move(job));
    displaced_.clear();
  }
  const Error error = ShuttingDown();
  for (const auto& job : running_) End(*job, &error);
  for (const auto& job : waiting) End(*job, &error);
  running_.clear();
}

}  // namespace lockstep
