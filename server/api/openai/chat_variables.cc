// A variable comes from a field of the request or from its chat_template_kwargs. Whichever way it
// comes, one function reads it, so that nothing reaches a template unchecked.
#include "server/api/openai/chat_variables.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "server/api/openai/messages.h"

namespace lockstep {
namespace {

// The variables that have a field of their own.
void ReadRequestVariables(FieldReader& fields, ReadContext& context, ChatVariables* chat) {
  if (ToolList list = ReadTools(fields, context); !list.tools.is_null()) {
    chat->values["tools"] = list.tools;
    chat->tools = std::move(list);
  }
  bool prompt = true;
  if (fields.Bool("add_generation_prompt", &prompt)) chat->values["add_generation_prompt"] = prompt;
}

// Names that the server gives a value of its own cannot be set; the others are the template's.
void ReadTemplateKwargs(FieldReader& fields, ReadContext& context, ChatVariables* chat) {
  const Json* const value = fields.Take("chat_template_kwargs");
  if (value == nullptr) return;
  if (!value->is_object()) return fields.Fail("chat_template_kwargs", "must be an object");
  FieldReader kwargs(*value, "chat_template_kwargs.");
  for (const char* name : {"tools", "functions", "add_generation_prompt"}) {
    if (kwargs.Has(name) && fields.Has(name)) {
      kwargs.Fail(name, "is also a field of the request: send one of them");
    }
  }
  kwargs.Refuse("messages", "is a field of the request: send it there");
  for (const char* name : {"bos_token", "eos_token"}) {
    kwargs.Refuse(name, "is the model's own and cannot be set");
  }
  ReadRequestVariables(kwargs, context, chat);
  if (!kwargs.ok()) return fields.Fail(kwargs.error());
  for (const auto& [name, variable] : value->items()) {
    if (!kwargs.IsRead(name) && !variable.is_null()) chat->values[name] = variable;
  }
}

// The template that the request names, else the model's template for tools where there are some and
// it has one, else its template.
const ChatModel* ChooseTemplate(FieldReader& fields, const ChatModel& chat, bool tools) {
  std::string wanted;
  const bool named = fields.Text("chat_template", &wanted);
  if (named && wanted == kDefaultTemplate) return &chat;
  for (const ChatModel& other : chat.named) {
    if (other.name == (named ? wanted : tools ? kToolTemplate : "")) return &other;
  }
  if (named) {
    std::string names(kDefaultTemplate);
    for (const ChatModel& other : chat.named) names += ", " + other.name;
    fields.Fail("chat_template",
                "is not taken from requests, but may name one of the model's own: " + names);
  }
  return &chat;
}

// Where the template takes no effort but a switch for thinking, the lowest efforts turn it off.
void ReadEffort(FieldReader& fields, ReadContext& context, ChatVariables* chat) {
  std::string effort;
  if (!fields.Text("reasoning_effort", &effort)) return;
  // Templates have no list of the variables that they know, so that the name is looked for in their
  // source.
  const std::string_view source = chat->model->source;
  if (source.find("reasoning_effort") != std::string_view::npos) {
    chat->values["reasoning_effort"] = effort;
  } else if (source.find("enable_thinking") != std::string_view::npos) {
    const bool thinks = effort != "none" && effort != "minimal";
    if (!chat->values.contains("enable_thinking")) chat->values["enable_thinking"] = thinks;
  } else {
    context.ignored.emplace_back("reasoning_effort");
  }
}

}  // namespace

void ReadChatVariables(FieldReader& fields, ReadContext& context, ChatVariables* chat) {
  chat->values = Json::object();
  // Without it a template ends with the last message, and the model would go on in the user's
  // place.
  chat->values["add_generation_prompt"] = true;
  ReadTemplateKwargs(fields, context, chat);
  ReadRequestVariables(fields, context, chat);
  chat->model = ChooseTemplate(fields, *context.service.chat(), !chat->tools.tools.is_null());
  chat->values["messages"] = ReadMessages(fields, context, chat->model->source);
  ReadEffort(fields, context, chat);
}

}  // namespace lockstep
