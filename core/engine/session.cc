// From logits to a token event:
//
//   Accept        the sampler picks a token, of those that the grammar's mask allows
//   ReadSampled   the grammar reads the token's bytes; then it is known whether the text must end
//                 here, and the bytes pass two filters that let out only what is certain:
//                 Utf8Assembler whole characters, StopMatcher no beginning of a stop string
//   Resume        the grammar finds the mask of the next token
//
// The order matters: an event says whether it is the last one, and the filters then let out what
// they held back, so it cannot be made before the grammar has read the token. With a hostile
// grammar that, like the mask, may take longer than a step; sampled_ and mask_ready_ say where it
// stands.
#include "core/engine/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

namespace lockstep {
namespace {

// The end of a prompt opens the answer, and perhaps a thought; where the next turn repeats the
// answer, the thought may be gone. Published templates end by up to seven such tokens.
constexpr size_t kTurnTokens = 8;

}  // namespace

Result<InferenceSession> InferenceSession::Create(const ModelConfig& config,
                                                  const Tokenizer& tokenizer, size_t context,
                                                  KvType kv_type, size_t longest_draft,
                                                  const KernelTable& kernels) {
  TRY(KvCache kv,
      KvCache::Create(config, context, kv_type, KvKeep::kWindows, StatesFor(longest_draft)));
  return InferenceSession(tokenizer, std::move(kv), config.vocab, longest_draft, kernels);
}

InferenceSession::InferenceSession(const Tokenizer& tokenizer, KvCache kv, size_t vocab,
                                   size_t longest_draft, const KernelTable& kernels)
    : tokenizer_(&tokenizer),
      kernels_(&kernels),
      kv_(std::move(kv)),
      sampler_(vocab, kernels),
      vocab_(vocab),
      longest_draft_(longest_draft) {
  next_.reserve(1 + longest_draft_);
  literal_.reserve(longest_draft_);
}

void InferenceSession::Reset() {
  kv_.Reset();
  options_ = {};
  prompt_.clear();
  output_.clear();
  replay_.clear();
  next_.clear();
  again_ = unchecked_ = drafted_ = kept_ = 0;
  state_place_ = branch_ = stored_ = 0;
  utf8_ = {};
  stop_ = {};
  sampled_.reset();
  matcher_.reset();
  literal_.clear();
  drafts_ = longest_draft_ != 0;
  sampler_.Reset({}, {});  // what a request had of it beyond its own memory
  mask_ready_ = false;
  thought_ = {};
  thought_tokens_ = 0;
  forced_ = 0;
  scores_ = {};
  ends_.clear();
  finish_ = FinishReason::kNone;
}

Status InferenceSession::Begin(std::vector<int32_t> prompt, GenerationOptions options) {
  Reset();
  TRY_OK(CheckGeneration(prompt, options, vocab_, context()));
  prompt_ = std::move(prompt);
  options_ = std::move(options);
  options_.max_tokens = std::min(options_.max_tokens, context() - prompt_.size());
  output_.reserve(options_.max_tokens);  // steps do not allocate
  if (longest_draft_ != 0) StartDrafter();
  sampler_.Reset(options_.sampling, prompt_, prompt_.size() + options_.max_tokens);
  if (options_.prompt_logprobs >= 0) {
    scores_.emplace(*kernels_);
    scores_->Begin(prompt_, static_cast<size_t>(options_.prompt_logprobs), vocab_);
  }
  stop_ = StopMatcher(options_.stop, options_.stop_limit);
  if (!options_.thought.close.empty()) thought_ = ThoughtSplitter(options_.thought.tags);
  const TokenBans& bans = options_.bans;
  if (options_.grammar != nullptr || !options_.thought.close.empty() || !bans.empty()) {
    allowed_.resize((vocab_ + 63) / 64);
  }
  if (!bans.empty()) unbanned_.resize(allowed_.size());
  if (bans.min_tokens > 0) {
    ends_ = options_.stop_ids;
    for (size_t token = 0; token < vocab_ && !options_.ignore_eos; ++token) {
      const auto id = static_cast<int32_t>(token);
      if (tokenizer_->IsEndOfGeneration(id)) ends_.push_back(id);
    }
  }
  return {};
}

BatchEntry InferenceSession::NextEntry(size_t limit, std::span<const int32_t> guess) {
  assert(limit >= 1 && !prompt_.empty() && !finished() && !waits_for_grammar());
  if (!prefilling()) return {&kv_, NextTokens(guess), LogitRows::kAll};
  next_.clear();
  again_ = 0;
  if (state_place_ > kv_.length()) limit = std::min(limit, state_place_ - kv_.length());
  const auto rest = reading().subspan(kv_.length());
  if (scores_) return {&kv_, rest.first(std::min(limit, rest.size())), LogitRows::kAll};
  if (limit < rest.size()) return {&kv_, rest.first(limit), LogitRows::kNone};
  return {&kv_, rest, LogitRows::kLast};
}

// The text of the drafter is a prediction behind the end of the prompt, as if it had been answered
// once before, and then the prompt and the answer.
void InferenceSession::StartDrafter() {
  constexpr size_t kPromptEnd = 16;
  std::span<const int32_t> prediction;
  if (options_.prediction != nullptr) prediction = *options_.prediction;
  const auto end = std::span(prompt_).last(std::min(kPromptEnd, prompt_.size()));
  drafter_.Reset(end.size() + prediction.size() + prompt_.size() + options_.max_tokens,
                 longest_draft_);
  if (!prediction.empty()) {
    drafter_.Extend(end);
    drafter_.Extend(prediction);
  }
  drafter_.Extend(prompt_);
  output_begin_ = drafter_.size();
}

size_t InferenceSession::most_guesses() const {
  if (prefilling() || output_.empty()) return 0;
  // Behind the last token of the answer there is none, and none behind the context.
  return std::min(longest_draft_ - fed_again(), options_.max_tokens - output_.size() - 1);
}

std::span<const int32_t> InferenceSession::Guess(DraftLimit limit) {
  drafts_ = limit.tokens != 0 && longest_draft_ != 0;
  limit.tokens = std::min(limit.tokens, most_guesses());
  if (limit.tokens == 0) return {};
  drafter_.Extend(std::span(output_).subspan(drafter_.size() - output_begin_));
  return drafter_.Draft(limit, literal_);
}

std::span<const int32_t> InferenceSession::NextTokens(std::span<const int32_t> guess) {
  guess = guess.first(std::min(guess.size(), most_guesses()));
  again_ = fed_again();
  next_.assign(output_.end() - static_cast<ptrdiff_t>(again_ + 1), output_.end());
  next_.insert(next_.end(), guess.begin(), guess.end());
  if (!guess.empty() && !kv_.states().empty()) kv_.SaveStates();
  unchecked_ = guess.size();
  return next_;
}

void InferenceSession::Rewind() {
  assert(!prompt_.empty() && !finished());
  kv_.Reset();
  state_place_ = branch_ = stored_ = 0;
  if (output_.empty()) return;
  replay_ = prompt_;
  replay_.insert(replay_.end(), output_.begin(), output_.end());
}

size_t InferenceSession::RowsToScore(size_t rows) const {
  const size_t first = position() - rows, scored = prompt_.size() - 1;
  return scores_ && first < scored ? std::min(rows, scored - first) : 0;
}

void InferenceSession::Score(size_t rows, size_t row, std::span<const float> logits) {
  scores_->Score(position() - rows + row, logits);
}

std::optional<PromptLogprobs> InferenceSession::TakePromptLogprobs() {
  if (!scores_ || prefilling()) return std::nullopt;
  PromptLogprobs taken = scores_->Take();
  scores_.reset();
  return taken;
}

size_t InferenceSession::TakePrefix(PrefixStore& store, const std::string& scope) {
  assert(prefilling());
  const auto tokens = reading().first(reading().size() - 1);
  // What is known beyond the last states was read by a prompt that parts from this one there, as
  // others will: with the same instructions, say, and another question.
  if (store.keeps_states() && kv_.length() == 0) branch_ = store.Known(scope, tokens);
  const size_t taken = scoring() ? 0 : store.Extend(scope, tokens, kv_);
  if (!store.keeps_states()) return taken;
  if (taken > 0) stored_ = kv_.length();
  state_place_ = NextStatePlace(store.state_interval());
  return taken;
}

// At the end of a prompt, before what the next turn may render in another way; every `interval`
// tokens of a long one; and where another prompt parts from it.
size_t InferenceSession::NextStatePlace(size_t interval) const {
  const size_t at = kv_.length(), end = reading().size();
  const size_t last = end > kTurnTokens ? (end - kTurnTokens) / kKeyGroup * kKeyGroup : 0;
  size_t place = (at / interval + 1) * interval;
  if (place + PrefixStore::kStateGain > last) place = last;
  if (place <= at || (branch_ > at && branch_ < place)) place = branch_;
  return place > at && place >= stored_ + PrefixStore::kStateGain ? place : 0;
}

void InferenceSession::GivePrefix(PrefixStore& store, const std::string& scope, bool leaves) {
  std::vector<int32_t> tokens = prompt_;
  tokens.insert(tokens.end(), output_.begin(), output_.end());
  tokens.resize(std::min(tokens.size(), kv_.length()));
  // Behind a draft that is not checked the states are not those of these tokens.
  const bool with_states =
      unchecked_ == 0 && (leaves ? tokens.size() >= stored_ + PrefixStore::kStateGain
                                 : state_place_ != 0 && tokens.size() == state_place_);
  store.Insert(scope, tokens, kv_, with_states);
  if (with_states) stored_ = tokens.size();
}

Status InferenceSession::Accept(std::span<const std::span<const float>> logits, WorkBudget& budget,
                                std::vector<TokenEvent>& events) {
  logits = logits.subspan(RowsToScore(logits.size()));
  if (scores_ && !prefilling() && !scores_->finite()) {
    return Fail(ErrorKind::kInternal, "the model gave no finite logit to a token of the prompt");
  }
  if (options_.max_tokens == 0 && !prefilling()) finish_ = FinishReason::kLength;
  if (logits.empty() || finished()) return {};
  Status status = SampleRows(logits.subspan(again_), budget, events);
  if (!status || unchecked_ == 0) return status;
  const size_t right = prompt_.size() + output_.size() - 1;
  if (right < kv_.length()) kv_.states().empty() ? kv_.Truncate(right) : kv_.RestoreStates();
  unchecked_ = 0;
  return {};
}

// What is sampled from a row holds if the row's past is the answer, that is while each token of the
// draft is the one that was sampled before it (Leviathan et al., 2023, with the sampler's draw
// fixed by seed and position instead of a test of their ratio: the tokens are the same ones, not
// only as likely).
Status InferenceSession::SampleRows(std::span<const std::span<const float>> logits,
                                    WorkBudget& budget, std::vector<TokenEvent>& events) {
  const size_t drafted = logits.size() - 1;
  assert(position() == prompt_.size() + output_.size() + drafted && !waits_for_grammar());
  drafted_ += drafted;
  for (size_t row = 0;; ++row) {
    TRY(sampled_, SampleNext(logits[row]));
    output_.push_back(sampled_->token);
    mask_ready_ = false;
    TRY(std::optional<TokenEvent> event, ReadSampled(budget));
    if (event) events.push_back(*std::move(event));
    // A token that the grammar has not read yet, or a mask that is not ready, is for later steps.
    if (row == drafted || next_[again_ + row + 1] != output_.back() || finished() || sampled_) {
      return {};
    }
    if (matcher_) {
      TRY(mask_ready_, matcher_->Allow(options_.ignore_eos, allowed_, budget));
      if (!mask_ready_) return {};
    }
    ++kept_;
  }
}

Result<std::optional<TokenEvent>> InferenceSession::Accept(std::span<const float> logits) {
  WorkBudget unbounded;
  std::vector<TokenEvent> events;
  TRY_OK(Accept(std::span(&logits, logits.empty() ? 0 : 1), unbounded, events));
  if (events.empty()) return std::nullopt;
  return std::move(events.front());
}

// A forced token is sampled among one, so that penalties, logprobs and draws go on as ever.
Result<SampledToken> InferenceSession::SampleNext(std::span<const float> logits) {
  const size_t place = prompt_.size() + output_.size();
  if (const int32_t forced = TakeForced(); forced >= 0) {
    std::ranges::fill(allowed_, 0);
    allowed_[static_cast<size_t>(forced) / 64] = uint64_t{1} << (forced % 64);
    return sampler_.Sample(logits, place, allowed_, output_);
  }
  if (options_.bans.empty()) {
    return matcher_ ? sampler_.Sample(logits, place, allowed_, output_)
                    : sampler_.Sample(logits, place, {}, output_);
  }
  if (!matcher_) std::ranges::fill(allowed_, ~uint64_t{0});
  ApplyBans();
  return sampler_.Sample(logits, place, allowed_, output_);
}

void InferenceSession::ApplyBans() {
  const TokenBans& bans = options_.bans;
  const auto bit = [](int32_t token) { return uint64_t{1} << (token % 64); };
  const auto word = [](int32_t token) { return static_cast<size_t>(token) / 64; };
  unbanned_ = allowed_;
  if (!bans.allowed.empty()) {
    std::ranges::fill(unbanned_, 0);
    for (const int32_t token : bans.allowed) {
      unbanned_[word(token)] |= allowed_[word(token)] & bit(token);
    }
  }
  if (output_.size() < bans.min_tokens) {
    for (const int32_t token : ends_) unbanned_[word(token)] &= ~bit(token);
  }
  for (const std::vector<int32_t>& sequence : bans.sequences) {
    const size_t before = sequence.size() - 1;
    const bool follows =
        before <= output_.size() && std::equal(sequence.begin(), sequence.end() - 1,
                                               output_.end() - static_cast<ptrdiff_t>(before));
    if (follows) unbanned_[word(sequence.back())] &= ~bit(sequence.back());
  }
  // The bits behind the vocabulary's last token are no tokens.
  if (vocab_ % 64 != 0) unbanned_.back() &= (uint64_t{1} << (vocab_ % 64)) - 1;
  if (std::ranges::any_of(unbanned_, [](uint64_t tokens) { return tokens != 0; })) {
    allowed_ = unbanned_;
  }
}

// The first token waits until the last character is whole, and until a grammar allows it; once one
// has been put, the others follow, unless a grammar has it otherwise.
int32_t InferenceSession::TakeForced() {
  const std::vector<int32_t>& close = options_.thought.close;
  if (forced_ == close.size()) return -1;
  const bool due = thought_.inside() && thought_tokens_ >= options_.thought.budget;
  if (forced_ == 0 && (!due || !utf8_.whole())) return -1;
  const auto token = static_cast<size_t>(close[forced_]);
  if (matcher_ && (allowed_[token / 64] >> (token % 64) & 1) == 0) {
    if (forced_ > 0) forced_ = close.size();
    return -1;
  }
  return close[forced_++];
}

std::string_view InferenceSession::TextOf(int32_t token) const {
  const std::string_view bytes = tokenizer_->TokenBytes(token);
  if (!bytes.empty()) return bytes;
  if (matcher_) return options_.grammar->vocabulary().Spoken(token);
  if (options_.spoken == nullptr) return {};
  const auto spoken = options_.spoken->find(token);
  return spoken == options_.spoken->end() ? std::string_view() : spoken->second;
}

Result<std::optional<TokenEvent>> InferenceSession::Resume(WorkBudget& budget) {
  assert(waits_for_grammar());
  if (budget.spent()) return std::nullopt;
  if (sampled_) return ReadSampled(budget);
  if (!matcher_) {
    matcher_.emplace(options_.grammar);
    budget.Spend(matcher_->start_work());
  }
  TRY(mask_ready_, matcher_->Allow(options_.ignore_eos, allowed_, budget));
  literal_.clear();
  if (mask_ready_ && drafts_) matcher_->Literal(longest_draft_, literal_, budget);
  return std::nullopt;
}

Result<std::optional<TokenEvent>> InferenceSession::ReadSampled(WorkBudget& budget) {
  const int32_t token = sampled_->token;
  const bool end_token = tokenizer_->IsEndOfGeneration(token);
  std::string text;
  const bool ends = end_token && (!options_.ignore_eos || matcher_);
  if (ends || std::ranges::count(options_.stop_ids, token) > 0) {
    finish_ = FinishReason::kStop;
  } else {
    const std::string_view bytes = TextOf(token);
    if (matcher_) {
      TRY(const bool read, matcher_->Accept(bytes, budget));
      if (!read) return std::nullopt;
    }
    if (!end_token) text = utf8_.Push(bytes);
    if (!thought_.outside()) {
      thought_.Push(text);
      if (thought_.inside()) ++thought_tokens_;
    }
    if (output_.size() == options_.max_tokens) finish_ = FinishReason::kLength;
    if (matcher_ && matcher_->must_end()) finish_ = FinishReason::kStop;  // without a step for it
  }
  if (finished()) text += utf8_.Finish();
  TokenEvent event{output_.size() - 1, *std::exchange(sampled_, {}), {}, FinishReason::kNone};
  event.text = stop_.Push(text, finished(), output_.size() > options_.bans.min_tokens);
  event.stop = stop_.stop();
  if (event.stop) finish_ = FinishReason::kStop;
  event.finish = finish_;
  return event;
}

}  // namespace lockstep
