// Between two threads: the scheduler's fills the stream, the request's empties it here. All that a
// stream's events add up to is kept too, since the last event of most dialects repeats it.
#include "server/generation/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <numeric>
#include <optional>
#include <utility>

#include "core/engine/penalties.h"
#include "server/generation/prompt_tokens.h"
#include "server/http/error_reply.h"
#include "server/http/ids.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;

// A token of an answer until its end, and each of its logprobs; as much more where a body is made
// of the whole answer at once, as JSON.
constexpr size_t kTokenBytes = 2 * sizeof(TokenEvent), kLogprobBytes = 32, kLogprobJson = 640;
// What a logprob of a prompt takes as JSON: there are too many of them to be so generous.
constexpr size_t kPromptLogprobJson = 448;

// How often a client is looked for while no token comes.
constexpr milliseconds kClientCheck{20};

// Below 2^53: a double holds it exactly, so every JSON reader does.
uint64_t RandomSeed() { return RandomBits() >> 11; }

// best_of compares means and not sums, as OpenAI does ("the highest log probability per token"): a
// sum would prefer short answers.
double MeanLogprob(const Answer& answer) {
  const double sum =
      std::accumulate(answer.logprobs.begin(), answer.logprobs.end(), 0.0,
                      [](double so_far, const SampledToken& t) { return so_far + t.logprob; });
  return answer.logprobs.empty() ? 0 : sum / static_cast<double>(answer.logprobs.size());
}

// Several clients look for these words to know that they must shorten a conversation.
tl::unexpected<Error> TooLong(size_t tokens, size_t context) {
  return Fail(
      ErrorKind::kContextExceeded,
      fmt::format("prompt is too long: {} tokens; this model's maximum context length is {} "
                  "tokens, of which the answer needs at least one. Shorten the prompt, or "
                  "start with a larger --context",
                  tokens, context));
}

}  // namespace

Generation::Generation(GenerationService& service, GenerateRequest request, Caller caller,
                       std::string_view prefix, std::shared_ptr<RequestRecord> record,
                       MemoryBudget::Share memory)
    : service_(service),
      request_(std::move(request)),
      caller_(std::move(caller)),
      origin_(request_.again.value_or(
          AnswerOrigin{NewIdBytes(), static_cast<int64_t>(std::time(nullptr)), 0})),
      id_(IdOf(prefix, origin_.id)),
      job_id_(request_.again ? NewId(prefix) : id_),
      record_(std::move(record)),
      memory_(std::move(memory)) {}

Result<std::shared_ptr<Generation>> Generation::Start(GenerationService& service,
                                                      GenerateRequest request, Caller caller,
                                                      std::string_view prefix,
                                                      std::shared_ptr<RequestRecord> record,
                                                      MemoryBudget::Share memory) {
  std::shared_ptr<Generation> made(new Generation(service, std::move(request), std::move(caller),
                                                  prefix, std::move(record), std::move(memory)));
  GenerateRequest& wanted = made->request_;
  SamplingParams& sampling = wanted.options.sampling;
  const bool wants_logprobs = sampling.logprobs >= 0;
  // Choosing the best takes the logprobs of all answers, whether or not the client asked to see
  // them.
  if (wanted.best_of > wanted.n) sampling.logprobs = std::max(sampling.logprobs, 0);
  if (!wanted.has_seed) sampling.seed = wanted.again ? wanted.again->seed : RandomSeed();
  made->origin_.seed = sampling.seed;

  if (const std::string text = std::exchange(wanted.prediction, {}); !text.empty()) {
    TRY_OK(made->memory_.Grow(text.size() * Tokenizer::kEncodeBytes));
    wanted.options.prediction = std::make_shared<const std::vector<int32_t>>(
        service.Encode(text, /*add_special=*/false, SpecialTokens::kAsText));
  }

  made->record_->id = made->id_;
  made->record_->model = service.model().name;
  for (const GenerateRequest::Prompt& prompt : wanted.prompts) {
    const size_t held = made->memory_.bytes();
    if (const auto* const text = std::get_if<std::string>(&prompt)) {
      TRY_OK(made->memory_.Grow(text->size() * Tokenizer::kEncodeBytes));
    }
    made->prompts_.push_back(PromptTokens(service, wanted, prompt));
    // A text without a character begins with BOS, as any does, where the model has it.
    if (made->prompts_.back().empty()) {
      const size_t at = made->prompts_.size() - 1;
      return Fail(
          ErrorKind::kInvalidArgument,
          fmt::format("{} is empty, and no BOS token goes before a text here",
                      wanted.prompts.size() == 1 ? "prompt" : fmt::format("prompt[{}]", at)),
          "prompt");
    }
    // A copy goes to the scheduler with each answer.
    made->memory_.Force(held +
                        made->prompts_.back().size() * sizeof(int32_t) * (1 + wanted.best_of));
    const size_t tokens = made->prompts_.back().size();
    TRY_OK(
        made->memory_.Grow(wanted.best_of * Penalties::ExtraBytes(sampling, service.model().vocab,
                                                                  service.model().context)));
    if (const int32_t top = wanted.options.prompt_logprobs; top >= 0) {
      const size_t bytes = PromptLogprobs::Bytes(tokens, static_cast<size_t>(top)) +
                           kPromptLogprobJson * tokens * (1 + static_cast<size_t>(top));
      TRY_OK(made->memory_.Grow(bytes * wanted.best_of));
    }
    made->record_->prompt_tokens += tokens;
    for (size_t i = 0; i < wanted.best_of; ++i) {
      Answer answer;
      answer.id = fmt::format("{}-{}", made->id_, made->answers_.size());
      answer.prompt_tokens = tokens;
      answer.seed = sampling.seed + i;
      answer.negative_seed = wanted.negative_seed;
      answer.wants_logprobs = wants_logprobs;
      made->answers_.push_back(std::move(answer));
    }
  }
  made->record_->answers = wanted.n;
  made->record_->max_tokens = wanted.options.max_tokens;
  made->record_->stream = wanted.stream;
  made->record_->temperature = sampling.temperature;
  made->record_->top_p = sampling.top_p;
  made->record_->seed = sampling.seed;
  made->progress_.resize(made->answers_.size());
  for (size_t i = made->answers_.size(); i > 0; --i) made->waiting_.push_back(i - 1);
  TRY_OK(made->SubmitWaiting());
  made->ended_ = false;
  return made;
}

Job Generation::MakeJob(size_t index) {
  Job job;
  job.id = answers_.size() == 1 ? job_id_ : fmt::format("{}-{}", job_id_, index);
  job.client = caller_.client;
  job.prefix_scope = caller_.prefix_scope;
  // No key's name has a NUL, so that no key and salt can make up another's.
  if (!request_.cache_salt.empty()) (job.prefix_scope += '\0') += request_.cache_salt;
  job.deadlines = caller_.deadlines;
  // It took a while to read the request and to compile its grammar, and an answer may have had to
  // wait here.
  job.deadlines.spent = std::chrono::duration_cast<milliseconds>(elapsed());
  job.prompt = prompts_[index / request_.best_of];
  job.options = request_.options;
  job.options.sampling.seed = answers_[index].seed;
  job.sink = stream_->Sink(index);
  job.cancelled = cancelled_;
  progress_[index] = job.progress;
  if (index == 0) job.grammar_work = request_.grammar_work;
  return job;
}

Status Generation::SubmitWaiting() {
  if (NothingToCompute()) return {};  // see Next
  while (!waiting_.empty()) {
    if (Status status = service_.Submit(MakeJob(waiting_.back())); !status) {
      // A full queue is no error while answers of this request run: each that ends makes room for
      // one.
      if (running_ > 0 && status.error().kind == ErrorKind::kOverloaded) return {};
      cancelled_->store(true);  // those that run already
      if (status.error().kind != ErrorKind::kContextExceeded) return status;
      return TooLong(answers_[waiting_.back()].prompt_tokens, service_.model().context);
    }
    waiting_.pop_back();
    ++running_;
  }
  return {};
}

Generation::~Generation() {
  if (ended_) return;
  cancelled_->store(true);
  record_->outcome = ErrorCode(ErrorKind::kCancelled);
}

Generation::Item Generation::Next(milliseconds patience) {
  if (NothingToCompute() && !waiting_.empty()) {
    const size_t index = waiting_.back();
    waiting_.pop_back();
    answers_[index].finish = FinishReason::kLength;
    return AnswerEnd{index};
  }
  if (running_ == 0) {
    ended_ = true;
    record_->outcome = FinishName(answers_[0].finish);
    return End{};
  }
  const auto start = std::chrono::steady_clock::now();
  while (true) {
    if (caller_.gone()) return FailWith({ErrorKind::kCancelled, "the client went away", {}});
    if (auto came = stream_->Next(std::min(kClientCheck, patience))) {
      if (auto item = Take(*std::move(came))) return *std::move(item);
    }
    if (std::chrono::steady_clock::now() - start >= patience) return Nothing{};
  }
}

std::optional<Generation::Item> Generation::Take(StreamItem item) {
  if (auto* end = std::get_if<StreamEnd>(&item.what))
    return EndAnswer(item.answer, std::move(*end));

  Answer& answer = answers_[item.answer];
  if (auto* scores = std::get_if<PromptLogprobs>(&item.what)) {
    answer.prompt_logprobs = std::move(*scores);
    return std::nullopt;
  }
  auto& token = std::get<TokenEvent>(item.what);
  const size_t logprobs = request_.options.sampling.logprobs < 0 ? 0 : 1 + token.sampled.top.size();
  const size_t each = kLogprobBytes + (request_.stream ? 0 : kLogprobJson);
  const Status held = memory_.Grow(kTokenBytes + 4 * token.text.size() + logprobs * each);
  if (!held) return FailWith(held.error());
  if (token.stop) {
    answer.stop = request_.options.stop[*token.stop];
    if (request_.include_stop) token.text += *answer.stop;
  }
  answer.text += token.text;
  answer.tokens.push_back(token.sampled.token);
  // Of an answer that is not heard to its end nothing else tells it.
  if (item.answer == 0 && answer.tokens.size() == 1) {
    record_->first_token_ms = std::chrono::duration<double, std::milli>(elapsed()).count();
  }
  answer.text_ends.push_back(answer.text.size());
  if (request_.options.sampling.logprobs >= 0) answer.logprobs.push_back(token.sampled);
  ++record_->completion_tokens;
  record_->longest_answer = std::max(record_->longest_answer, answer.tokens.size());
  return Token{item.answer, std::move(token)};
}

std::optional<Generation::Item> Generation::EndAnswer(size_t index, StreamEnd end) {
  Answer& answer = answers_[index];
  --running_;
  // One that had to make way in the queue can come again, as long as others of the request go on.
  if (end.error && end.error->kind == ErrorKind::kOverloaded && running_ > 0) {
    waiting_.push_back(index);
    return std::nullopt;
  }
  answer.finish = end.finish;
  answer.stats = end.stats;
  if (index == 0) {
    // The log has one line for a request, whose times are those of its first answer.
    record_->cached_tokens = end.stats.cached_tokens;
    record_->queue_ms = end.stats.queue_s * 1000;
    record_->prefill_ms = end.stats.prefill_s * 1000;
    record_->decode_ms = end.stats.decode_s * 1000;
    if (!answer.tokens.empty()) record_->first_token_ms = record_->queue_ms + record_->prefill_ms;
    record_->tokens_per_second = DecodeTokensPerSecond(answer);
  }
  if (end.error) return FailWith(std::move(*end.error));
  if (Status status = SubmitWaiting(); !status) return FailWith(status.error());
  return AnswerEnd{index};
}

Error Generation::FailWith(Error error) {
  cancelled_->store(true);
  record_->outcome = ErrorCode(error.kind);
  ended_ = true;
  return error;
}

std::vector<const Answer*> Generation::Chosen() const {
  std::vector<const Answer*> chosen;
  for (size_t first = 0; first < answers_.size(); first += request_.best_of) {
    const size_t begin = chosen.size();
    for (size_t i = 0; i < request_.best_of; ++i) chosen.push_back(&answers_[first + i]);
    if (request_.best_of == request_.n) continue;
    // Equal means keep their order, so that the choice is the same each time.
    std::stable_sort(
        chosen.begin() + static_cast<ptrdiff_t>(begin), chosen.end(),
        [](const Answer* a, const Answer* b) { return MeanLogprob(*a) > MeanLogprob(*b); });
    chosen.resize(begin + request_.n);
  }
  return chosen;
}

// The answers to a prompt share its tokens, so that these count once; as many of them count as
// cached as the answer had that found the fewest, which is the one that computed the prompt.
Usage Generation::usage() const {
  Usage usage;
  for (size_t first = 0; first < answers_.size(); first += request_.best_of) {
    size_t cached = answers_[first].stats.cached_tokens;
    for (size_t i = 0; i < request_.best_of; ++i) {
      usage.drafted_tokens += answers_[first + i].stats.drafted_tokens;
      usage.kept_tokens += answers_[first + i].stats.kept_tokens;
      usage.completion_tokens += answers_[first + i].tokens.size();
      cached = std::min(cached, answers_[first + i].stats.cached_tokens);
    }
    usage.prompt_tokens += answers_[first].prompt_tokens;
    usage.cached_tokens += cached;
  }
  return usage;
}

// The first answer to a prompt is the one that reads it; the others take it from the prefix store.
PromptsRead Generation::prompts_read() const {
  PromptsRead sum;
  for (size_t first = 0; first < answers_.size(); first += request_.best_of) {
    sum.total += answers_[first].prompt_tokens;
    const PromptProgress* const progress = progress_[first].get();
    if (progress == nullptr) continue;
    sum.begun = sum.begun || progress->begun;
    sum.read += progress->read;
    sum.cached += progress->cached;
  }
  return sum;
}

}  // namespace lockstep
