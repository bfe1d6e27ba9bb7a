// Dialects differ in how they say things, and not in what a template is to be told or an answer to
// be bound by, so that both are decided here, once.
#include "server/api/chat/prepare.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "server/api/chat/bind_tools.h"
#include "server/generation/chat_prompt.h"

namespace lockstep {
namespace {

// The template that the conversation names, else the model's template for tools where there are
// some and it has one, else its template.
Result<const ChatModel*> ChooseTemplate(const Conversation& conversation, const ChatModel& chat) {
  const std::string& wanted = conversation.template_name;
  if (wanted == kDefaultTemplate) return &chat;
  const bool tools = !conversation.tools.tools.is_null();
  for (const ChatModel& other : chat.named) {
    if (other.name == (!wanted.empty() ? wanted : tools ? kToolTemplate : "")) return &other;
  }
  if (wanted.empty()) return &chat;
  std::string names(kDefaultTemplate);
  for (const ChatModel& other : chat.named) names += ", " + other.name;
  return Fail(
      ErrorKind::kInvalidArgument,
      "chat_template is not taken from requests, but may name one of the model's own: " + names,
      "chat_template");
}

// Templates have no list of the variables that they know, so that names are looked for in their
// source.
bool Knows(const ChatModel& model, std::string_view name) {
  return model.source.find(name) != std::string::npos;
}

// What the template is told of thinking. Where it takes no effort but a switch, the lowest efforts
// turn it off.
void SetThinking(const ChatModel& model, const Thinking& thinking, const FieldNames& names,
                 ReadContext& context, Json* values) {
  if (!thinking.effort) return;
  const std::string& effort = *thinking.effort;
  if (Knows(model, "reasoning_effort")) {
    (*values)["reasoning_effort"] = effort;
  } else if (Knows(model, "enable_thinking")) {
    const bool thinks = effort != "none" && effort != "minimal";
    if (!values->contains("enable_thinking")) (*values)["enable_thinking"] = thinks;
  } else {
    context.ignored.emplace_back(names.effort);
  }
}

// The conversation as the template's variables.
Json Variables(Conversation& conversation, const ChatModel& model, const FieldNames& names,
               ReadContext& context) {
  Json values = std::move(conversation.kwargs);
  values["add_generation_prompt"] = conversation.add_generation_prompt;
  // With the choice "none" the prompt does not mention the tools, so that the model has nothing to
  // call.
  if (!conversation.tools.tools.is_null() && conversation.choice.word != "none") {
    values["tools"] = conversation.tools.tools;
  }
  // "developer" is OpenAI's newer word for the system's message, which most templates do not know.
  if (!Knows(model, "developer")) {
    for (Json& message : conversation.messages) {
      if (message["role"] == "developer") message["role"] = "system";
    }
  }
  values["messages"] = std::move(conversation.messages);
  SetThinking(model, conversation.thinking, names, context, &values);
  return values;
}

struct Rendered {
  const ChatModel* model;
  TrustedText prompt;
};

Result<Rendered> Render(Conversation& conversation, const FieldNames& names, ReadContext& context) {
  const Result<ChatModel>& chat = context.service.chat();
  if (!chat) return tl::unexpected(chat.error());
  TRY(const ChatModel* const model, ChooseTemplate(conversation, *chat));
  auto prompt = RenderChat(*model, Variables(conversation, *model, names, context));
  if (!prompt) {
    Error error = std::move(prompt.error());
    error.param = names.messages;
    return tl::unexpected(std::move(error));
  }
  return Rendered{model, *std::move(prompt)};
}

Error CannotCall(const FieldNames& names) {
  return {ErrorKind::kInvalidArgument,
          fmt::format("{} cannot be used: the model's chat template does not say how to call them "
                      "in one of the ways that are known here, {}; leave them out, or send "
                      "\"tool_choice\": \"none\"",
                      names.tools, kToolStyles),
          names.tools};
}

}  // namespace

Result<ChatForm> PrepareChat(Conversation conversation, const FieldNames& names,
                             ReadContext& context, GenerateRequest* generate) {
  const bool tools = !conversation.tools.tools.is_null();
  if (!tools && conversation.choice.word == "required") {
    return Fail(ErrorKind::kInvalidArgument, fmt::format("{} needs tools", names.tool_choice),
                names.tool_choice);
  }
  TRY(const Rendered rendered, Render(conversation, names, context));
  generate->prompts = {context.service.Encode(rendered.prompt)};
  ChatForm form;
  if (!tools || conversation.choice.word == "none") {
    TRY_OK(BindAnswerFormat(conversation.format, context, &generate->options));
    return form;
  }
  form.tools = rendered.model->tools;
  if (!form.tools) return tl::unexpected(CannotCall(names));
  if (Status status = BindTools(*form.tools, conversation, names, context, &generate->options);
      !status) {
    if (status.error().param.empty()) status.error().param = names.tools;
    return tl::unexpected(std::move(status.error()));
  }
  return form;
}

Result<std::string> RenderConversation(Conversation conversation, const FieldNames& names,
                                       ReadContext& context) {
  TRY(const Rendered rendered, Render(conversation, names, context));
  return rendered.prompt.bytes();
}

}  // namespace lockstep
