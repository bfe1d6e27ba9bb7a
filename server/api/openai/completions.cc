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
#include "server/api/fill_prompt.h"
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

void FailPrompts(FieldReader& fields, size_t sent, size_t most) {
  fields.Fail("prompt",
              fmt::format("has {} prompts; send at most {} in one request, or {} where max_tokens "
                          "is 0 or 1",
                          sent, most, kMaxShortAnswers));
}

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
  if (list.size() > kMaxShortAnswers) return FailPrompts(fields, list.size(), kMaxShortAnswers);
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& prompt = list[i];
    const std::string where = one ? "prompt" : fmt::format("prompt[{}]", i);
    if (prompt.is_string() != list[0].is_string() || (!prompt.is_string() && !prompt.is_array())) {
      return fields.Fail("prompt", kPromptForms);
    }
    if (prompt.is_array() && prompt.empty()) {
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
  const bool are_short = request.options.max_tokens <= 1;
  if (!are_short && request.prompts.size() > kMaxPrompts) {
    return FailPrompts(fields, request.prompts.size(), kMaxPrompts);
  }
  const size_t most = are_short ? kMaxShortAnswers : kMaxAnswersInAll;
  if (request.prompts.size() * request.best_of > most) {
    fields.Fail("n", fmt::format("answers to each of {} prompts are too many: {} in all is the "
                                 "most, those that best_of drops included",
                                 request.prompts.size(), most));
  }
}

// 0 asks for the prompt alone, with echo, and -1 is no limit, as llama-server has it.
void ReadMaxTokens(FieldReader& fields, size_t* max_tokens) {
  int64_t count = 0;
  if (!fields.Integer("max_tokens", -1, INT32_MAX, &count)) return;
  *max_tokens = count < 0 ? size_t{INT32_MAX} : static_cast<size_t>(count);
}

// Each prompt is what is before a gap, and `suffix` what is behind it.
Status FillGaps(ReadContext& context, std::string_view suffix, GenerateRequest& generate) {
  TRY_OK(CheckCanFill(context.service.model(), "suffix"));
  for (GenerateRequest::Prompt& prompt : generate.prompts) {
    const auto* const text = std::get_if<std::string>(&prompt);
    if (text == nullptr) {
      return Fail(ErrorKind::kInvalidArgument,
                  "suffix needs prompts that are texts: put the tokens of gaps among the others",
                  "suffix");
    }
    TRY_OK(context.memory.Grow((text->size() + suffix.size()) * Tokenizer::kEncodeBytes));
    prompt = GapPrompt(context.service, *text, suffix);
  }
  return {};
}

// vLLM's skip_special_tokens: false lets control tokens be text of the answer.
void ReadSkipSpecial(FieldReader& fields, const ReadContext& context, GenerationOptions& options) {
  bool skip = true;
  fields.Bool("skip_special_tokens", &skip);
  if (skip) return;
  const GenerationService& service = context.service;
  auto spoken = std::make_shared<SpokenTokens>();
  for (size_t i = 0; i < context.vocab(); ++i) {
    const auto token = static_cast<int32_t>(i);
    if (service.IsControl(token)) spoken->emplace(token, service.TokenText(token));
  }
  options.spoken = std::move(spoken);
}

class CompletionsWriter : public OpenAiWriter {
 public:
  CompletionsWriter(const GenerationService& service, const CompletionsRequest& request)
      : OpenAiWriter(service, request),
        echo_(request.echo),
        logprobs_(request.generate.options.sampling.logprobs),
        prompt_logprobs_(request.prompt_logprobs) {}

  std::string_view id_prefix() const override { return "cmpl"; }
  // With echo the prompt is a first piece of each choice, and text_offset counts from its
  // beginning. With logprobs that piece waits for the prompt's own.
  std::string Begin(const Generation& generation) override {
    std::string events;
    offsets_.resize(generation.answers().size());
    for (size_t i = 0; logprobs_ < 0 && i < offsets_.size(); ++i) events += Echo(generation, i);
    return events;
  }
  std::string Token(const Generation& generation, size_t i, const TokenEvent& token) override {
    std::string echo = logprobs_ >= 0 && token.index == 0 ? Echo(generation, i) : std::string();
    if (token.text.empty() && logprobs_ < 0) return echo;
    Json logprobs = nullptr;
    if (logprobs_ >= 0) logprobs = NoLogprobs();
    if (logprobs_ >= 0) AddToken(token.sampled, &offsets_[i], logprobs);
    return echo + Chunk(generation, i, {{"text", token.text}, {"logprobs", std::move(logprobs)}});
  }
  std::string Waiting(const Generation& generation) override {
    return Waits(generation, {{"text", ""}, {"logprobs", nullptr}});
  }
  std::string AnswerEnd(const Generation& generation, size_t i) override {
    const bool alone = logprobs_ >= 0 && generation.answers()[i].tokens.empty();
    return (alone ? Echo(generation, i) : "") + Chunk(generation, i,
                                                      {{"text", ""}, {"logprobs", nullptr}},
                                                      FinishName(generation.answers()[i].finish));
  }

 private:
  std::string_view object() const override { return "text_completion"; }
  std::string_view chunk_object() const override { return "text_completion"; }
  Json Choice(const Generation& generation, const Answer& answer, size_t index) override {
    const std::string prompt = echo_ ? PromptText(generation, index) : std::string();
    size_t offset = CountCharacterStarts(prompt);
    Json json{{"text", prompt + answer.text}, {"logprobs", nullptr}};
    if (logprobs_ >= 0) {
      Json logprobs = NoLogprobs();
      if (echo_) AddPrompt(generation, answer, index, offset, logprobs);
      for (const SampledToken& token : answer.logprobs) AddToken(token, &offset, logprobs);
      json["logprobs"] = std::move(logprobs);
    }
    if (return_token_ids()) {
      json["prompt_token_ids"] = generation.prompts()[index / generation.request().n];
    }
    if (prompt_logprobs_ >= 0) {
      json["prompt_logprobs"] = PromptLogprobsJson(service(), answer, prompt_logprobs_);
    }
    return json;
  }

  // The prompt of choice `index` as it came or, if it came as ids, as they read.
  std::string PromptText(const Generation& generation, size_t index) const {
    const GenerateRequest& request = generation.request();
    const GenerateRequest::Prompt& prompt = request.prompts[index / request.n];
    if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
    return service().Decode(std::get<std::vector<int32_t>>(prompt));
  }

  // The piece of a stream that has the prompt; nothing where it is not to be told.
  std::string Echo(const Generation& generation, size_t i) {
    if (!echo_) return {};
    const std::string prompt = PromptText(generation, i);
    offsets_[i] = CountCharacterStarts(prompt);
    Json logprobs = nullptr;
    if (logprobs_ >= 0) {
      logprobs = NoLogprobs();
      AddPrompt(generation, generation.answers()[i], i, offsets_[i], logprobs);
    }
    return Chunk(generation, i, {{"text", prompt}, {"logprobs", std::move(logprobs)}});
  }

  static Json NoLogprobs() {
    const Json none = Json::array();
    return {
        {"tokens", none}, {"token_logprobs", none}, {"top_logprobs", none}, {"text_offset", none}};
  }

  // The prompt's tokens, of which the first has no logprob. `end` is how many characters its text
  // has: tokens may stand for more, such as BOS and a space before the text, so that their offsets
  // are counted from the end.
  void AddPrompt(const Generation& generation, const Answer& answer, size_t index, size_t end,
                 Json& logprobs) const {
    const std::vector<int32_t>& prompt = generation.prompts()[index / generation.request().n];
    size_t before = 0, offset = 0;
    for (const int32_t token : prompt) before += CharacterStarts(token);
    before = std::max(before, end) - end;
    const PromptLogprobs& scores = *answer.prompt_logprobs;
    const size_t top = std::min(scores.width, static_cast<size_t>(logprobs_));
    for (size_t i = 0; i < prompt.size(); ++i) {
      const size_t begin = std::max(offset, before) - before;
      offset += CharacterStarts(prompt[i]);
      if (i == 0) {
        Add(TokenLabel(service(), prompt[0]), nullptr, nullptr, begin, logprobs);
        continue;
      }
      AddScored(scores.tokens[i - 1], scores.Top(i - 1).first(top), begin, logprobs);
    }
  }
  // *offset is where the token begins in the choice's text, in characters; then where the next one
  // does.
  void AddToken(const SampledToken& token, size_t* offset, Json& logprobs) const {
    AddScored({token.token, token.logprob}, token.top, *offset, logprobs);
    *offset += CharacterStarts(token.token);
  }
  void AddScored(const TokenLogprob& token, std::span<const TokenLogprob> likeliest, size_t offset,
                 Json& logprobs) const {
    const std::string label = TokenLabel(service(), token.token);
    Json top = Json::object();
    // Where two tokens have one text the likelier counts: it comes first, and emplace keeps it.
    for (const TokenLogprob& other : likeliest) {
      top.emplace(TokenLabel(service(), other.token), LogprobNumber(other.logprob));
    }
    // The token itself is among the likeliest even where it is none of them, as OpenAI has it;
    // emplace leaves it as it is if it was there.
    top.emplace(label, LogprobNumber(token.logprob));
    Add(label, LogprobNumber(token.logprob), std::move(top), offset, logprobs);
  }
  static void Add(const std::string& label, Json logprob, Json top, size_t offset, Json& logprobs) {
    logprobs["tokens"].push_back(label);
    logprobs["token_logprobs"].push_back(std::move(logprob));
    logprobs["top_logprobs"].push_back(std::move(top));
    logprobs["text_offset"].push_back(offset);
  }
  // A character whose bytes come in several tokens counts for the token that begins it.
  size_t CharacterStarts(int32_t token) const {
    return CountCharacterStarts(service().TokenBytes(token));
  }

  const bool echo_;
  const int32_t logprobs_, prompt_logprobs_;  // -1: none
  std::vector<size_t> offsets_;               // of a stream, for each choice
};

Result<CompletionsRequest> ReadCompletionsRequest(const Json& body, ReadContext& context) {
  CompletionsRequest request;
  GenerateRequest& generate = request.generate;
  generate.options.max_tokens = kDefaultMaxTokens;
  FieldReader fields(body);
  ReadPrompts(fields, context.vocab(), generate.prompts);
  ReadOpenAiFields(fields, context, request);
  ReadVllmWishes(fields, context, request);
  ReadMaxTokens(fields, &generate.options.max_tokens);
  CheckAnswersInAll(fields, generate);
  fields.Integer("logprobs", 0, kMaxLogprobs, &generate.options.sampling.logprobs);
  fields.Bool("echo", &request.echo);
  if (request.echo) {
    generate.options.prompt_logprobs =
        std::max(generate.options.prompt_logprobs, generate.options.sampling.logprobs);
  }
  fields.Bool("parse_special", &generate.parse_special);
  fields.Bool("add_special_tokens", &generate.add_special);
  ReadSkipSpecial(fields, context, generate.options);
  std::string suffix;
  const bool fills = fields.Text("suffix", &suffix) && !suffix.empty();
  if (fills && request.echo) fields.Fail("suffix", "and echo are both there: send one of them");
  TRY_OK(fields.Finish(context.unknown()));
  if (fills) TRY_OK(FillGaps(context, suffix, generate));
  TRY_OK(BindAnswerFormat(request.format, context, &generate.options));
  return request;
}

}  // namespace

const Dialect kOpenAiCompletions = {ReadWith<ReadCompletionsRequest, CompletionsWriter>, ErrorReply,
                                    "prompt"};

}  // namespace lockstep
