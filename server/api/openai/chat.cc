// Reading ends with a prompt: messages are rendered and encoded before anything is submitted, so
// that what a template refuses is a 400 like any other bad field.
#include "server/api/openai/chat.h"

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "server/api/chat/prepare.h"
#include "server/api/openai/common.h"
#include "server/api/openai/conversation_fields.h"
#include "server/api/openai/tool_answer.h"
#include "server/api/openai/tool_choice.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

// Returns whether the field is there. -1 is no limit, as llama-server has it.
bool ReadLimit(FieldReader& fields, std::string_view name, size_t* limit) {
  int64_t count = 0;
  if (!fields.Integer(name, -1, INT32_MAX, &count)) return false;
  if (count == 0) fields.Fail(name, "must not be 0: a chat's answer has a token at least");
  *limit = count < 0 ? size_t{INT32_MAX} : static_cast<size_t>(count);
  return fields.ok();
}

void ReadMaxTokens(FieldReader& fields, size_t* max_tokens) {
  *max_tokens = INT32_MAX;  // what the context leaves
  const bool newer = ReadLimit(fields, "max_completion_tokens", max_tokens);
  size_t older = 0;
  if (!ReadLimit(fields, "max_tokens", &older)) return;
  // Libraries send both names so that older and newer servers find theirs; the same number twice is
  // no conflict.
  if (newer && older != *max_tokens) {
    fields.Fail("max_tokens", "is the older name of max_completion_tokens, and differs: send one");
  }
  *max_tokens = older;
}

// {"logprobs": true, "top_logprobs": 3} is 3 here; 0 is the chosen token's logprob alone, and -1,
// the default, none.
void ReadLogprobs(FieldReader& fields, int32_t* logprobs) {
  bool wanted = false;
  fields.Bool("logprobs", &wanted);
  if (wanted) *logprobs = 0;
  int32_t top = 0;
  if (!fields.Integer("top_logprobs", 0, kMaxLogprobs, &top)) return;
  if (!wanted && top > 0) fields.Fail("top_logprobs", "needs logprobs to be true");
  if (wanted) *logprobs = top;
}

void ReadModalities(FieldReader& fields) {
  const Json* const modalities = fields.Take("modalities");
  if (modalities != nullptr && *modalities != Json::array({"text"})) {
    fields.Fail("modalities", R"(must be ["text"]: the model writes text only)");
  }
}

struct ChatRequest : OpenAiRequest {
  Conversation conversation;
  ChatForm form;
  ToolForm tools;
  bool echo = false;  // the text that the answer goes on with is told again
};

class ChatWriter : public OpenAiWriter {
 public:
  ChatWriter(const GenerationService& service, const ChatRequest& request)
      : OpenAiWriter(service, request),
        form_(request.form),
        tools_(request.tools),
        echo_(request.echo ? request.form.begun : ""),
        prompt_logprobs_(request.prompt_logprobs) {}

  std::string_view id_prefix() const override { return "chatcmpl"; }
  std::string Begin(const Generation& generation) override {
    std::string events;
    for (size_t i = 0; i < generation.answers().size(); ++i) {
      events += Delta(generation, i, {{"role", "assistant"}, {"content", echo_}}, nullptr);
      streams_.push_back({ChatAnswerReader(form_, generation.answers()[i].id), ChatDeltas(tools_)});
    }
    return events;
  }
  std::string Token(const Generation& generation, size_t i, const TokenEvent& token) override {
    const bool wants_logprobs = generation.answers()[i].wants_logprobs;
    const Json logprobs = wants_logprobs ? Logprobs({&token.sampled, 1}) : nullptr;
    Stream& stream = streams_[i];
    return Deltas(generation, i, stream.deltas.Of(stream.reader.Push(token)), logprobs);
  }
  // Codex and Qwen Code, among others, count events and not comments before they give up.
  std::string Waiting(const Generation& generation) override {
    return Waits(generation, {{"delta", Json::object()}, {"logprobs", nullptr}});
  }
  // The reader may hold back text that looked like the beginning of a call; at the end it is text.
  std::string AnswerEnd(const Generation& generation, size_t i) override {
    const Answer& answer = generation.answers()[i];
    Stream& stream = streams_[i];
    return Deltas(generation, i, stream.deltas.Of(stream.reader.Finish()), nullptr) +
           Deltas(generation, i, stream.deltas.Finish(), nullptr) +
           Delta(generation, i, Json::object(), nullptr, Finish(answer));
  }

 private:
  Json Beside(const Generation& generation) const override {
    Json json = Json::object();
    if (prompt_logprobs_ >= 0) {
      json["prompt_logprobs"] =
          PromptLogprobsJson(service(), generation.answers()[0], prompt_logprobs_);
    }
    if (return_token_ids()) json["prompt_token_ids"] = generation.prompts()[0];
    return json;
  }
  struct Stream {
    ChatAnswerReader reader;
    ChatDeltas deltas;
  };

  std::string_view object() const override { return "chat.completion"; }
  std::string_view chunk_object() const override { return "chat.completion.chunk"; }
  Json Choice(const Generation&, const Answer& answer, size_t) override {
    ChatAnswer read = ReadChatAnswer(form_, answer);
    read.text.insert(0, echo_);
    return {{"message", MessageJson(tools_, read)},
            {"logprobs", answer.wants_logprobs ? Logprobs(answer.logprobs) : nullptr}};
  }
  // A model that does not think has none to tell.
  std::optional<size_t> ReasoningTokens(const Generation& generation) const override {
    if (form_.thought.close.empty()) return std::nullopt;
    size_t tokens = 0;
    for (const Stream& stream : streams_) tokens += stream.reader.reasoning_tokens();
    if (!streams_.empty()) return tokens;
    for (const Answer& answer : generation.answers()) {
      tokens += ReadChatAnswer(form_, answer).reasoning_tokens;
    }
    return tokens;
  }
  // An answer that was cut off keeps "length", even in the middle of a call: its arguments are not
  // whole, and clients must not run it.
  std::string_view Finish(const Answer& answer) const override {
    const bool calls = EndsInCalls(answer, ReadChatAnswer(form_, answer));
    return calls ? tools_.finish_reason() : OpenAiWriter::Finish(answer);
  }

  // The logprobs go with the first of them.
  std::string Deltas(const Generation& generation, size_t i, const std::vector<Json>& deltas,
                     Json logprobs) {
    if (deltas.empty() && !logprobs.is_null()) {
      return Delta(generation, i, Json::object(), std::move(logprobs));
    }
    std::string events;
    for (const Json& delta : deltas) {
      events += Delta(generation, i, delta, std::exchange(logprobs, nullptr));
    }
    return events;
  }
  std::string Delta(const Generation& generation, size_t index, Json delta, Json logprobs,
                    const Json& finish = nullptr) const {
    Json choice = Json::object();
    choice["delta"] = std::move(delta);
    choice["logprobs"] = std::move(logprobs);
    return Chunk(generation, index, choice, finish);
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

  const ChatForm form_;
  const ToolForm tools_;
  const std::string echo_;
  const int32_t prompt_logprobs_;  // -1: none
  std::vector<Stream> streams_;    // of each answer
};

FieldNames NamesOf(const ToolList& tools) {
  FieldNames names;
  if (tools.legacy) {
    names.tools = "functions";
    names.tool_choice = "function_call";
  }
  return names;
}

Result<ChatRequest> ReadChatRequest(const Json& body, ReadContext& context) {
  // Without a template there is nothing to do with messages, whatever they are.
  if (!context.service.chat()) return tl::unexpected(context.service.chat().error());
  ChatRequest request;
  GenerateRequest& generate = request.generate;
  FieldReader fields(body);
  Conversation& conversation = request.conversation;
  ReadConversation(fields, context, &conversation);
  ReadOpenAiFields(fields, context, request);
  ReadVllmWishes(fields, context, request);
  ReadMaxTokens(fields, &generate.options.max_tokens);
  ReadLogprobs(fields, &generate.options.sampling.logprobs);
  conversation.choice = ReadToolChoice(fields, context, conversation.tools);
  ReadModalities(fields);
  fields.Bool("echo", &request.echo);
  TRY_OK(fields.Finish(context.unknown()));
  conversation.format = request.format;
  request.tools = {conversation.tools.custom, conversation.tools.legacy,
                   conversation.thinking.hidden};
  const FieldNames names = NamesOf(conversation.tools);
  TRY(request.form, PrepareChat(std::move(conversation), names, context, &generate));
  return request;
}

}  // namespace

const Dialect kOpenAiChat = {ReadWith<ReadChatRequest, ChatWriter>, ErrorReply, "messages"};

Result<TrustedText> ReadChatPrompt(FieldReader& fields, ReadContext& context) {
  // Without a template there is nothing to do with messages, whatever they are.
  if (!context.service.chat()) return tl::unexpected(context.service.chat().error());
  Conversation conversation;
  ReadConversation(fields, context, &conversation);
  ReadModel(fields, context);
  TRY_OK(fields.Finish(context.unknown()));
  const FieldNames names = NamesOf(conversation.tools);
  return RenderConversation(std::move(conversation), names, context);
}

Result<std::string> AnswerApplyTemplate(const Json& body, ReadContext& context) {
  FieldReader fields(body);
  TRY(const TrustedText prompt, ReadChatPrompt(fields, context));
  return Dump(Json{{"prompt", prompt.bytes()}});
}

}  // namespace lockstep
