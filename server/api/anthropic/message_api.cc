// A request is read into a Conversation, which is prepared as those of other dialects are, so that
// the same text and the same seed give the same tokens.
#include "server/api/anthropic/message_api.h"

#include <algorithm>
#include <utility>

#include "server/api/anthropic/client_tools.h"
#include "server/api/anthropic/content.h"
#include "server/api/anthropic/message_writer.h"
#include "server/api/chat/prepare.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

constexpr FieldNames kNames = {"messages",
                               "tools",
                               "tool_choice",
                               "thinking",
                               "output_config.effort",
                               "thinking.budget_tokens"};

struct MessageRequest {
  GenerateRequest generate;
  Conversation conversation;
  MessageForm form;
};

// {"type": enabled, disabled, adaptive or between_tools[, "budget_tokens"][, "display"]}. The last
// two leave it to the model, as its template does by default.
void ReadThinking(FieldReader& fields, ReadContext& context, MessageRequest* request) {
  Thinking& thinking = request->conversation.thinking;
  fields.Object("thinking", "must be an object with a type", context.unknown(),
                [&](FieldReader& reader) {
                  std::string type, display;
                  size_t budget = 0;
                  reader.Text("type", &type);
                  reader.Text("display", &display);
                  if (reader.Integer("budget_tokens", 1, INT32_MAX, &budget)) {
                    thinking.budget = budget;
                  }
                  if (type == "enabled" || type == "disabled") thinking.enabled = type == "enabled";
                  request->form.omits_thoughts = display == "omitted";
                  if (reader.Has("block_binding")) {
                    context.ignored.push_back(reader.Full("block_binding"));
                  }
                });
}

void ReadOutputConfig(FieldReader& fields, ReadContext& context, Conversation* conversation) {
  conversation->format = ReadResponseFormat(fields, context);
  fields.Object("output_config", "must be an object", context.unknown(), [&](FieldReader& reader) {
    if (std::string effort; reader.Text("effort", &effort)) conversation->thinking.effort = effort;
    ReadAnthropicFormat(reader, "format", context, &conversation->format);
    if (reader.Has("task_budget")) context.ignored.push_back(reader.Full("task_budget"));
  });
  ReadAnthropicFormat(fields, "output_format", context, &conversation->format);
}

// The answer goes on with the assistant's last turn. A space at its end is a token of its own for
// most models, where a word's own space is part of the word's.
void CheckLastTurn(const Json& last, FieldReader& fields) {
  if (last["role"] != "assistant") return;
  if (last.contains("tool_calls")) {
    fields.Fail("messages", "must not end with tool_use: its tool_result is missing");
  }
  const auto text = last["content"].is_string() ? last["content"].get<std::string>() : "";
  if (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos) {
    fields.Fail("messages",
                "must not end with whitespace: the answer goes on with the assistant's last turn");
  }
}

// What asks something of Anthropic's servers that this one does not do, and changes no answer here.
void ReadForOthers(FieldReader& fields, ReadContext& context) {
  for (const char* name :
       {"metadata", "container", "context_management", "mcp_servers", "service_tier", "safeguards",
        "inference_geo", "speed", "diagnostics", "workspace_id", "user_profile_id", "fallbacks",
        "fallback_credit_token", "billing_policy", "compaction"}) {
    if (fields.Has(name)) context.ignored.emplace_back(name);
  }
  // A client that is answered would send the rest of the conversation alone the next time.
  if (const Json* const thread = fields.Take("thread"); thread != nullptr && *thread != false) {
    fields.Fail("thread", "is not supported: nothing is kept, so send the whole conversation");
  }
  // Each prompt is kept for the next one, whatever is marked, and `betas` is a header in a body.
  for (const char* name : {"cache_control", "betas"}) fields.Take(name);
}

void ReadConversation(FieldReader& fields, ReadContext& context, MessageRequest* request) {
  Conversation& conversation = request->conversation;
  MessageContent content = ReadMessageContent(fields, context);
  conversation.messages = std::move(content.messages);
  conversation.choice = ReadClientToolChoice(fields, context);
  content.loaded_tools.insert(conversation.choice.names.begin(), conversation.choice.names.end());
  conversation.tools = ReadClientTools(fields, context, content.loaded_tools);
  ReadThinking(fields, context, request);
  ReadOutputConfig(fields, context, &conversation);
}

// `answers`: the request is for an answer, and not for the number of its tokens alone, which may
// lack max_tokens and end anywhere.
Result<MessageRequest> ReadMessageRequest(const Json& body, ReadContext& context, bool answers) {
  if (!context.service.chat()) return tl::unexpected(context.service.chat().error());
  MessageRequest request;
  GenerateRequest& generate = request.generate;
  FieldReader fields(body);
  ReadModel(fields, context, &request.form.model);
  ReadConversation(fields, context, &request);
  SetOpenDefaults(generate.options.sampling);
  ReadSampling(fields, context, generate);
  ReadStop(fields, "stop_sequences", &generate.options.stop);
  if (!fields.Integer("max_tokens", 0, INT32_MAX, &request.form.max_tokens) && fields.ok() &&
      answers) {
    fields.Fail("max_tokens", "is missing: how many tokens the answer may have");
  }
  if (answers && fields.ok()) CheckLastTurn(request.conversation.messages.back(), fields);
  ReadForOthers(fields, context);
  TRY_OK(fields.Finish(context.unknown()));
  // A prompt is read for the cache by asking for one token, which is not told.
  generate.options.max_tokens = std::max<size_t>(request.form.max_tokens, 1);
  request.form.request_id = context.request_id;
  return request;
}

Result<DialectRequest> ReadMessages(const Json& body, ReadContext& context) {
  TRY(MessageRequest request, ReadMessageRequest(body, context, /*answers=*/true));
  TRY(request.form.chat,
      PrepareChat(std::move(request.conversation), kNames, context, &request.generate));
  return DialectRequest{std::move(request.generate),
                        std::make_unique<MessageWriter>(std::move(request.form))};
}

}  // namespace

const Dialect kAnthropicMessages = {ReadMessages, ErrorReply, "messages"};

Result<std::string> AnswerCountTokens(const Json& body, ReadContext& context) {
  TRY(MessageRequest request, ReadMessageRequest(body, context, /*answers=*/false));
  TRY(const TrustedText prompt,
      RenderConversation(std::move(request.conversation), kNames, context));
  TRY_OK(context.memory.Grow(prompt.size() * Tokenizer::kEncodeBytes));
  return Dump(Json{{"input_tokens", context.service.Encode(prompt).size()}});
}

}  // namespace lockstep
