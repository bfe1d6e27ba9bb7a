// InferenceSession: one generation at a time - its KV cache, position, sampler and stop state.
// Reset and reused, never reallocated. Not thread-safe: leased from a SessionPool to one request,
// and driven by the scheduler's thread.
//
//   session.Begin(prompt, options)
//   while (!session.finished()) {
//     while (session.waits_for_grammar()) session.Resume(budget)
//     entry = session.NextEntry(limit, guess)     the prompt's next chunk, or the last token
//     transformer.Forward({entry, ...})
//     event = session.Accept(logits or nothing)   a token, once the prompt is done
//
//   }
//
// With a guess of what comes next, by Guess or by anyone, Accept may give several tokens: the very
// ones that it would give one by one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/engine/drafter.h"
#include "core/engine/generation_options.h"
#include "core/engine/prefix_store.h"
#include "core/engine/prompt_scores.h"
#include "core/engine/sampler.h"
#include "core/engine/stop_matcher.h"
#include "core/grammar/token_grammar.h"
#include "core/tokenizer/tokenizer.h"
#include "core/transformer/kv_cache.h"
#include "core/transformer/transformer.h"

namespace lockstep {

enum class FinishReason { kNone, kStop, kLength };

// One generated token, and the text that has become certain with it: whole characters only, and
// nothing that may yet turn out to be part of a stop string. The last event has the rest.
struct TokenEvent {
  size_t index = 0;  // 0 is the first token after the prompt
  SampledToken sampled;
  std::string text;
  FinishReason finish = FinishReason::kNone;  // other than kNone: the last event
  std::optional<size_t> stop = {};  // which of the options' stop strings ended the text, if one did
};

class InferenceSession {
 public:
  // `longest_draft`: tokens that may be guessed at once; 0: none.
  [[nodiscard]] static Result<InferenceSession> Create(
      const ModelConfig& config, const Tokenizer& tokenizer, size_t context,
      KvType kv_type = KvType::kF16, size_t longest_draft = 0,
      const KernelTable& kernels = ScalarKernels());
  // What its cache takes, where at most `batch` tokens are fed at once.
  static KvCost Cost(const ModelConfig& config, KvType kv_type, size_t batch,
                     size_t longest_draft) {
    return KvCache::Cost(config, kv_type, batch, StatesFor(longest_draft));
  }
  // The bytes that a session has beside its keys and values, for a vocabulary of so many tokens.
  static size_t FixedBytes(size_t vocab) { return Sampler::Bytes(vocab) + vocab / 8; }

  // Starts a generation from position 0. Errors are CheckGeneration's and leave the session empty.
  [[nodiscard]] Status Begin(std::vector<int32_t> prompt, GenerationOptions options);

  // What may follow the last token, by what this text and its grammar say; valid until the next
  // call. No limit of tokens says that nobody guesses now. Of a prompt nothing is guessed.
  std::span<const int32_t> Guess(DraftLimit limit);
  // So many tokens may be guessed now: none behind the answer's last one.
  size_t most_guesses() const;
  // The tokens to feed next: a chunk of the prompt, at most `limit` (>= 1), or the last token and
  // a guess, as far as most_guesses allow. Logits are asked for when the chunk ends the prompt, and
  // for each token behind it; of a prompt that is scored, for each token.
  // REQUIRES: begun, not finished, and not waiting for the grammar.
  BatchEntry NextEntry(size_t limit, std::span<const int32_t> guess = {});
  // What is read before the next token can be chosen: the prompt, or after Rewind the prompt and
  // the answer so far.
  std::span<const int32_t> reading() const { return replay_.empty() ? prompt_ : replay_; }
  // True while that is not wholly in the cache.
  bool prefilling() const { return kv_.length() < reading().size(); }
  // Gives the cache's memory back in the middle of a generation, which goes on by reading all
  // again. Not one bit of it is another then (contract R4). REQUIRES: begun, not finished.
  void Rewind();

  // While the prompt is read and its own logprobs are wanted.
  bool scoring() const { return scores_ && prefilling(); }
  // After an entry's Forward, which gave so many rows of logits: how many of them, from the first
  // on, are about the prompt's own tokens. For each of these Score must be called before Accept, in
  // any order, from any thread.
  size_t RowsToScore(size_t rows) const;
  void Score(size_t rows, size_t row, std::span<const float> logits /* [vocab] */);
  // Once all of them are known. Nothing before that, where none are wanted, and later on.
  std::optional<PromptLogprobs> TakePromptLogprobs();

  // Fills the cache with what the store has of reading(), all but its last token, whose logits are
  // wanted. The number of tokens that need not be computed. REQUIRES: prefilling().
  size_t TakePrefix(PrefixStore& store, const std::string& scope);
  // Stores the prompt and the answer as far as they are in the cache; with the states where one of
  // the places for them was reached, or where nothing more will come for now (`leaves`).
  void GivePrefix(PrefixStore& store, const std::string& scope, bool leaves = false);
  // Where a recurrent model's states will next be stored; 0: nowhere. A chunk ends there.
  size_t state_place() const { return state_place_; }
  // Has the states stored at a position, too, for a prompt that parts from this one there.
  void WantState(size_t position) { branch_ = position; }

  // Takes note of the entry's Forward: the rows of logits that it asked for, with those that were
  // scored. Samples the next token, unless there is to be none, and for each token of the draft
  // that is the one that was sampled another one; then forgets the rest of the draft. `events` gets
  // a token each. Where the budget is spent before the grammar has read the last one, Resume
  // returns it. Errors are the sampler's and those of Resume; they end the generation's use.
  [[nodiscard]] Status Accept(std::span<const std::span<const float>> logits, WorkBudget& budget,
                              std::vector<TokenEvent>& events);

  // Whether the grammar has work to do before the next entry: to read the last token, or to find
  // which tokens may come next. A hostile grammar has so much of it that others must not wait.
  bool waits_for_grammar() const {
    return options_.grammar != nullptr && !mask_ready_ && !prompt_.empty() && !finished();
  }
  // Does some of that work. Returns the token that has been read with it, if any. kInvalidArgument
  // where the grammar allows no token. What it returns does not depend on the budgets.
  // REQUIRES: waits_for_grammar().
  [[nodiscard]] Result<std::optional<TokenEvent>> Resume(WorkBudget& budget);

  // Accept and Resume without a bound, for whoever has no other session to think of. The logits are
  // those of an entry without a draft, or nothing.
  [[nodiscard]] Result<std::optional<TokenEvent>> Accept(std::span<const float> logits);
  [[nodiscard]] Result<std::optional<TokenEvent>> Resume() {
    WorkBudget unbounded;
    return Resume(unbounded);
  }

  bool finished() const { return finish_ != FinishReason::kNone; }
  FinishReason finish_reason() const { return finish_; }
  size_t position() const { return kv_.length(); }  // tokens in the cache
  // How many tokens of the answer NextEntry feeds before the last one: a wrong guess has taken the
  // states of recurrent layers back to before them. At most longest_draft().
  size_t fed_again() const {
    return prefilling() || output_.empty() ? 0 : prompt_.size() + output_.size() - 1 - position();
  }
  size_t context() const { return kv_.context(); }
  size_t max_tokens() const { return options_.max_tokens; }  // after the cut to the context
  const std::vector<int32_t>& prompt() const { return prompt_; }
  const std::vector<int32_t>& output() const { return output_; }
  const SamplingParams& sampling() const { return options_.sampling; }
  // A bit for each token that the grammar allows next; empty: all are, or it is not known yet.
  std::span<const uint64_t> allowed() const {
    return matcher_ && mask_ready_ ? std::span<const uint64_t>(allowed_)
                                   : std::span<const uint64_t>();
  }
  size_t longest_draft() const { return longest_draft_; }
  size_t drafted_tokens() const { return drafted_; }  // that were guessed, and of these
  size_t kept_tokens() const { return kept_; }        // those that were right
  const KvCache& kv() const { return kv_; }
  // Forgets everything; memory goes back to the system.
  void Reset();

 private:
  InferenceSession(const Tokenizer& tokenizer, KvCache kv, size_t vocab, size_t longest_draft,
                   const KernelTable& kernels);
  // A state cannot be cut back to where a guess went wrong, but be taken back to before it.
  static KvStates StatesFor(size_t longest_draft) {
    return longest_draft == 0 ? KvStates::kOnly : KvStates::kWithCopy;
  }
  void StartDrafter();
  // The last token, those before it that are fed again, and a guess of what follows it.
  std::span<const int32_t> NextTokens(std::span<const int32_t> guess);
  // Samples from the rows behind those that were fed again, as far as they hold.
  [[nodiscard]] Status SampleRows(std::span<const std::span<const float>> logits,
                                  WorkBudget& budget, std::vector<TokenEvent>& events);
  [[nodiscard]] Result<SampledToken> SampleNext(std::span<const float> logits);
  // Takes what is banned here out of allowed_, unless nothing is left then.
  void ApplyBans();
  // The token that the thought's limit puts here, -1 if none.
  int32_t TakeForced();
  std::string_view TextOf(int32_t token) const;
  // The event of the token that was sampled, once the grammar has read it; nothing until then.
  [[nodiscard]] Result<std::optional<TokenEvent>> ReadSampled(WorkBudget& budget);
  size_t NextStatePlace(size_t interval) const;

  const Tokenizer* tokenizer_;
  const KernelTable* kernels_;
  KvCache kv_;
  Sampler sampler_;
  std::optional<PromptScores> scores_;  // while the prompt's logprobs are wanted and not taken
  size_t vocab_;
  GenerationOptions options_;
  std::vector<int32_t> prompt_, output_;
  std::vector<int32_t> replay_;  // both, as they were at the last Rewind
  const size_t longest_draft_;
  Drafter drafter_;
  size_t output_begin_ = 0;       // in the drafter's text
  std::vector<int32_t> next_;     // tokens that are fed again, the last one and its draft
  size_t again_ = 0;              // how many of them are fed again
  size_t unchecked_ = 0;          // and how many are guesses that Accept has not looked at
  std::vector<int32_t> literal_;  // tokens that the grammar, with little choice, has next
  bool drafts_ = false;           // whether guesses were asked for when a token was last fed
  size_t drafted_ = 0, kept_ = 0;
  size_t state_place_ = 0;
  size_t branch_ = 0;  // where another prompt parts from this one, in whole blocks
  size_t stored_ = 0;  // the last position of which states are stored
  Utf8Assembler utf8_;
  StopMatcher stop_;
  std::optional<SampledToken> sampled_;  // not read by the grammar yet
  std::optional<GrammarMatcher> matcher_;
  std::vector<uint64_t> allowed_;   // [(vocab + 63) / 64] if there is a grammar, a limit or a ban
  std::vector<uint64_t> unbanned_;  // [(vocab + 63) / 64] if there is a ban
  std::vector<int32_t> ends_;       // tokens that end the output, if it has a least number of them
  ThoughtSplitter thought_;         // of a limit
  size_t thought_tokens_ = 0;       // so far, but for those of the opening tag
  size_t forced_ = 0;               // how many tokens of `close` were put
  bool mask_ready_ = false;         // allowed_ is of the next token
  FinishReason finish_ = FinishReason::kNone;
};

}  // namespace lockstep
