// What may be asked of a generation, and what is refused of it without a session. Plain structs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/engine/sampler.h"
#include "core/engine/stop_matcher.h"
#include "core/grammar/token_grammar.h"

namespace lockstep {

// The control tokens that are text in an answer, such as tags, each with that text.
using SpokenTokens = std::map<int32_t, std::string>;

// Closes a thought that has become too long: once it has `budget` tokens, those of `close` are the
// next ones, whatever else is likely.
struct ThoughtLimit {
  ThoughtTags tags;
  size_t budget = 0;
  std::vector<int32_t> close;  // which spell the closing tag and may go on; empty: no limit
};

// What is kept from being chosen, where that leaves anything to choose.
struct TokenBans {
  // Until there are so many tokens, none ends the output, and no stop string is looked for.
  size_t min_tokens = 0;
  std::vector<std::vector<int32_t>> sequences;  // the last token of each, behind the others
  std::vector<int32_t> allowed;                 // all other tokens are banned; empty: none is
  bool empty() const { return min_tokens == 0 && sequences.empty() && allowed.empty(); }
};

struct GenerationOptions {
  // Cut down to what the context leaves after the prompt. 0: the prompt's logprobs alone.
  size_t max_tokens = 256;
  // Which logprobs of the prompt's own tokens are wanted, as SamplingParams::logprobs says it for
  // the answer's. The whole prompt is computed then, whatever the prefix store has of it.
  int32_t prompt_logprobs = -1;
  SamplingParams sampling;
  std::vector<std::string> stop;  // texts (UTF-8) that end the output; not part of it
  StopLimit stop_limit;           // where these end to act
  std::vector<int32_t> stop_ids;  // tokens that end the output; no text of theirs is put out
  bool ignore_eos = false;        // go on after an end-of-generation token
  TokenBans bans;
  ThoughtLimit thought;
  // What the answer is expected to be like, which makes one that is come sooner; null: nothing.
  std::shared_ptr<const std::vector<int32_t>> prediction;
  std::shared_ptr<const SpokenTokens> spoken;  // null: none; a grammar's are its vocabulary's
  // What the text may be; null: anything. Only tokens that it allows are chosen: those that end the
  // generation where the text may end there (with ignore_eos, only where it must).
  std::shared_ptr<const TokenGrammar> grammar;
};

// What a session refuses to begin. kInvalidArgument: an empty prompt, nothing to compute, a
// token outside the vocabulary, an empty stop string, a bias that is no number, a grammar of
// another vocabulary. kContextExceeded: no room for the prompt and, if there is to be an answer,
// one new token.
[[nodiscard]] Status CheckGeneration(std::span<const int32_t> prompt,
                                     const GenerationOptions& options, size_t vocab,
                                     size_t context);

}  // namespace lockstep
