// One request under way, seen from the HTTP thread: the tokens of its answers as they come, and
// what they add up to. Owned and used by one thread; destroying it before the end cancels the
// request.
//
// The answers to a prompt are submitted together, so that the scheduler computes the prompt once
// and the others take it from the prefix store. Those for which the queue has no place wait here
// until one of the same request ends.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/memory_budget.h"
#include "core/base/status.h"
#include "server/generation/generate_types.h"
#include "server/generation/generation_service.h"
#include "server/generation/token_stream.h"
#include "server/http/http_types.h"

namespace lockstep {

class Generation {
 public:
  // What Next returns: a token of an answer, the end of an answer, the end of all of them, why
  // there will be no more, or that patience is over.
  struct Token {
    size_t answer;
    TokenEvent event;
  };
  struct AnswerEnd {
    size_t answer;
  };
  struct End {};
  struct Nothing {};
  using Item = std::variant<Token, AnswerEnd, End, Error, Nothing>;
  static constexpr std::chrono::milliseconds kForever = std::chrono::hours(24 * 365);

  // Hands the request to the service. `record` is told of the outcome. The id starts with `prefix`.
  // `memory` is of what the request holds, and grows with its answers; where it cannot, they end.
  [[nodiscard]] static Result<std::shared_ptr<Generation>> Start(
      GenerationService& service, GenerateRequest request, Caller caller, std::string_view prefix,
      std::shared_ptr<RequestRecord> record, MemoryBudget::Share memory = {});
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Blocks. A client that has gone is noticed within 20 ms and at every token; that is an Error.
  // REQUIRES: neither End nor an Error was returned.
  Item Next(std::chrono::milliseconds patience = kForever);

  const std::string& id() const { return id_; }
  const AnswerOrigin& origin() const { return origin_; }
  const GenerateRequest& request() const { return request_; }

  // The answers, grouped by prompt: best_of of them for prompt 0, then for prompt 1, ... Complete
  // after End.
  const std::vector<Answer>& answers() const { return answers_; }
  // The request's prompts, in tokens.
  const std::vector<std::vector<int32_t>>& prompts() const { return prompts_; }
  // For each prompt the n answers with the best mean logprob a token, the best one first. Where
  // best_of is n it is all of them, in their own order. REQUIRES: End was returned.
  std::vector<const Answer*> Chosen() const;
  Usage usage() const;
  PromptsRead prompts_read() const;
  std::chrono::steady_clock::duration elapsed() const {
    return std::chrono::steady_clock::now() - caller_.arrived;
  }

 private:
  Generation(GenerationService& service, GenerateRequest request, Caller caller,
             std::string_view prefix, std::shared_ptr<RequestRecord> record,
             MemoryBudget::Share memory);
  // Submits what waits here, in order, until the queue is full.
  Status SubmitWaiting();
  Job MakeJob(size_t index);
  // Nothing is wanted but the prompts' texts.
  bool NothingToCompute() const {
    return request_.options.max_tokens == 0 && request_.options.prompt_logprobs < 0;
  }
  // What came out of the stream, if it is anything to be told.
  std::optional<Item> Take(StreamItem item);
  std::optional<Item> EndAnswer(size_t index, StreamEnd end);
  Error FailWith(Error error);

  GenerationService& service_;
  GenerateRequest request_;
  const Caller caller_;
  AnswerOrigin origin_;  // the seed is known after Start
  const std::string id_;
  const std::string job_id_;  // another one where an answer is made again: it may still run here
  const std::shared_ptr<RequestRecord> record_;
  MemoryBudget::Share memory_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
  const std::shared_ptr<TokenStream> stream_ = std::make_shared<TokenStream>(cancelled_);
  std::vector<std::vector<int32_t>> prompts_;  // in tokens
  std::vector<Answer> answers_;
  std::vector<std::shared_ptr<const PromptProgress>> progress_;  // [answer]; null before Submit
  std::vector<size_t> waiting_;  // answers that were not yet submitted, the last one first
  size_t running_ = 0;           // answers that were, and have not ended
  bool ended_ = true;            // false between the first Submit and the last item
};

}  // namespace lockstep
