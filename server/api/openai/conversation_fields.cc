// A variable of the template comes from a field of the request or from its chat_template_kwargs.
// Whichever way it comes, one function reads it, so that nothing reaches a template unchecked.
#include "server/api/openai/conversation_fields.h"

#include <utility>

#include "server/api/openai/messages.h"
#include "server/api/openai/thinking_fields.h"
#include "server/api/openai/tool_list.h"

namespace lockstep {
namespace {

// True or false as vLLM has it, or llama-server's word for what is to go on, which is what the last
// message ends with.
void ReadContinues(FieldReader& fields, Conversation* conversation) {
  constexpr char kName[] = "continue_final_message";
  const Json* const value = fields.Take(kName);
  if (value == nullptr) return;
  if (value->is_boolean()) {
    conversation->continues = value->get<bool>();
  } else if (*value == "content" || *value == "reasoning_content") {
    conversation->continues = true;
  } else {
    fields.Fail(kName, "must be true, false, \"content\" or \"reasoning_content\"");
  }
}

// Reads those variables of the template that have a field of their own in the request.
void ReadRequestVariables(FieldReader& fields, ReadContext& context, Conversation* conversation) {
  fields.Text("chat_template", &conversation->template_name);
  ReadContinues(fields, conversation);
  if (ToolList list = ReadTools(fields, context); list.legacy || !list.tools.is_null()) {
    conversation->tools = std::move(list);
  }
  if (bool adds = true; fields.Bool("add_generation_prompt", &adds)) {
    conversation->add_generation_prompt = adds;
  }
}

// Names that the server gives a value of its own cannot be set; the others are the template's.
void ReadTemplateKwargs(FieldReader& fields, ReadContext& context, Conversation* conversation) {
  const Json* const value = fields.Take("chat_template_kwargs");
  if (value == nullptr) return;
  if (!value->is_object()) return fields.Fail("chat_template_kwargs", "must be an object");
  FieldReader kwargs(*value, "chat_template_kwargs.");
  for (const char* name :
       {"tools", "functions", "add_generation_prompt", "continue_final_message", "chat_template"}) {
    if (kwargs.Has(name) && fields.Has(name)) {
      kwargs.Fail(name, "is also a field of the request: send one of them");
    }
  }
  kwargs.Refuse("messages", "is a field of the request: send it there");
  for (const char* name : {"bos_token", "eos_token"}) {
    kwargs.Refuse(name, "is the model's own and cannot be set");
  }
  ReadRequestVariables(kwargs, context, conversation);
  if (!kwargs.ok()) return fields.Fail(kwargs.error());
  for (const auto& [name, variable] : value->items()) {
    if (!kwargs.IsRead(name) && !variable.is_null()) conversation->kwargs[name] = variable;
  }
}

}  // namespace

void ReadConversation(FieldReader& fields, ReadContext& context, Conversation* conversation) {
  ReadTemplateKwargs(fields, context, conversation);
  ReadRequestVariables(fields, context, conversation);
  conversation->messages = ReadMessages(fields, context);
  ReadThinking(fields, context, &conversation->thinking);
}

}  // namespace lockstep
