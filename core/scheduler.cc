#include "core/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <optional>
#include <utility>

#include "core/kernels/cpu_features.h"

namespace lockstep {
namespace {

// Logits below which sampling them is not worth handing to another thread.
constexpr size_t kSmallSample = 16 * 1024;

}  // namespace

// One request, from Submit to its last call.
struct Scheduler::Job {
  GenerationRequest request;
  SessionLease session;
  Clock::time_point submitted = Clock::now();
  std::optional<Clock::time_point> started, first_token, last_token;

  GenerationStats stats() const;
};

GenerationStats Scheduler::Job::stats() const {
  const auto seconds = [](Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  };
  const Clock::time_point now = Clock::now();
  GenerationStats t;
  t.queue_s = seconds(submitted, started.value_or(now));
  if (started) t.prefill_s = seconds(*started, first_token.value_or(now));
  if (first_token) t.decode_s = seconds(*first_token, *last_token);
  return t;
}

Scheduler::Scheduler(const Transformer& transformer, SessionPool& sessions, ThreadPool& pool,
                     SchedulerOptions options)
    : transformer_(transformer),
      sessions_(sessions),
      pool_(pool),
      options_(options),
      scratch_(transformer.config(), sessions.size() + options.prefill_tokens, sessions.size(),
               pool.threads()) {
  assert(sessions.size() >= 1 && options.prefill_tokens >= 1);
  running_.reserve(sessions.size());
  batch_jobs_.reserve(sessions.size());
  events_.resize(sessions.size());
  logits_.resize(sessions.size());
  batch_.reserve(sessions.size());
  thread_ = std::thread([this] { Loop(); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Status Scheduler::Submit(GenerationRequest request) {
  if (Status ok = CheckGeneration(request.prompt, request.params, transformer_.config().vocab,
                                  sessions_.context());
      !ok) {
    return ok;
  }
  auto job = std::make_unique<Job>();
  job->request = std::move(request);
  {
    const std::lock_guard lock(mutex_);
    if (draining_) {
      return Fail(ErrorKind::kUnavailable, "the server is shutting down; try another one");
    }
    // A request that a free session is about to take does not count as waiting.
    if (queue_.size() + running_count_ >= sessions_.size() + options_.max_queued) {
      return Fail(ErrorKind::kOverloaded,
                  fmt::format("all {} sessions are in use and {} requests wait; try again later",
                              sessions_.size(), options_.max_queued));
    }
    queue_.push_back(std::move(job));
    ++unfinished_;
  }
  wake_.notify_one();
  return {};
}

bool Scheduler::Drain(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  draining_ = true;
  const auto none_left = [this] { return unfinished_ == 0; };
  if (idle_.wait_for(lock, timeout, none_left)) return true;
  stop_ = true;
  wake_.notify_one();
  idle_.wait(lock, none_left);
  return false;
}

SchedulerState Scheduler::state() const {
  const std::lock_guard lock(mutex_);
  SchedulerState state;
  state.queued = queue_.size();
  state.running = running_count_;
  state.sessions = sessions_.size();
  state.draining = draining_;
  return state;
}

void Scheduler::Loop() {
  SetComputeFloatMode();
  while (true) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stop_ || !queue_.empty() || !running_.empty(); });
      if (stop_) break;
    }
    DropCancelled();
    Admit();
    Step();
  }
  EndAll();
}

void Scheduler::DropCancelled() {
  const auto cancelled = [](const std::unique_ptr<Job>& job) {
    return job->request.cancelled->load(std::memory_order_relaxed);
  };
  std::vector<std::unique_ptr<Job>> dropped;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(queue_, [&](std::unique_ptr<Job>& job) {
      if (!cancelled(job)) return false;
      dropped.push_back(std::move(job));
      return true;
    });
  }
  const Error error{ErrorKind::kCancelled, "the request was cancelled", {}};
  for (const auto& job : dropped) End(*job, &error);
  for (const auto& job : running_) {
    if (cancelled(job)) End(*job, &error);
  }
  EraseEnded();
}

void Scheduler::Admit() {
  while (running_.size() < sessions_.size()) {
    std::unique_ptr<Job> job;
    Status status;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
      Result<SessionLease> lease = sessions_.Acquire(job->request.id);
      if (lease) {
        job->session = std::move(*lease);
        ++running_count_;
      } else {
        status = tl::unexpected<Error>(std::move(lease.error()));
      }
    }
    if (status) {
      status = job->session->Begin(std::move(job->request.prompt), std::move(job->request.params));
    }
    if (!status) {
      End(*job, &status.error());
      continue;
    }
    running_.push_back(std::move(job));
  }
}

void Scheduler::Step() {
  batch_.clear();
  batch_jobs_.clear();
  const auto add = [this](Job& job, size_t limit) {
    if (!job.started) job.started = Clock::now();
    batch_jobs_.push_back(&job);
    batch_.push_back(job.session->NextEntry(limit));
    return batch_.back().tokens.size();
  };
  for (const auto& job : running_) {
    if (!job->session->prefilling()) add(*job, 1);
  }
  size_t budget = options_.prefill_tokens;
  for (const auto& job : running_) {
    if (budget > 0 && job->session->prefilling()) budget -= add(*job, budget);
  }
  if (!batch_.empty()) Forward(batch_jobs_, batch_);
  EraseEnded();
}

void Scheduler::Forward(std::span<Job* const> jobs, std::span<const BatchEntry> batch) {
  if (Status ok = transformer_.Forward(batch, scratch_, pool_); !ok) {
    if (batch.size() == 1) {
      End(*jobs[0], &ok.error());
      return;
    }
    // No cache has changed: each alone gets the same bits, and the error finds its owner.
    for (size_t i = 0; i < batch.size(); ++i) Forward(jobs.subspan(i, 1), batch.subspan(i, 1));
    return;
  }
  // The sessions sample side by side: each has its own state and its own row of logits.
  size_t row = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    const bool has_logits = batch[i].logits != LogitRows::kNone;
    logits_[i] = has_logits ? scratch_.logits(row++) : std::span<const float>();
  }
  const size_t grain = std::max<size_t>(1, kSmallSample / transformer_.config().vocab);
  pool_.ParallelFor(batch.size(), grain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) events_[i] = jobs[i]->session->Accept(logits_[i]);
  });
  for (size_t i = 0; i < batch.size(); ++i) Deliver(*jobs[i], std::move(events_[i]));
}

void Scheduler::Deliver(Job& job, Result<std::optional<TokenEvent>> event) {
  if (!event) {
    End(job, &event.error());
    return;
  }
  if (!*event) return;
  job.last_token = Clock::now();
  if (!job.first_token) job.first_token = job.last_token;
  job.request.sink->OnToken(std::move(**event));
  if (job.session->finished()) End(job, nullptr);
}

void Scheduler::End(Job& job, const Error* error) {
  const GenerationStats stats = job.stats();
  const bool held_session = static_cast<bool>(job.session);
  const FinishReason reason = held_session ? job.session->finish_reason() : FinishReason::kNone;
  job.session = {};
  if (held_session) {
    const std::lock_guard lock(mutex_);
    --running_count_;
  }
  if (error != nullptr) {
    job.request.sink->OnError(*error, stats);
  } else {
    job.request.sink->OnFinish(reason, stats);
  }
  const std::lock_guard lock(mutex_);
  if (--unfinished_ == 0) idle_.notify_all();
}

void Scheduler::EraseEnded() {
  std::erase_if(running_, [](const auto& job) { return !job->session; });
}

void Scheduler::EndAll() {
  std::deque<std::unique_ptr<Job>> queued;
  {
    const std::lock_guard lock(mutex_);
    queued.swap(queue_);
  }
  const Error error{ErrorKind::kUnavailable, "the server is shutting down; try another one", {}};
  for (const auto& job : running_) End(*job, &error);
  for (const auto& job : queued) End(*job, &error);
  running_.clear();
}

}  // namespace lockstep
