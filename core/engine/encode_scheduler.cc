// Texts need no memory from step to step, so that there is nothing to lease and no line to stand
// in: each step chooses anew among all texts of all jobs. Two orders make it fair. Between clients
// the least served one is next, as for generation. Between the jobs of a client it is the job's
// turn, the tokens that were taken when it came and its own: a query overtakes a batch of a
// thousand texts, and a batch is overtaken by no more than it is long.
//
// A text is in one step as a whole. Within a job the longest come first, so that those that fill a
// step up are the short ones, and texts of one length go through attention side by side. Which
// texts share a step changes no bit of their vectors (Transformer::Encode).
#include "core/engine/encode_scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <new>
#include <tuple>
#include <utility>

#include "core/engine/active_job.h"
#include "core/engine/end_waiting.h"
#include "core/engine/job_queue.h"
#include "core/kernels/float_mode.h"

namespace lockstep {
namespace {

// Short texts would else make the memory for their vectors, and the calls to their sinks, what a
// step is about.
constexpr size_t kMaxStepTexts = 256;

Status CheckText(const std::vector<int32_t>& text, const ModelConfig& config, size_t context) {
  if (text.empty()) return Fail(ErrorKind::kInvalidArgument, "a text without tokens");
  if (text.size() > context) {
    return Fail(ErrorKind::kContextExceeded,
                fmt::format("a text has {} tokens, which is more than the context of {}",
                            text.size(), context));
  }
  const auto vocab = static_cast<int64_t>(config.vocab);
  const auto outside = std::ranges::find_if(text, [&](int32_t t) { return t < 0 || t >= vocab; });
  if (outside == text.end()) return {};
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("token {} is outside the vocabulary of {}", *outside, vocab));
}

}  // namespace

size_t EncodeStepRows(const EncodeOptions& options) {
  return std::max(options.step_tokens, options.context);
}

size_t EncodeStepTexts(const EncodeOptions& options) {
  return std::min(kMaxStepTexts, EncodeStepRows(options));
}

EncodeScheduler::EncodeScheduler(const Transformer& transformer, ThreadPool& pool,
                                 const EncodeOptions& options)
    : transformer_(transformer),
      pool_(pool),
      options_(options),
      scratch_(transformer.config(), EncodeStepRows(options), EncodeStepTexts(options),
               pool.threads()),
      pacer_(options.step_tokens),
      progress_(Clock::now()) {
  assert(options.context >= 1 && options.step_tokens >= 1 && options.max_jobs >= 1);
  picks_.reserve(scratch_.max_logit_rows());
  tokens_.reserve(scratch_.max_logit_rows());
  thread_ = std::thread([this] { Loop(); });
}

EncodeScheduler::~EncodeScheduler() {
  {
    const MutexLock lock(mutex_);
    drain_.Stop();
  }
  wake_.NotifyOne();
  thread_.join();
}

Status EncodeScheduler::Submit(EncodeJob asked) {
  if (asked.texts.empty()) return Fail(ErrorKind::kInvalidArgument, "there is no text");
  for (const auto& text : asked.texts) {
    TRY_OK(CheckText(text, transformer_.config(), options_.context));
  }
  auto job = std::make_unique<ActiveEncodeJob>(std::move(asked));
  {
    const MutexLock lock(mutex_);
    if (drain_.refuses()) return tl::unexpected(ShuttingDown());
    // Once another job is displaced nothing may throw.
    jobs_.reserve(jobs_.size() + 1);
    displaced_.reserve(displaced_.size() + 1);
    shares_.Join(job->client);
    if (!MakePlace(*job)) {
      shares_.Leave(job->client);
      Error error{ErrorKind::kOverloaded,
                  fmt::format("too much waits: {} requests, of at most {}, whose texts have {} "
                              "tokens; try again later, or send fewer texts",
                              jobs_.size(), options_.max_jobs, tokens_left_),
                  {}};
      error.retry_after_s = RetryAfter();
      return tl::unexpected<Error>(std::move(error));
    }
    job->turn = tokens_taken_ + job->tokens;
    tokens_left_ += job->tokens;
    jobs_.push_back(std::move(job));
    if (drain_.Add()) progress_ = Clock::now();
  }
  wake_.NotifyOne();
  return {};
}

bool EncodeScheduler::Fits(size_t tokens, const ActiveEncodeJob* leaving) const {
  size_t waiting = 0, waiting_tokens = 0;
  for (const auto& job : jobs_) {
    if (job->started || job.get() == leaving) continue;
    ++waiting;
    waiting_tokens += job->tokens;
  }
  return waiting < options_.max_jobs &&
         (waiting == 0 || waiting_tokens + tokens <= options_.max_queued_tokens);
}

bool EncodeScheduler::MakePlace(const ActiveEncodeJob& job) {
  if (Fits(job.tokens, nullptr)) return true;
  const auto newest =
      Displaceable(jobs_, job.client, [](const ActiveEncodeJob& other) { return !other.started; });
  if (newest == jobs_.end() || !Fits(job.tokens, newest->get())) return false;
  tokens_left_ -= (*newest)->tokens;
  displaced_.push_back(std::move(*newest));
  std::erase(jobs_, nullptr);
  return true;
}

void EncodeScheduler::AnnounceDrain() {
  const MutexLock lock(mutex_);
  drain_.Announce();
}

bool EncodeScheduler::Drain(std::chrono::milliseconds timeout) {
  const MutexLock lock(mutex_);
  return drain_.Drain(mutex_, wake_, timeout);
}

EncodeState EncodeScheduler::state() const {
  EncodeState state;
  const bool overdue = Clock::now() - progress_.load() > options_.stall_timeout;
  const MutexLock lock(mutex_);
  for (const auto& job : jobs_) {
    if (job->started) {
      ++state.running;
    } else {
      ++state.queued;
      state.queued_tokens += job->tokens;
    }
  }
  state.predicted_wait_s = PredictedWait();
  state.draining = drain_.announced();
  state.stalled = drain_.has_jobs() && overdue;
  return state;
}

double EncodeScheduler::PredictedWait() const {
  return static_cast<double>(tokens_left_) * token_s_;
}

double EncodeScheduler::RetryAfter() const {
  return std::clamp(PredictedWait() / 2, 1.0, kMaxRetry);
}

void EncodeScheduler::Loop() {
  SetComputeFloatMode();
  while (true) {
    {
      const MutexLock lock(mutex_);
      while (!drain_.stops() && jobs_.empty() && displaced_.empty()) wake_.Wait(mutex_);
      if (drain_.stops()) break;
    }
    try {
      EndExpired();
      Step();
    } catch (const std::exception&) {
      EndAllBegun(CaughtError());  // what the step has left half done is not known
    }
    progress_ = Clock::now();
  }
  EndAll();
}

template <class Leaves>
EncodeScheduler::Jobs EncodeScheduler::Take(const Leaves& leaves) {
  Jobs taken;
  if (std::ranges::none_of(jobs_, [&](const auto& job) { return leaves(*job); })) return taken;
  taken.reserve(jobs_.size());  // no job may be lost on its way
  for (auto& job : jobs_) {
    if (!leaves(*job)) continue;
    tokens_left_ -= job->tokens - job->chosen_tokens;
    taken.push_back(std::move(job));
  }
  std::erase(jobs_, nullptr);
  return taken;
}

void EncodeScheduler::EndExpired() {
  const Clock::time_point now = Clock::now();
  Jobs expired, displaced;
  double retry_after_s;
  {
    const MutexLock lock(mutex_);
    displaced.swap(displaced_);
    expired = Take([&](const ActiveEncodeJob& job) { return job.Expired(now).has_value(); });
    retry_after_s = RetryAfter();
  }
  EndWaiting(displaced, expired, now, retry_after_s,
             [this](ActiveEncodeJob& job, const Error& error) { End(job, &error); });
}

void EncodeScheduler::Step() {
  const StepTurns::Turn turn(options_.turns);
  progress_ = Clock::now();  // to wait for the other model is no stall
  Choose();
  if (picks_.empty()) return;
  const Clock::time_point start = Clock::now();
  Encode(0, picks_.size());
  size_t tokens = 0;
  for (const auto& text : tokens_) tokens += text.tokens.size();
  const double seconds = InSeconds(Clock::now() - start);
  pacer_.Observe({.seconds = seconds, .prefill_tokens = tokens});
  token_s_ = pacer_.prefill_token_s();
  if (options_.observer != nullptr) {
    options_.observer->OnEncodeStep(picks_.size(), tokens, seconds);
  }
  const auto ends = [](const ActiveEncodeJob& job) {
    return job.failed || job.done == job.texts.size();
  };
  if (std::ranges::none_of(picks_, [&](const Pick& pick) { return ends(*pick.job); })) return;
  Jobs ended;
  {
    const MutexLock lock(mutex_);
    ended = Take(ends);
  }
  for (const auto& job : ended) End(*job, job->failed ? &*job->failed : nullptr);
}

// A step takes no longer than one in which others stream: whoever comes next waits for it, a stream
// of the model beside included.
void EncodeScheduler::Choose() {
  picks_.clear();
  tokens_.clear();
  const size_t limit = pacer_.PrefillTokens(/*decoding=*/1);
  size_t rows = 0;
  const MutexLock lock(mutex_);
  while (picks_.size() < scratch_.max_logit_rows()) {
    ActiveEncodeJob* const job = NextJob();
    if (job == nullptr) return;
    const size_t index = job->order[job->chosen];
    const std::vector<int32_t>& text = job->texts[index];
    if (!picks_.empty() && rows + text.size() > limit) return;
    if (!job->started) job->started = Clock::now();
    ++job->chosen;
    job->chosen_tokens += text.size();
    rows += text.size();
    tokens_left_ -= text.size();
    tokens_taken_ += text.size();
    shares_.Charge(job->client, FairShares::kPromptToken * static_cast<double>(text.size()));
    picks_.push_back({job, index});
    tokens_.push_back({text, job->seconds.empty() ? SIZE_MAX : job->seconds[index], job->form});
  }
}

ActiveEncodeJob* EncodeScheduler::NextJob() {
  ActiveEncodeJob* next = nullptr;
  double least = 0;
  for (const auto& job : jobs_) {
    if (job->chosen == job->texts.size()) continue;
    const double served = shares_.Served(job->client);
    if (next == nullptr || std::tie(served, job->turn) < std::tie(least, next->turn)) {
      next = job.get();
      least = served;
    }
  }
  return next;
}

// Texts are checked when they come, so that none should fail; if one does all the same, each alone
// gets the same bits, and the error finds its owner.
void EncodeScheduler::Encode(size_t begin, size_t end) {
  const auto texts = std::span(tokens_).subspan(begin, end - begin);
  if (const Status status = transformer_.Encode(texts, scratch_, pool_); !status) {
    if (texts.size() > 1) {
      for (size_t i = begin; i < end; ++i) Encode(i, i + 1);
    } else if (!picks_[begin].job->failed) {
      picks_[begin].job->failed = status.error();
    }
    return;
  }
  for (size_t i = begin; i < end; ++i) {
    const auto [job, text] = picks_[i];
    if (job->form == TextForm::kTokens) {
      for (size_t token = 0; token < tokens_[i].tokens.size(); ++token) {
        job->sink->OnVector(text, scratch_.token_vector(i - begin, token));
      }
    } else {
      job->sink->OnVector(text, scratch_.logits(i - begin));
    }
    ++job->done;
  }
}

void EncodeScheduler::EndAllBegun(const Error& error) {
  Jobs begun;
  {
    const MutexLock lock(mutex_);
    begun = Take([](const ActiveEncodeJob& job) { return job.started.has_value(); });
  }
  for (const auto& job : begun) End(*job, &error);
}

void EncodeScheduler::EndAll() {
  Jobs left;
  {
    const MutexLock lock(mutex_);
    left = Take([](const ActiveEncodeJob&) { return true; });
    for (auto& job : displaced_) left.push_back(std::move(job));
    displaced_.clear();
  }
  const Error error = ShuttingDown();
  for (const auto& job : left) End(*job, &error);
}

void EncodeScheduler::End(ActiveEncodeJob& job, const Error* error) {
  const EncodeStats stats = job.stats();
  {
    const MutexLock lock(mutex_);
    shares_.Leave(job.client);
  }
  if (error != nullptr) {
    job.sink->OnError(*error, stats);
  } else {
    job.sink->OnFinish(stats);
  }
  if (options_.observer != nullptr) {
    try {
      options_.observer->OnEncodeEnd(stats, error);
    } catch (const std::bad_alloc&) {  // statistics only
    }
  }
  const MutexLock lock(mutex_);
  drain_.Remove();
}

}  // namespace lockstep
