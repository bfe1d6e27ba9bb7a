// A request is a list of prompts with n answers to each, and a choice is one answer: choice i
// belongs to prompt i / n, in the order that the client sent them.
#include "server/api/openai/completions.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/utf8.h"
#include "server/api/openai/common.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

struct CompletionsRequest : OpenAiRequest {
  bool echo = false;  // the prompt's text comes before the answer's
};

constexpr size_t kDefaultMaxTokens = 16;  // as OpenAI documents

constexpr char kPromptForms[] =
    "must be a string, a list of strings, a list of token ids or a list of such lists";

// A list of numbers is one prompt of token ids, and a list of lists is several, so that the first
// item decides. Texts and ids do not mix.
void ReadPrompts(FieldReader& fields, size_t vocab, std::vector<GenerateRequest::Prompt>& prompts) {
  const Json* const value = fields.Take("prompt");
  if (value == nullptr) return fields.Fail("prompt", "is missing: it " + std::string(kPromptForms));
  const bool one =
      value->is_string() || (value->is_array() && !value->empty() && (*value)[0].is_number());
  if (!one && !value->is_array()) return fields.Fail("prompt", kPromptForms);
  const Json list = one ? Json::array({*value}) : *value;
  if (list.empty()) return fields.Fail("prompt", "is empty");
  if (list.size() > kMaxPrompts) {
    return fields.Fail("prompt", fmt::format("has {} prompts; send at most {} in one request",
                                             list.size(), kMaxPrompts));
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& prompt = list[i];
    const std::string where = one ? "prompt" : fmt::format("prompt[{}]", i);
    if (prompt.is_string() != list[0].is_string() || (!prompt.is_string() && !prompt.is_array())) {
      return fields.Fail("prompt", kPromptForms);
    }
    if (prompt.is_string() ? prompt.get_ref<const std::string&>().empty() : prompt.empty()) {
      return fields.Fail({ErrorKind::kInvalidArgument, where + " is empty", "prompt"});
    }
    if (prompt.is_string()) {
      prompts.emplace_back(prompt.get<std::string>());
      continue;
    }
    auto ids = ReadTokenIds(prompt, vocab, where, "prompt");
    if (!ids) return fields.Fail(std::move(ids.error()));
    prompts.emplace_back(*std::move(ids));
  }
}

void CheckAnswersInAll(FieldReader& fields, const GenerateRequest& request) {
  if (request.prompts.size() * request.best_of > kMaxAnswersInAll) {
    fields.Fail("n", fmt::format("answers to each of {} prompts are too many: {} in all is the "
                                 "most, those that best_of drops included",
                                 request.prompts.size(), kMaxAnswersInAll));
  }
}

// 0 asks for the prompt alone, with echo, and -1 is no limit, as llama-server has it.
void ReadMaxTokens(FieldReader& fields, size_t* max_tokens) {
  int64_t count = 0;
  if (!fields.Integer("max_tokens", -1, INT32_MAX, &count)) return;
  *max_tokens = count < 0 ? size_t{INT32_MAX} : static_cast<size_t>(count);
}

class CompletionsWriter : public OpenAiWriter {
 public:
  CompletionsWriter(const GenerationService& service, const CompletionsRequest& request)
      : OpenAiWriter(service, request), echo_(request.echo) {}

  std::string_view id_prefix() const override { return "cmpl"; }
  // With echo the prompt is a first piece of each choice, and text_offset counts from its
  // beginning.
  std::string Begin(const Generation& generation) override {
    std::string events;
    offsets_.resize(generation.answers().size());
    for (size_t i = 0; echo_ && i < offsets_.size(); ++i) {
      const std::string prompt = PromptText(generation, i);
      offsets_[i] = CountCharacterStarts(prompt);
      events += Chunk(generation, i, {{"text", prompt}, {"logprobs", nullptr}});
    }
    return events;
  }
  std::string Token(const Generation& generation, size_t i, const TokenEvent& token) override {
    const bool logprobs = generation.answers()[i].wants_logprobs;
    if (token.text.empty() && !logprobs) return {};
    return Chunk(generation, i,
                 {{"text", token.text},
                  {"logprobs", logprobs ? Logprobs({&token.sampled, 1}, &offsets_[i]) : nullptr}});
  }
  std::string Waiting(const Generation& generation) override {
    return Waits(generation, {{"text", ""}, {"logprobs", nullptr}});
  }
  std::string AnswerEnd(const Generation& generation, size_t i) override {
    return Chunk(generation, i, {{"text", ""}, {"logprobs", nullptr}},
                 FinishName(generation.answers()[i].finish));
  }

 private:
  std::string_view object() const override { return "text_completion"; }
  std::string_view chunk_object() const override { return "text_completion"; }
  Json Choice(const Generation& generation, const Answer& answer, size_t index) override {
    const std::string prompt = echo_ ? PromptText(generation, index) : std::string();
    size_t offset = CountCharacterStarts(prompt);
    return {{"text", prompt + answer.text},
            {"logprobs", answer.wants_logprobs ? Logprobs(answer.logprobs, &offset) : nullptr}};
  }

  // The prompt of choice `index` as it came or, if it came as ids, as they read.
  std::string PromptText(const Generation& generation, size_t index) const {
    const GenerateRequest& request = generation.request();
    const GenerateRequest::Prompt& prompt = request.prompts[index / request.n];
    if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
    return service().Decode(std::get<std::vector<int32_t>>(prompt));
  }

  // *offset is where the first of the tokens begins in the choice's text, in characters; then where
  // the next one does.
  Json Logprobs(std::span<const SampledToken> sampled, size_t* offset) const {
    Json tokens = Json::array(), logprobs = tokens, tops = tokens, offsets = tokens;
    for (const SampledToken& token : sampled) {
      const std::string label = TokenLabel(service(), token.token);
      tokens.push_back(label);
      logprobs.push_back(LogprobNumber(token.logprob));
      Json top = Json::object();
      for (const TokenLogprob& other : token.top) {  // the likelier one of two of the same text
        top.emplace(TokenLabel(service(), other.token), LogprobNumber(other.logprob));
      }
      // The chosen token is among the likeliest even where it is none of them, as OpenAI has it;
      // emplace leaves it as it is if it was there.
      top.emplace(label, LogprobNumber(token.logprob));
      tops.push_back(std::move(top));
      offsets.push_back(*offset);
      // A character whose bytes come in several tokens counts for the token that begins it.
      *offset += CountCharacterStarts(service().TokenBytes(token.token));
    }
    return {{"tokens", tokens},
            {"token_logprobs", logprobs},
            {"top_logprobs", tops},
            {"text_offset", offsets}};
  }

  const bool echo_;
  std::vector<size_t> offsets_;  // of a stream, for each choice
};

Result<CompletionsRequest> ReadCompletionsRequest(const Json& body, ReadContext& context) {
  CompletionsRequest request;
  GenerateRequest& generate = request.generate;
  generate.options.max_tokens = kDefaultMaxTokens;
  FieldReader fields(body);
  ReadPrompts(fields, context.vocab(), generate.prompts);
  ReadOpenAiFields(fields, context, request);
  CheckAnswersInAll(fields, generate);
  ReadMaxTokens(fields, &generate.options.max_tokens);
  fields.Integer("logprobs", 0, kMaxLogprobs, &generate.options.sampling.logprobs);
  fields.Bool("echo", &request.echo);
  if (request.echo && generate.options.sampling.logprobs >= 0) {
    fields.Fail("echo", "with logprobs is not supported: the prompt's own logprobs are not kept");
  }
  if (const Json* const suffix = fields.Take("suffix"); suffix != nullptr && *suffix != "") {
    fields.Fail("suffix", "is not supported: the model continues texts, it does not fill gaps");
  }
  TRY_OK(fields.Finish(context.unknown()));
  TRY_OK(BindAnswerFormat(request.format, context, &generate.options));
  return request;
}

}  // namespace

const Dialect kOpenAiCompletions = {ReadWith<ReadCompletionsRequest, CompletionsWriter>, ErrorReply,
                                    "prompt"};

}  // namespace lockstep
