#include "core/engine/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <string>
#include <utility>

#include "core/kernels/float_mode.h"

namespace lockstep {
namespace {

// Logits below which sampling them is not worth handing to another thread.
constexpr size_t kSmallSample = 16 * 1024;
// What each thread may do for grammars in a step, in units of WorkBudget: about 20 ms, in which a
// mask over the largest vocabulary is found. A grammar that needs more sits out of batches until it
// is done, slice by slice, so that its own stream alone is slow.
constexpr uint64_t kGrammarWork = uint64_t{1} << 22;
constexpr double kNewest = 0.2;  // weight of the newest interval between two ends
constexpr double kLongestRetry = 60;

double Seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// What only helps, such as remembering a prefix, is left undone where memory does not suffice.
template <class Work>
void IfMemoryAllows(const Work& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
  }
}

// What only one request has done ends only that request.
template <class Work>
auto Caught(const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception&) {
    return tl::unexpected<Error>(CaughtError());
  }
}

}  // namespace

Scheduler::Scheduler(const Transformer& transformer, SessionPool& sessions, ThreadPool& pool,
                     SchedulerOptions options)
    : transformer_(transformer),
      sessions_(sessions),
      pool_(pool),
      options_(options),
      scratch_(transformer.config(), sessions.size() + options.prefill_tokens, sessions.size(),
               pool.threads()),
      pacer_(options.prefill_tokens),
      logits_(sessions.size()),
      events_(sessions.size()),
      progress_(Clock::now()),
      queue_(options.max_queued, options.max_queued_tokens) {
  assert(sessions.size() >= 1 && options.prefill_tokens >= 1);
  running_.reserve(sessions.size());
  prefilling_.reserve(sessions.size());
  waiting_.reserve(sessions.size());
  batch_jobs_.reserve(sessions.size());
  batch_.reserve(sessions.size());
  thread_ = std::thread([this] { Loop(); });
}

Scheduler::~Scheduler() {
  {
    const MutexLock lock(mutex_);
    draining_ = stop_ = true;
  }
  wake_.NotifyOne();
  thread_.join();
}

Status Scheduler::Submit(Job asked) {
  if (Status ok = CheckGeneration(asked.prompt, asked.options, transformer_.config().vocab,
                                  sessions_.context());
      !ok) {
    return ok;
  }
  auto job = std::make_unique<ActiveJob>(std::move(asked));
  const std::string client = job->client;
  {
    const MutexLock lock(mutex_);
    if (draining_) {
      return Fail(ErrorKind::kUnavailable, "the server is shutting down; try another one");
    }
    ActiveJob* const submitted = job.get();
    displaced_.reserve(displaced_.size() + 1);  // once a job is in the queue nothing may throw
    shares_.Join(client);
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
      Error error{ErrorKind::kOverloaded,
                  fmt::format("all {} sessions are in use and {} requests with {} prompt tokens "
                              "wait; try again later",
                              sessions_.size(), queue_.size(), queue_.tokens()),
                  {}};
      error.retry_after_s = RetryAfter();
      return tl::unexpected<Error>(std::move(error));
    }
    if (refused) displaced_.push_back(std::move(refused));
    if (unfinished_++ == 0) progress_ = last_end_ = Clock::now();
  }
  wake_.NotifyOne();
  return {};
}

bool Scheduler::Drain(std::chrono::milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  const MutexLock lock(mutex_);
  draining_ = true;
  while (unfinished_ > 0 && idle_.WaitUntil(mutex_, deadline)) {
  }
  if (unfinished_ == 0) return true;
  stop_ = true;
  wake_.NotifyOne();
  while (unfinished_ > 0) idle_.Wait(mutex_);
  return false;
}

SchedulerState Scheduler::state() const {
  SchedulerState state;
  state.sessions = sessions_.size();
  state.kv_bytes = kv_bytes_;
  state.kv_capacity_bytes = sessions_.kv_bytes();
  if (options_.prefixes != nullptr) {
    state.prefix_bytes = options_.prefixes->bytes();
    state.prefix_capacity_bytes = options_.prefixes->capacity_bytes();
  }
  const bool overdue = Clock::now() - progress_.load() > options_.stall_timeout;
  const MutexLock lock(mutex_);
  state.queued = queue_.size();
  state.queued_tokens = queue_.tokens();
  state.running = running_count_;
  state.draining = draining_;
  state.stalled = unfinished_ > 0 && overdue;
  return state;
}

void Scheduler::Loop() {
  SetComputeFloatMode();
  while (true) {
    {
      const MutexLock lock(mutex_);
      while (!stop_ && queue_.empty() && running_.empty()) wake_.Wait(mutex_);
      if (stop_) break;
    }
    try {
      EndExpired();
      Admit();
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

std::optional<Error> Scheduler::Expired(const ActiveJob& job, Clock::time_point now) const {
  const Deadlines& deadlines = job.deadlines;
  const auto waited = now - job.submitted;
  if (job.cancelled->load(std::memory_order_relaxed)) {
    return Error{ErrorKind::kCancelled, "the request was cancelled", {}};
  }
  if (waited > deadlines.total) {
    return Error{ErrorKind::kDeadlineExceeded,
                 fmt::format("the answer was not complete after {} s; ask for fewer tokens",
                             Seconds(deadlines.total)),
                 {}};
  }
  if (!job.first_token && waited > deadlines.first_token) {
    return Error{ErrorKind::kDeadlineExceeded,
                 fmt::format("there was no token after {} s; send a shorter prompt, or come when "
                             "there is less load",
                             Seconds(deadlines.first_token)),
                 {}};
  }
  if (!job.session && waited > deadlines.queue) {
    return Error{ErrorKind::kUnavailable,
                 fmt::format("no session became free within {} s; try again later",
                             Seconds(deadlines.queue)),
                 {}};
  }
  return std::nullopt;
}

void Scheduler::EndExpired() {
  const Clock::time_point now = Clock::now();
  std::vector<std::unique_ptr<ActiveJob>> expired, displaced;
  Error overloaded{ErrorKind::kOverloaded,
                   "this client has the most requests waiting, and others came; try again later",
                   {}};
  double retry_after_s;
  {
    const MutexLock lock(mutex_);
    displaced.swap(displaced_);
    expired = queue_.TakeIf([&](const ActiveJob& job) { return Expired(job, now).has_value(); });
    overloaded.retry_after_s = retry_after_s = RetryAfter();
  }
  for (const auto& job : displaced) End(*job, &overloaded);
  for (const auto& job : expired) {
    Error error = *Expired(*job, now);
    error.retry_after_s = retry_after_s;
    End(*job, &error);
  }
  for (const auto& job : running_) {
    if (const auto error = Expired(*job, now)) End(*job, &*error);
  }
  EraseEnded();
}

void Scheduler::Admit() {
  while (running_.size() < sessions_.size()) {
    std::unique_ptr<ActiveJob> job;
    {
      const MutexLock lock(mutex_);
      if (queue_.empty()) return;
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
    running_.push_back(std::move(job));
  }
}

Status Scheduler::Begin(ActiveJob& job) {
  try {
    {
      const MutexLock lock(mutex_);
      Result<SessionLease> lease = sessions_.Acquire(job.id);
      if (!lease) return tl::unexpected<Error>(std::move(lease.error()));
      job.session = std::move(*lease);
      ++running_count_;
    }
    return job.session->Begin(std::move(job.prompt), std::move(job.options));
  } catch (const std::exception&) {
    return tl::unexpected<Error>(CaughtError());
  }
}

size_t Scheduler::AddToBatch(ActiveJob& job, size_t limit) {
  if (!job.started) job.started = Clock::now();
  batch_jobs_.push_back(&job);
  batch_.push_back(job.session->NextEntry(limit));
  return batch_.back().tokens.size();
}

void Scheduler::Step() {
  batch_.clear();
  batch_jobs_.clear();
  step_ = {};
  ResumeGrammars();
  const Clock::time_point begin = Clock::now();
  for (const auto& job : running_) {
    InferenceSession& session = *job->session;
    if (!session.prefilling() && !session.waits_for_grammar()) {
      step_.decoding += AddToBatch(*job, 1);
    }
  }
  AddPrompts();
  if (batch_.empty()) return;
  Forward(batch_jobs_, batch_);
  step_.seconds = Seconds(Clock::now() - begin);
  pacer_.Observe(step_);
  if (options_.observer != nullptr) options_.observer->OnStep(step_);
  EraseEnded();
}

WorkBudget Scheduler::GrammarBudget(size_t sessions) const {
  return WorkBudget(kGrammarWork * std::min(sessions, pool_.threads()) / sessions);
}

void Scheduler::ResumeGrammars() {
  waiting_.clear();
  for (const auto& job : running_) {
    if (job->session->waits_for_grammar()) waiting_.push_back(job.get());
  }
  if (waiting_.empty()) return;
  const WorkBudget budget = GrammarBudget(waiting_.size());
  pool_.ParallelFor(waiting_.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      events_[i] = Caught([&] { return waiting_[i]->session->Resume(budget); });
    }
  });
  for (size_t i = 0; i < waiting_.size(); ++i) {
    if (!waiting_[i]->started) waiting_[i]->started = Clock::now();
    Deliver(*waiting_[i], std::move(events_[i]));
  }
  EraseEnded();
}

void Scheduler::AddPrompts() {
  prefilling_.clear();
  for (const auto& job : running_) {
    InferenceSession& session = *job->session;
    if (session.prefilling() && !session.waits_for_grammar()) prefilling_.push_back(job.get());
  }
  std::ranges::stable_sort(prefilling_, {}, &ActiveJob::turn);
  size_t budget = pacer_.PrefillTokens(step_.decoding);
  for (ActiveJob* const job : prefilling_) {
    if (budget == 0) break;
    if (options_.prefixes != nullptr) {
      IfMemoryAllows([&] {
        job->cached_tokens += job->session->TakePrefix(*options_.prefixes, job->prefix_scope);
      });
      if (IsBeingComputed(*job)) continue;
    }
    const size_t tokens = AddToBatch(*job, budget);
    budget -= tokens;
    step_.prefill_tokens += tokens;
  }
}

bool Scheduler::IsBeingComputed(const ActiveJob& job) const {
  const std::vector<int32_t>& prompt = job.session->prompt();
  for (size_t i = step_.decoding; i < batch_.size(); ++i) {
    const ActiveJob& other = *batch_jobs_[i];
    if (other.prefix_scope != job.prefix_scope) continue;
    const size_t end = other.session->position() + batch_[i].tokens.size();
    const auto known = std::span(other.session->prompt()).first(end);
    const auto same = static_cast<size_t>(std::ranges::mismatch(known, prompt).in1 - known.begin());
    const size_t shared = std::min(same, prompt.size() - 1) / PrefixStore::kBlock;
    if (shared * PrefixStore::kBlock > job.session->position()) return true;
  }
  return false;
}

void Scheduler::Forward(std::span<ActiveJob* const> jobs, std::span<const BatchEntry> batch) {
  if (Status ok = transformer_.Forward(batch, scratch_, pool_); !ok) {
    if (batch.size() == 1) {
      End(*jobs[0], &ok.error());
      return;
    }
    // No cache has changed: each alone gets the same bits, and the error finds its owner.
    for (size_t i = 0; i < batch.size(); ++i) Forward(jobs.subspan(i, 1), batch.subspan(i, 1));
    return;
  }
  Account(jobs, batch);
  // The sessions sample side by side: each has its own state and its own row of logits.
  size_t row = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    const bool has_logits = batch[i].logits != LogitRows::kNone;
    logits_[i] = has_logits ? scratch_.logits(row++) : std::span<const float>();
  }
  const WorkBudget budget = GrammarBudget(batch.size());
  const size_t grain = std::max<size_t>(1, kSmallSample / transformer_.config().vocab);
  pool_.ParallelFor(batch.size(), grain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      events_[i] = Caught([&] { return jobs[i]->session->Accept(logits_[i], budget); });
    }
  });
  for (size_t i = 0; i < batch.size(); ++i) Deliver(*jobs[i], std::move(events_[i]));
}

void Scheduler::Account(std::span<ActiveJob* const> jobs, std::span<const BatchEntry> batch) {
  size_t kv_bytes = 0;
  for (const auto& job : running_) kv_bytes += job->session ? job->session->kv().used_bytes() : 0;
  kv_bytes_ = kv_bytes;
  const auto decodes = [](const ActiveJob& job) { return job.first_token.has_value(); };
  for (size_t i = 0; i < batch.size(); ++i) {
    if (decodes(*jobs[i])) continue;
    prompt_tokens_read_ += batch[i].tokens.size();
    if (options_.prefixes == nullptr) continue;
    IfMemoryAllows(
        [&] { jobs[i]->session->GivePrefix(*options_.prefixes, jobs[i]->prefix_scope); });
  }
  const MutexLock lock(mutex_);
  for (size_t i = 0; i < batch.size(); ++i) {
    const double token = decodes(*jobs[i]) ? FairShares::kGeneratedToken : FairShares::kPromptToken;
    shares_.Charge(jobs[i]->client, token * static_cast<double>(batch[i].tokens.size()));
  }
}

void Scheduler::Deliver(ActiveJob& job, Result<std::optional<TokenEvent>> event) {
  if (!event) {
    End(job, &event.error());
    return;
  }
  if (!*event) return;
  const Clock::time_point now = Clock::now();
  if (options_.observer != nullptr) {
    job.first_token ? options_.observer->OnNextToken(Seconds(now - *job.last_token))
                    : options_.observer->OnFirstToken(Seconds(now - job.submitted));
  }
  job.last_token = now;
  if (!job.first_token) job.first_token = now;
  ++job.generated_tokens;
  job.sink->OnToken(std::move(**event));
  if (job.session->finished()) End(job, nullptr);
}

void Scheduler::End(ActiveJob& job, const Error* error) {
  const JobStats stats = job.stats();
  const bool held_session = static_cast<bool>(job.session);
  FinishReason reason = FinishReason::kNone;
  if (held_session) {
    if (error == nullptr) reason = job.session->finish_reason();
    if (options_.prefixes != nullptr) {
      IfMemoryAllows([&] { job.session->GivePrefix(*options_.prefixes, job.prefix_scope); });
    }
  }
  job.session = {};
  {
    const MutexLock lock(mutex_);
    shares_.Leave(job.client);
    if (held_session) {
      --running_count_;
      const Clock::time_point now = Clock::now();
      end_interval_s_ += kNewest * (Seconds(now - last_end_) - end_interval_s_);
      last_end_ = now;
    }
  }
  if (error != nullptr) {
    job.sink->OnError(*error, stats);
  } else {
    job.sink->OnFinish(reason, stats);
  }
  if (options_.observer != nullptr) {
    IfMemoryAllows([&] { options_.observer->OnEnd(stats, reason, error); });
  }
  const MutexLock lock(mutex_);
  if (--unfinished_ == 0) {
    kv_bytes_ = 0;
    idle_.NotifyAll();
  }
}

double Scheduler::RetryAfter() const {
  // Until half of those that wait have had their turn: places enough for those that come back.
  const auto turns = static_cast<double>(queue_.size() / 2 + 1);
  return std::min(kLongestRetry, turns * end_interval_s_);
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
  const Error error{ErrorKind::kUnavailable, "the server is shutting down; try another one", {}};
  for (const auto& job : running_) End(*job, &error);
  for (const auto& job : waiting) End(*job, &error);
  running_.clear();
}

}  // namespace lockstep
