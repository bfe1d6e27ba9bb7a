// A request to generate and its answers, in whichever dialect it came: plain structs, no JSON. Each
// belongs to one request and has no lock of its own; the functions are pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/engine/scheduler.h"

namespace lockstep {

// What is known of a request from its connection and headers, and not from its body.
struct Caller {
  std::string client;        // as in Job
  std::string prefix_scope;  // as in Job
  Deadlines deadlines;       // counted from `arrived`
  std::function<bool()> gone = [] { return false; };
  std::chrono::steady_clock::time_point arrived = std::chrono::steady_clock::now();
};

// What tells an answer from another one to the same request. Whoever knows it can make the answer
// again, to the byte.
struct AnswerOrigin {
  static constexpr size_t kIdBytes = 12;
  std::string id;       // as NewIdBytes gives it
  int64_t created = 0;  // Unix time
  uint64_t seed = 0;
};

// A request to generate, in whichever dialect it came.
struct GenerateRequest {
  using Prompt = std::variant<std::string, std::vector<int32_t>>;  // text, or token ids
  std::vector<Prompt> prompts;
  GenerationOptions options;
  std::string prediction;  // what the answer is expected to be like; empty: nothing
  std::string cache_salt;  // prefixes are shared with requests of the same one only
  // Each prompt gets n answers, the likeliest of best_of. Answer i of a prompt has the seed
  // that was sent plus i, so that it can be had again by itself.
  size_t n = 1, best_of = 1;
  bool has_seed = false;
  bool negative_seed = false;  // sent as a negative number: echoed as one
  bool stream = false;
  bool include_stop = false;  // the stop string that ends an answer is part of it
  // Whether control tokens are recognised in prompts that are text, and whether what the vocabulary
  // puts around texts (BOS) is put there.
  bool parse_special = false, add_special = true;
  size_t keep_prompt = 0;     // of a prompt's tokens no more than these last ones; 0: all
  uint64_t grammar_work = 0;  // for compiling the grammar, in units of WorkBudget
  std::string digest;         // RequestDigest
  std::optional<AnswerOrigin> again = std::nullopt;  // the answer is to be this one
};

// One answer to one prompt, which a stream's events add up to.
struct Answer {
  std::string id;  // the generation's, and which of its answers it is
  std::string text;
  std::vector<int32_t> tokens;
  std::vector<size_t> text_ends;  // how long the text was after each of the tokens
  FinishReason finish = FinishReason::kNone;
  std::optional<std::string> stop;  // the stop string that ended it, if one did
  size_t prompt_tokens = 0;
  JobStats stats;
  uint64_t seed = 0;
  bool negative_seed = false;
  bool wants_logprobs = false;
  std::vector<SampledToken> logprobs;             // one for each token, if wanted
  std::optional<PromptLogprobs> prompt_logprobs;  // if wanted; known before the first token
};

// What all prompts and answers of a request took together. A prompt counts once.
struct Usage {
  size_t prompt_tokens = 0, completion_tokens = 0, cached_tokens = 0;
  size_t drafted_tokens = 0, kept_tokens = 0;  // as in JobStats
};

// How much of all prompts of a request has been read. A prompt counts once.
struct PromptsRead {
  bool begun = false;  // one of them has a session
  size_t total = 0, read = 0, cached = 0;
};

// "stop" or "length".
std::string_view FinishName(FinishReason reason);
// 0 where a phase took no time, as one does that did not happen.
double PerSecond(size_t count, double seconds);
// Counts the prompt's tokens that no earlier request had left in the cache.
double PrefillTokensPerSecond(const Answer& answer);
// Counts the answer's tokens but the first, which is prefill's.
double DecodeTokensPerSecond(const Answer& answer);

}  // namespace lockstep
