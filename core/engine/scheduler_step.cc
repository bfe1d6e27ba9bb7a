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

size_t Scheduler::AddToBatch(ActiveJob& job, size_t limit, std::span<const int32_t> guess) {
  if (!job.started) job.started = Clock::now();
  job.reads = job.session->prefilling();
  batch_jobs_.push_back(&job);
  batch_.push_back(job.session->NextEntry(limit, guess));
  return batch_.back().tokens.size();
}

void Scheduler::Step() {
  batch_.clear();
  batch_jobs_.clear();
  step_ = {};
  ResumeGrammars();
  const Clock::time_point begin = Clock::now();
  AddDecoding();
  AddPrompts();
  if (batch_.empty()) return;
  Forward(batch_jobs_, batch_);
  step_.seconds = InSeconds(Clock::now() - begin);
  pacer_.Observe(step_);
  prefill_token_s_ = pacer_.prefill_token_s();
  if (options_.observer != nullptr) options_.observer->OnStep(step_);
  EraseEnded();
}

bool Scheduler::Decodes(const ActiveJob& job) {
  const InferenceSession& session = *job.session;
  return !job.paused && !session.prefilling() && !session.waits_for_grammar();
}

// What a text's own past and its grammar say costs nothing to find, and goes first, unless the
// model's guess is the likelier one.
void Scheduler::GuessByModel(size_t decoding, DraftLimit limit) {
  DraftModel& model = *options_.draft_model;
  draft_tasks_.clear();
  for (const auto& job : running_) {
    job->guess.clear();
    if (decoding > kFewStreams || !Decodes(*job)) continue;
    InferenceSession& session = *job->session;
    limit.first_chance = model.Hope(job.get());
    const size_t most = std::min(limit.tokens, session.most_guesses());
    if (most == 0 || !session.Guess(limit).empty()) continue;
    draft_tasks_.push_back({job.get(), session.prompt(), session.output(), &session.sampling(),
                            session.allowed(), most, &job->guess});
  }
  if (draft_tasks_.empty()) return;
  const Clock::time_point begin = Clock::now();
  model.Draft(draft_tasks_, pacer_, decoding, pool_);
  step_.guessing_s = InSeconds(Clock::now() - begin);
}

void Scheduler::AddDecoding() {
  const auto decoding = static_cast<size_t>(
      std::ranges::count_if(running_, [](const auto& job) { return Decodes(*job); }));
  const double least_chance = pacer_.LeastChance(decoding);
  // What wrong guesses have made to be fed again comes first.
  size_t room = kDraftsInStep * options_.longest_draft, again = 0;
  for (const auto& job : running_) again += Decodes(*job) ? job->session->fed_again() : 0;
  size_t to_draft = decoding <= kFewStreams ? room - std::min(room, again) : 0;
  if (options_.draft_model != nullptr) GuessByModel(decoding, {to_draft, least_chance});
  for (const auto& job : running_) {
    // The older come first, so that whoever must pause has nothing in the batch yet.
    if (!Decodes(*job) || job->session->fed_again() > room || !MakeRoom(*job)) continue;
    const size_t known = job->session->fed_again() + 1;
    const size_t draft = std::min(to_draft, job->session->longest_draft());
    const size_t end = std::min(job->session->position() + known + draft, job->session->context());
    const bool fits = draft > 0 && job->session.Reserve(end);
    std::span<const int32_t> guess = job->guess;
    if (!fits || guess.empty()) guess = job->session->Guess({fits ? draft : 0, least_chance});
    const size_t drafted = AddToBatch(*job, 1, guess.first(std::min(draft, guess.size()))) - known;
    room -= known - 1 + drafted;
    to_draft -= drafted;
    ++step_.decoding;
    step_.drafts += drafted > 0 ? 1 : 0;
    step_.drafted += drafted;
    step_.fed_again += known - 1;
  }
}

template <class Work>
Status Scheduler::Metered(ActiveJob& job, std::atomic<int64_t>& left, const Work& work) {
  WorkBudget budget(static_cast<uint64_t>(std::clamp<int64_t>(left, 0, kMaskWork)));
  Status status;
  try {
    status = work(budget);
  } catch (const std::exception&) {  // what only one job has done ends only that job
    status = tl::unexpected<Error>(CaughtError());
  }
  job.grammar_work += budget.used();
  left -= static_cast<int64_t>(budget.used());
  return status;
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
      Outcome& outcome = outcomes_[i];
      outcome.events.clear();
      outcome.status = Metered(*waiting_[i], left, [&](auto& budget) -> Status {
        TRY(std::optional<TokenEvent> event, waiting_[i]->session->Resume(budget));
        if (event) outcome.events.push_back(*std::move(event));
        return {};
      });
    }
  });
  {
    const MutexLock lock(mutex_);
    for (ActiveJob* const job : waiting_) ChargeGrammar(*job);
  }
  for (size_t i = 0; i < waiting_.size(); ++i) {
    if (!waiting_[i]->started) waiting_[i]->started = Clock::now();
    Deliver(*waiting_[i], outcomes_[i]);
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
  // Each session has a row of logits of its own; what drafts, and what is fed again after wrong
  // ones, have left is for those that score.
  size_t room = scratch_.max_logit_rows() - sessions_.size() - step_.drafted - step_.fed_again;
  const bool states = options_.prefixes != nullptr && options_.prefixes->keeps_states();
  for (ActiveJob* const job : prefilling_) {
    // Whoever waits for states says where, though there is no room in this step.
    if (budget == 0 && !states) break;
    if (options_.prefixes != nullptr) {
      IfMemoryAllows([&] {
        const size_t taken = job->session->TakePrefix(*options_.prefixes, job->prefix_scope);
        if (!job->was_paused) job->cached_tokens += taken;
      });
      const bool waits = states ? StatesWillBeStored(*job) : IsBeingComputed(*job);
      if (waits && !job->session->scoring()) continue;
    }
    if (budget == 0) continue;
    const bool scores = job->session->scoring();
    const size_t tokens = AddToBatch(*job, scores ? std::min(budget, 1 + room) : budget);
    if (scores) room -= tokens - 1;
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

bool Scheduler::StatesWillBeStored(const ActiveJob& job) const {
  const std::span<const int32_t> prompt = job.session->reading();
  for (size_t i = step_.decoding; i < batch_.size(); ++i) {
    ActiveJob& other = *batch_jobs_[i];
    if (other.prefix_scope != job.prefix_scope) continue;
    const std::span<const int32_t> read = other.session->reading();
    const auto same = static_cast<size_t>(std::ranges::mismatch(read, prompt).in1 - read.begin());
    const size_t shared = std::min(same, prompt.size() - 1) / PrefixStore::kBlock;
    const size_t parting = shared * PrefixStore::kBlock, planned = other.session->state_place();
    // The end of what it adds in this step is decided.
    const size_t end = other.session->position() + batch_[i].tokens.size();
    if (planned > job.session->position() && planned <= parting) return true;
    if (parting <= end || parting < job.session->position() + PrefixStore::kStateGain) continue;
    other.session->WantState(parting);
    return true;
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
  if (options_.draft_model != nullptr) ShowHidden(jobs, batch);
  Account(jobs, batch);
  // The sessions sample side by side: each has its own state and its own row of logits.
  const size_t rows = scratch_.logit_rows();
  for (size_t row = 0; row < rows; ++row) logits_[row] = scratch_.logits(row);
  size_t first = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    first_logits_[i] = first;
    first += LogitCount(batch[i]);
  }
  ScorePrompts(jobs, batch);
  // With a draft, masks are looked for between its tokens.
  const int64_t work = step_.drafted > 0 ? kMaskWork : kReadWork;
  std::atomic<int64_t> left = work * static_cast<int64_t>(pool_.threads());
  const size_t grain = std::max<size_t>(1, kSmallSample / transformer_.config().vocab);
  pool_.ParallelFor(batch.size(), grain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const auto logits = std::span(logits_).subspan(first_logits_[i], LogitCount(batch[i]));
      Outcome& outcome = outcomes_[i];
      outcome.events.clear();
      outcome.status = Metered(*jobs[i], left, [&](auto& budget) {
        return jobs[i]->session->Accept(logits, budget, outcome.events);
      });
    }
  });
  for (size_t i = 0; i < batch.size(); ++i) {
    // All but the first of its tokens are of the draft.
    if (!jobs[i]->reads) step_.kept += std::max<size_t>(1, outcomes_[i].events.size()) - 1;
    Deliver(*jobs[i], outcomes_[i]);
  }
}

void Scheduler::ShowHidden(std::span<ActiveJob* const> jobs, std::span<const BatchEntry> batch) {
  for (size_t i = 0; i < batch.size(); ++i) {
    const InferenceSession& session = *jobs[i]->session;
    const size_t tokens = batch[i].tokens.size();
    options_.draft_model->Follow(
        {jobs[i], session.prompt(), session.output(), &session.sampling(), {}, 0, nullptr},
        scratch_, i, session.position() - tokens, tokens);
  }
}

// A row takes as long as a small model's forward pass, so that rows and not sessions are shared
// out.
void Scheduler::ScorePrompts(std::span<ActiveJob* const> jobs, std::span<const BatchEntry> batch) {
  scored_rows_.clear();
  for (size_t i = 0; i < batch.size(); ++i) {
    const size_t rows = LogitCount(batch[i]), scored = jobs[i]->session->RowsToScore(rows);
    for (size_t row = 0; row < scored; ++row) scored_rows_.push_back({i, rows, row});
  }
  pool_.ParallelFor(scored_rows_.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const auto& [entry, rows, row] = scored_rows_[i];
      jobs[entry]->session->Score(rows, row, logits_[first_logits_[entry] + row]);
    }
  });
}

void Scheduler::Remember(ActiveJob& job, bool leaves) {
  if (options_.prefixes == nullptr) return;
  IfMemoryAllows([&] { job.session->GivePrefix(*options_.prefixes, job.prefix_scope, leaves); });
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
    } else {
      const InferenceSession& session = *jobs[i]->session;
      const size_t known = session.prompt().size() + session.output().size();
      const size_t steps = known / KvCache::kWindowStep;
      // Before a sliding window moves on.
      if (std::exchange(jobs[i]->window_steps, steps) != steps) Remember(*jobs[i]);
    }
  }
  const MutexLock lock(mutex_);
  for (size_t i = 0; i < batch.size(); ++i) {
    if (jobs[i]->reads && jobs[i]->was_paused) continue;  // it is not the client's doing
    // A draft is the server's idea, and costs its client nothing.
    const auto read = static_cast<double>(batch[i].tokens.size());
    shares_.Charge(jobs[i]->client,
                   jobs[i]->reads ? FairShares::kPromptToken * read : FairShares::kGeneratedToken);
  }
}

void Scheduler::Deliver(ActiveJob& job, Outcome& outcome) {
  if (auto scores = job.session->TakePromptLogprobs(); scores && outcome.status) {
    job.sink->OnPrompt(*std::move(scores));
  }
  for (TokenEvent& event : outcome.events) DeliverToken(job, std::move(event));
  if (!outcome.status) {
    End(job, &outcome.status.error());
  } else if (job.session->finished()) {
    End(job, nullptr);
  }
}

void Scheduler::DeliverToken(ActiveJob& job, TokenEvent event) {
  const Clock::time_point now = Clock::now();
  if (options_.observer != nullptr) {
    job.first_token ? options_.observer->OnNextToken(InSeconds(now - *job.last_token))
                    : options_.observer->OnFirstToken(InSeconds(now - job.submitted));
  }
  job.last_token = now;
  if (!job.first_token) job.first_token = now;
  ++job.generated_tokens;
  job.sink->OnToken(std::move(event));
}

}  // namespace lockstep
