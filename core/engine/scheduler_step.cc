// One step of the scheduler: what the grammars have left undone, one batch for the forward pass,
// and the tokens that come of it.
//
// Batching is continuous (Orca, Yu et al., 2022): who takes part is decided anew for each step, so
// a session joins and leaves without waiting for others. Prompts are read in chunks beside the
// tokens of those that decode (Sarathi-Serve, Agrawal et al., 2024), as many tokens as let the step
// end in time, so that a long prompt does not stall the streams. With a budget of 64 tokens, a, b
// decoding and the prompts c of 100 tokens and d of 20:
//
//   step   batch
//   1      a:1  b:1  d:20  c:44      d is shorter, so its turn is first
//   2      a:1  b:1  d:1   c:56      d decodes; c is complete
//
// Which tokens share a step changes when they come and no bit of them (contracts R1 and R2).
#include <algorithm>
#include <new>
#include <utility>

#include "core/engine/scheduler.h"

namespace lockstep {
namespace {

// Logits below which sampling them is not worth handing to another thread.
constexpr size_t kSmallSample = 16 * 1024;
// What each thread may do for grammars in a step, in units of WorkBudget: about 10 ms, in which a
// mask over the largest vocabulary is found, for the masks of the next tokens; and a little for
// reading those that were just chosen, which the walk for their mask has mostly done before.
constexpr int64_t kMaskWork = int64_t{1} << 21, kReadWork = int64_t{1} << 18;

// What only helps, such as remembering a prefix, is left undone where memory does not suffice.
template <class Work>
void IfMemoryAllows(const Work& work) {
  try {
    work();
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace

size_t Scheduler::AddToBatch(ActiveJob& job, size_t limit) {
  if (!job.started) job.started = Clock::now();
  job.reads = job.session->prefilling();
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
    if (job->paused || session.prefilling() || session.waits_for_grammar()) continue;
    // The older come first, so that whoever must pause has nothing in the batch yet.
    if (MakeRoom(*job)) step_.decoding += AddToBatch(*job, 1);
  }
  AddPrompts();
  if (batch_.empty()) return;
  Forward(batch_jobs_, batch_);
  step_.seconds = InSeconds(Clock::now() - begin);
  pacer_.Observe(step_);
  prefill_token_s_ = pacer_.prefill_token_s();
  if (options_.observer != nullptr) options_.observer->OnStep(step_);
  EraseEnded();
}

template <class Work>
Result<std::optional<TokenEvent>> Scheduler::Metered(ActiveJob& job, std::atomic<int64_t>& left,
                                                     const Work& work) {
  WorkBudget budget(static_cast<uint64_t>(std::clamp<int64_t>(left, 0, kMaskWork)));
  Result<std::optional<TokenEvent>> event;
  try {
    event = work(budget);
  } catch (const std::exception&) {  // what only one job has done ends only that job
    event = tl::unexpected<Error>(CaughtError());
  }
  job.grammar_work += budget.used();
  left -= static_cast<int64_t>(budget.used());
  return event;
}

// What a grammar needs beyond a step's allowance it gets in later steps. Whose grammar has had the
// least work so far is served first (least attained service), so one that does not end never delays
// those that need little; and a piece of work that cannot be interrupted overdraws the allowance
// once for each thread and not for each session.
void Scheduler::ResumeGrammars() {
  waiting_.clear();
  for (const auto& job : running_) {
    if (job->session->waits_for_grammar()) waiting_.push_back(job.get());
  }
  if (waiting_.empty()) return;
  std::ranges::sort(waiting_, {}, &ActiveJob::grammar_work);
  std::atomic<int64_t> left = kMaskWork * static_cast<int64_t>(pool_.threads());
  pool_.ParallelFor(waiting_.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      InferenceSession& session = *waiting_[i]->session;
      events_[i] =
          Metered(*waiting_[i], left, [&](auto& budget) { return session.Resume(budget); });
    }
  });
  {
    const MutexLock lock(mutex_);
    for (ActiveJob* const job : waiting_) ChargeGrammar(*job);
  }
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
    if (job->paused || !session.prefilling() || session.waits_for_grammar()) continue;
    prefilling_.push_back(job.get());
  }
  std::ranges::stable_sort(prefilling_, {}, &ActiveJob::turn);
  size_t budget = pacer_.PrefillTokens(step_.decoding);
  for (ActiveJob* const job : prefilling_) {
    if (budget == 0) break;
    if (options_.prefixes != nullptr) {
      IfMemoryAllows([&] {
        const size_t taken = job->session->TakePrefix(*options_.prefixes, job->prefix_scope);
        if (!job->was_paused) job->cached_tokens += taken;
      });
      if (IsBeingComputed(*job)) continue;
    }
    const size_t tokens = AddToBatch(*job, budget);
    budget -= tokens;
    step_.prefill_tokens += tokens;
  }
}

bool Scheduler::IsBeingComputed(const ActiveJob& job) const {
  const std::span<const int32_t> prompt = job.session->reading();
  for (size_t i = step_.decoding; i < batch_.size(); ++i) {
    const ActiveJob& other = *batch_jobs_[i];
    if (other.prefix_scope != job.prefix_scope) continue;
    const size_t end = other.session->position() + batch_[i].tokens.size();
    const auto known = other.session->reading().first(end);
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
  std::atomic<int64_t> left = kReadWork * static_cast<int64_t>(pool_.threads());
  const size_t grain = std::max<size_t>(1, kSmallSample / transformer_.config().vocab);
  pool_.ParallelFor(batch.size(), grain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      InferenceSession& session = *jobs[i]->session;
      events_[i] =
          Metered(*jobs[i], left, [&](auto& budget) { return session.Accept(logits_[i], budget); });
    }
  });
  for (size_t i = 0; i < batch.size(); ++i) Deliver(*jobs[i], std::move(events_[i]));
}

void Scheduler::Remember(const ActiveJob& job) {
  if (options_.prefixes == nullptr) return;
  IfMemoryAllows([&] { job.session->GivePrefix(*options_.prefixes, job.prefix_scope); });
}

void Scheduler::ChargeGrammar(ActiveJob& job) {
  const uint64_t work = job.grammar_work - std::exchange(job.charged_work, job.grammar_work);
  shares_.Charge(job.client, FairShares::kGrammarWork * static_cast<double>(work));
}

void Scheduler::Account(std::span<ActiveJob* const> jobs, std::span<const BatchEntry> batch) {
  size_t kv_bytes = 0, unread = 0;
  for (const auto& job : running_) {
    if (!job->session) continue;
    kv_bytes += job->session->kv().used_bytes();
    unread += job->prompt_tokens - std::min(job->prompt_tokens, job->session->position());
  }
  kv_bytes_ = kv_bytes;
  unread_tokens_ = unread;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (jobs[i]->reads) {
      prompt_tokens_read_ += batch[i].tokens.size();
      jobs[i]->progress->cached = jobs[i]->cached_tokens;
      jobs[i]->progress->read = std::min(jobs[i]->prompt_tokens, jobs[i]->session->position());
      Remember(*jobs[i]);
    } else if (jobs[i]->session->position() % KvCache::kWindowStep == 0) {
      Remember(*jobs[i]);  // before a sliding window moves on
    }
  }
  const MutexLock lock(mutex_);
  for (size_t i = 0; i < batch.size(); ++i) {
    if (jobs[i]->reads && jobs[i]->was_paused) continue;  // it is not the client's doing
    const double token = jobs[i]->reads ? FairShares::kPromptToken : FairShares::kGeneratedToken;
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
    job.first_token ? options_.observer->OnNextToken(InSeconds(now - *job.last_token))
                    : options_.observer->OnFirstToken(InSeconds(now - job.submitted));
  }
  job.last_token = now;
  if (!job.first_token) job.first_token = now;
  ++job.generated_tokens;
  job.sink->OnToken(std::move(**event));
  if (job.session->finished()) End(job, nullptr);
}

}  // namespace lockstep
