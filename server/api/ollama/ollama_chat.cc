// Ollama's words for what every dialect of chats has; a request without messages asks for the model
// to be loaded or unloaded, which it always and never is.
#include "server/api/ollama/ollama_chat.h"

#include <utility>

#include "server/api/chat/prepare.h"
#include "server/api/ollama/ollama_answer.h"
#include "server/api/ollama/ollama_fields.h"
#include "server/api/ollama/ollama_messages.h"
#include "server/api/openai/tool_choice.h"
#include "server/api/openai/tool_list.h"
#include "server/http/error_reply.h"

namespace lockstep {
namespace {

FieldNames Names() {
  FieldNames names;
  names.enabled = names.effort = names.budget = "think";
  return names;
}

// They have OpenAI's form, under these names alone. Ollama itself leaves the choice to the model.
void ReadOllamaTools(FieldReader& fields, ReadContext& context, Conversation* conversation) {
  Json sent = Json::object();
  for (const char* name : {"tools", "tool_choice", "parallel_tool_calls"}) {
    if (const Json* const value = fields.Take(name)) sent[name] = *value;
  }
  FieldReader reader(sent);
  conversation->tools = ReadTools(reader, context);
  conversation->choice = ReadToolChoice(reader, context, conversation->tools);
  if (!reader.ok()) fields.Fail(reader.error());
}

Result<DialectRequest> ReadOllamaChat(const Json& body, ReadContext& context) {
  OllamaRequest request;
  Conversation conversation;
  FieldReader fields(body);
  ReadOllamaFields(fields, context, request);
  // None asks for the model alone.
  const Json* const messages = fields.Take("messages");
  if (messages != nullptr && *messages != Json::array()) {
    conversation.messages = ReadOllamaMessages(fields, context);
  }
  ReadOllamaTools(fields, context, &conversation);
  TRY_OK(fields.Finish(context.unknown()));
  OllamaForm form{request.model};
  if (conversation.messages.empty()) {
    return DialectRequest{{}, nullptr, OllamaLoadReply(form, request.unload)};
  }
  // A format binds all of an answer, so that it is no call: clients send the schema as a tool, too,
  // and look for the text.
  if (request.format.kind != AnswerFormat::Kind::kText && conversation.choice.word == "auto") {
    conversation.choice.word = "none";
    conversation.choice.shown = true;
  }
  conversation.format = std::move(request.format);
  conversation.thinking = std::move(request.thinking);
  TRY(form.read, PrepareChat(std::move(conversation), Names(), context, &request.generate));
  return DialectRequest{std::move(request.generate),
                        std::make_unique<OllamaWriter>(context.service, std::move(form))};
}

}  // namespace

const Dialect kOllamaChat = {ReadOllamaChat, ErrorReply, "messages"};

}  // namespace lockstep
