#include "server/generation.h"

#include <chrono>
#include <optional>
#include <utility>

#include "server/api_codec.h"
#include "server/api_errors.h"
#include "server/ids.h"

namespace lockstep {
namespace {

// How often a client is looked for while no token comes.
constexpr std::chrono::milliseconds kClientCheck{20};

// Below 2^53: a double holds it exactly, so every JSON reader does.
uint64_t RandomSeed() { return RandomBits() >> 11; }

std::vector<int32_t> TakePrompt(const GenerationService& service, GenerateRequest& request) {
  if (auto* ids = std::get_if<std::vector<int32_t>>(&request.prompt)) return std::move(*ids);
  return service.Encode(std::get<std::string>(request.prompt));
}

}  // namespace

Generation::Generation(std::function<bool()> client_gone, std::shared_ptr<RequestRecord> record)
    : client_gone_(std::move(client_gone)), record_(std::move(record)) {}

Result<std::shared_ptr<Generation>> Generation::Start(GenerationService& service,
                                                      GenerateRequest request, Caller caller,
                                                      std::shared_ptr<RequestRecord> record) {
  std::shared_ptr<Generation> generation(new Generation(std::move(caller.gone), std::move(record)));
  GenerateAnswer& answer = generation->answer_;
  GenerationRequest job;
  job.id = NewId("gen");
  job.client = std::move(caller.client);
  job.prefix_scope = std::move(caller.prefix_scope);
  job.deadlines = caller.deadlines;
  job.prompt = TakePrompt(service, request);
  job.params = std::move(request.params);
  if (!request.has_seed) job.params.sampling.seed = RandomSeed();
  job.sink = generation->stream_;
  job.cancelled = generation->cancelled_;

  answer.id = job.id;
  answer.prompt_tokens = job.prompt.size();
  answer.seed = job.params.sampling.seed;
  answer.negative_seed = request.negative_seed;
  answer.wants_logprobs = job.params.sampling.logprobs >= 0;
  generation->record_->id = job.id;
  generation->record_->prompt_tokens = job.prompt.size();

  if (Status status = service.Submit(std::move(job)); !status) {
    return tl::unexpected(status.error());
  }
  generation->ended_ = false;
  return generation;
}

Generation::~Generation() {
  if (ended_) return;
  cancelled_->store(true);
  record_->outcome = ErrorCode(ErrorKind::kCancelled);
}

Generation::Event Generation::Next() {
  std::optional<StreamItem> item;
  while (!item) {
    if (client_gone_()) {
      cancelled_->store(true);
      return FailWith({ErrorKind::kCancelled, "the client went away", {}});
    }
    item = stream_->Next(kClientCheck);
  }
  if (auto* end = std::get_if<StreamEnd>(&*item)) return End(std::move(*end));

  token_ = std::get<TokenEvent>(std::move(*item));
  answer_.text += token_.text;
  answer_.tokens.push_back(token_.sampled.token);
  if (answer_.wants_logprobs) answer_.logprobs.push_back(token_.sampled);
  record_->completion_tokens = answer_.tokens.size();
  return Event::kToken;
}

Generation::Event Generation::End(StreamEnd end) {
  answer_.finish = end.finish;
  answer_.stats = end.stats;
  record_->first_token_ms = (end.stats.queue_s + end.stats.prefill_s) * 1000;
  record_->tokens_per_second = DecodeTokensPerSecond(answer_);
  if (end.error) return FailWith(std::move(*end.error));
  record_->outcome = FinishName(end.finish);
  ended_ = true;
  return Event::kDone;
}

Generation::Event Generation::FailWith(Error error) {
  error_ = std::move(error);
  record_->outcome = ErrorCode(error_.kind);
  ended_ = true;
  return Event::kFailed;
}

}  // namespace lockstep
