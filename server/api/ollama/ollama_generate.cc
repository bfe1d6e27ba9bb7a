// A prompt is a conversation of one message, or of a system's message and one. Whoever sends "raw"
// is the template: control tokens in the text are control tokens.
#include "server/api/ollama/ollama_generate.h"

#include <utility>
#include <vector>

#include "server/api/chat/prepare.h"
#include "server/api/fill_prompt.h"
#include "server/api/ollama/ollama_answer.h"
#include "server/api/ollama/ollama_fields.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

struct GenerateFields : OllamaRequest {
  std::string prompt, system;
  std::string suffix;            // what is behind the gap that is to be filled; empty: no gap
  std::vector<int32_t> context;  // of an earlier answer
  bool raw = false;
};

void ReadContextIds(FieldReader& fields, size_t vocab, std::vector<int32_t>* ids) {
  const Json* const value = fields.Take("context");
  if (value == nullptr) return;
  if (!value->is_array()) return fields.Fail("context", "must be a list of token ids");
  auto read = ReadTokenIds(*value, vocab, "context", "context");
  if (!read) return fields.Fail(std::move(read.error()));
  *ids = *std::move(read);
}

Result<GenerateFields> ReadFields(const Json& body, ReadContext& context) {
  GenerateFields request;
  FieldReader fields(body);
  ReadOllamaFields(fields, context, request);
  fields.Text("prompt", &request.prompt);
  fields.Text("system", &request.system);
  ReadContextIds(fields, context.vocab(), &request.context);
  fields.Bool("raw", &request.raw);
  RefuseImages(fields);
  std::string text;
  fields.Text("suffix", &request.suffix);
  if (fields.Text("template", &text) && !text.empty()) {
    fields.Fail("template",
                "is not taken from requests, whose texts would be control tokens: leave it out for "
                "the model's own, or send the whole prompt with \"raw\": true");
  }
  if (request.raw && (!request.system.empty() || !request.context.empty())) {
    fields.Fail("raw", "prompts are sent as they are: leave out system and context");
  }
  TRY_OK(fields.Finish(context.unknown()));
  return request;
}

// The prompt as it is, for a model without a template or a client that has its own.
Status PrepareText(GenerateFields& request, ReadContext& context) {
  if (!request.system.empty()) context.ignored.emplace_back("system");
  if (request.thinking.enabled || request.thinking.effort) context.ignored.emplace_back("think");
  TRY_OK(context.memory.Grow(request.prompt.size() * Tokenizer::kEncodeBytes));
  request.generate.prompts = {
      context.service.Encode(TrustedText(std::move(request.prompt), request.raw))};
  return BindAnswerFormat(request.format, context, &request.generate.options);
}

// The prompt is what is before the gap.
Status PrepareGap(GenerateFields& request, ReadContext& context) {
  TRY_OK(CheckCanFill(context.service.model(), "suffix"));
  if (!request.system.empty()) context.ignored.emplace_back("system");
  if (request.thinking.enabled || request.thinking.effort) context.ignored.emplace_back("think");
  TRY_OK(context.memory.Grow((request.prompt.size() + request.suffix.size()) *
                             Tokenizer::kEncodeBytes));
  request.generate.prompts = {GapPrompt(context.service, request.prompt, request.suffix)};
  return BindAnswerFormat(request.format, context, &request.generate.options);
}

Result<ChatForm> PrepareMessages(GenerateFields& request, ReadContext& context) {
  Conversation conversation;
  conversation.messages = Json::array();
  if (!request.system.empty()) {
    conversation.messages.push_back({{"role", "system"}, {"content", request.system}});
  }
  conversation.messages.push_back({{"role", "user"}, {"content", request.prompt}});
  conversation.format = std::move(request.format);
  conversation.thinking = std::move(request.thinking);
  FieldNames names;
  names.messages = "prompt";
  names.enabled = names.effort = names.budget = "think";
  return PrepareChat(std::move(conversation), names, context, &request.generate);
}

// Puts an earlier answer's tokens before the prompt, which has no second BOS behind them.
void PutBefore(std::vector<int32_t> earlier, const GenerationService& service,
               GenerateRequest* generate) {
  auto& ids = std::get<std::vector<int32_t>>(generate->prompts[0]);
  if (earlier.empty()) return;
  const bool begins = !ids.empty() && ids[0] == earlier[0] && service.IsControl(ids[0]) &&
                      (!service.chat() || service.TokenText(ids[0]) == service.chat()->bos);
  earlier.insert(earlier.end(), ids.begin() + (begins ? 1 : 0), ids.end());
  ids = std::move(earlier);
}

Result<DialectRequest> ReadOllamaGenerate(const Json& body, ReadContext& context) {
  TRY(GenerateFields request, ReadFields(body, context));
  OllamaForm form{request.model, /*chat=*/false, /*context=*/!request.raw};
  if (request.prompt.empty()) {
    return DialectRequest{{}, nullptr, OllamaLoadReply(form, request.unload)};
  }
  if (!request.suffix.empty()) {
    TRY_OK(PrepareGap(request, context));
  } else if (request.raw || !context.service.chat()) {
    TRY_OK(PrepareText(request, context));
  } else {
    TRY(form.read, PrepareMessages(request, context));
  }
  PutBefore(std::move(request.context), context.service, &request.generate);
  return DialectRequest{std::move(request.generate),
                        std::make_unique<OllamaWriter>(context.service, std::move(form))};
}

}  // namespace

const Dialect kOllamaGenerate = {ReadOllamaGenerate, ErrorReply, "prompt"};

}  // namespace lockstep
