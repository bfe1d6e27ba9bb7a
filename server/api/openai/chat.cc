// Reading ends with a prompt: messages are rendered and encoded before anything is submitted, so
// that what a template refuses is a 400 like any other bad field.
#include "server/api/openai/chat.h"

#include <optional>
#include <utility>
#include <vector>

#include "server/api/openai/messages.h"
#include "server/api/openai/tools.h"
#include "server/generation/chat_prompt.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

void ReadMaxTokens(FieldReader& fields, size_t* max_tokens) {
  *max_tokens = INT32_MAX;  // what the context leaves
  const bool newer = fields.Integer("max_completion_tokens", 1, INT32_MAX, max_tokens);
  size_t older = 0;
  if (!fields.Integer("max_tokens", 1, INT32_MAX, &older)) return;
  if (newer && older != *max_tokens) {
    fields.Fail("max_tokens", "is the older name of max_completion_tokens, and differs: send one");
  }
  *max_tokens = older;
}

void ReadLogprobs(FieldReader& fields, int32_t* logprobs) {
  bool wanted = false;
  fields.Bool("logprobs", &wanted);
  if (wanted) *logprobs = 0;
  int32_t top = 0;
  if (!fields.Integer("top_logprobs", 0, kMaxLogprobs, &top)) return;
  if (!wanted) return fields.Fail("top_logprobs", "needs logprobs to be true");
  *logprobs = top;
}

void ReadModalities(FieldReader& fields) {
  const Json* const modalities = fields.Take("modalities");
  if (modalities != nullptr && *modalities != Json::array({"text"})) {
    fields.Fail("modalities", R"(must be ["text"]: the model writes text only)");
  }
}

class ChatWriter : public OpenAiWriter {
 public:
  ChatWriter(const GenerationService& service, const ChatRequest& request)
      : OpenAiWriter(service, request), tools_(request.tools) {}

  std::string_view id_prefix() const override { return "chatcmpl"; }
  std::string Begin(const Generation& generation) override {
    std::string events;
    for (size_t i = 0; i < generation.answers().size(); ++i) {
      events += Delta(generation, i, {{"role", "assistant"}, {"content", ""}}, nullptr);
      if (tools_) calls_.emplace_back(*tools_);
    }
    return events;
  }
  std::string Token(const Generation& generation, size_t i, const TokenEvent& token) override {
    const bool wants_logprobs = generation.answers()[i].wants_logprobs;
    const Json logprobs = wants_logprobs ? Logprobs({&token.sampled, 1}) : nullptr;
    if (tools_) return Deltas(generation, i, calls_[i].Push(token.text), logprobs);
    if (token.text.empty() && !wants_logprobs) return {};
    return Delta(generation, i, {{"content", token.text}}, logprobs);
  }
  std::string AnswerEnd(const Generation& generation, size_t i) override {
    const Answer& answer = generation.answers()[i];
    return (tools_ ? Deltas(generation, i, calls_[i].Finish(), nullptr) : "") +
           Delta(generation, i, Json::object(), nullptr, Finish(answer));
  }

 private:
  std::string_view object() const override { return "chat.completion"; }
  std::string_view chunk_object() const override { return "chat.completion.chunk"; }
  Json Choice(const Generation&, const Answer& answer, size_t) override {
    Json message{{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
    if (tools_) message = WithToolCalls(std::move(message), *tools_, answer.text);
    return {{"message", std::move(message)},
            {"logprobs", answer.wants_logprobs ? Logprobs(answer.logprobs) : nullptr}};
  }
  std::string_view Finish(const Answer& answer) const override {
    const bool calls =
        tools_ && answer.finish == FinishReason::kStop && HasToolCalls(*tools_, answer.text);
    return calls ? "tool_calls" : OpenAiWriter::Finish(answer);
  }

  // The logprobs go with the first of them.
  std::string Deltas(const Generation& generation, size_t i, const std::vector<ToolDelta>& deltas,
                     Json logprobs) {
    if (deltas.empty() && !logprobs.is_null()) {
      return Delta(generation, i, Json::object(), std::move(logprobs));
    }
    std::string events;
    for (const ToolDelta& delta : deltas) {
      events +=
          Delta(generation, i, ToolDeltaJson(*tools_, delta), std::exchange(logprobs, nullptr));
    }
    return events;
  }
  std::string Delta(const Generation& generation, size_t index, Json delta, Json logprobs,
                    const Json& finish = nullptr) const {
    Json choice = Json::object();
    choice["delta"] = std::move(delta);
    choice["logprobs"] = std::move(logprobs);
    return Chunk(generation, index, std::move(choice), finish);
  }

  Json TokenJson(int32_t token, float logprob) const {
    Json json{{"token", TokenLabel(service(), token)},
              {"logprob", LogprobNumber(logprob)},
              {"bytes", nullptr}};  // of a control token, which stands for none
    if (!service().IsControl(token)) json["bytes"] = BytesJson(service().TokenBytes(token));
    return json;
  }
  Json Logprobs(std::span<const SampledToken> sampled) const {
    Json content = Json::array();
    for (const SampledToken& token : sampled) {
      Json json = TokenJson(token.token, token.logprob);
      json["top_logprobs"] = Json::array();
      for (const TokenLogprob& top : token.top) {
        json["top_logprobs"].push_back(TokenJson(top.token, top.logprob));
      }
      content.push_back(std::move(json));
    }
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }

  const std::optional<ToolStyle> tools_;
  std::vector<ToolCallReader> calls_;  // of each answer of a stream
};

Result<ChatRequest> ReadChatRequest(const Json& body, ReadContext& context) {
  // Without a template there is nothing to do with messages, whatever they are.
  if (!context.service.chat()) return tl::unexpected(context.service.chat().error());
  ChatRequest request;
  GenerateRequest& generate = request.generate;
  FieldReader fields(body);
  ReadChatVariables(fields, context, &request.variables);
  ReadOpenAiFields(fields, context, request);
  ReadMaxTokens(fields, &generate.options.max_tokens);
  ReadLogprobs(fields, &generate.options.sampling.logprobs);
  ReadToolChoice(fields, context, request);
  ReadModalities(fields);
  if (Status status = fields.Finish(context.unknown()); !status)
    return tl::unexpected(status.error());
  TRY(const TrustedText prompt, RenderChat(context.service.chat(), request.variables));
  generate.prompts = {context.service.EncodeChat(prompt)};
  return request;
}

}  // namespace

const Dialect kOpenAiChat = {ReadWith<ReadChatRequest, ChatWriter>, ErrorReply};

Result<std::string> AnswerApplyTemplate(const Json& body, ReadContext& context) {
  // Without a template there is nothing to do with messages, whatever they are.
  if (!context.service.chat()) return tl::unexpected(context.service.chat().error());
  Json variables;
  FieldReader fields(body);
  ReadChatVariables(fields, context, &variables);
  std::string model;
  fields.Text("model", &model);
  if (Status status = fields.Finish(context.unknown()); !status)
    return tl::unexpected(status.error());
  TRY(const TrustedText prompt, RenderChat(context.service.chat(), variables));
  return Dump(Json{{"prompt", prompt.bytes()}});
}

}  // namespace lockstep
