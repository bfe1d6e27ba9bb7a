#include "server/api/openai/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

enum class Role { kSystem, kUser, kAssistant, kTool };

// The text of "content": a string, or parts of which all are texts. Null where there is none.
Json ReadContent(FieldReader& message) {
  const Json* const content = message.Take("content");
  if (content == nullptr || content->is_string()) return content == nullptr ? Json() : *content;
  if (!content->is_array()) {
    message.Fail("content", "must be a string or a list of text parts");
    return {};
  }
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    const Json& part = (*content)[i];
    const std::string where = fmt::format("content[{}]", i);
    const bool is_object = part.is_object() && part.contains("type") && part["type"].is_string();
    if (!is_object) {
      message.Fail(where, "must be an object with a type");
    } else if (part["type"] != "text") {
      message.Fail(where + ".type", fmt::format("is {}, but the model reads text only",
                                                Quoted(part["type"].get<std::string>())));
    } else if (part.size() != 2 || !part.contains("text") || !part["text"].is_string()) {
      message.Fail(where, R"(must be {"type": "text", "text": "..."})");
    } else {
      text += (i > 0 ? "\n" : "") + part["text"].get<std::string>();
    }
    if (!message.ok()) return {};
  }
  return text;
}

// {"id", "type": "function", "function": {"name", "arguments": "{...}"}}
Json ReadToolCall(const Json& value, const std::string& where, ReadContext& context,
                  FieldReader& message) {
  std::string id, type = "function", name, arguments;
  if (!value.is_object()) {
    message.Fail(where, "must be an object");
    return {};
  }
  FieldReader call(value, message.Full(where) + ".");
  call.Text("id", &id);
  if (call.Text("type", &type) && type != "function") call.Fail("type", "must be \"function\"");
  const Json* const function = call.Take("function");
  if (function == nullptr || !function->is_object()) {
    call.Fail("function", "must be an object with a name and arguments");
  } else {
    FieldReader inner(*function, call.Full("function") + ".");
    if (!inner.Text("name", &name) && inner.ok()) inner.Fail("name", "is missing");
    if (!inner.Text("arguments", &arguments) && inner.ok()) {
      inner.Fail("arguments", "is missing: a JSON object, as a string");
    }
    if (Status status = inner.Finish(context.unknown()); !status) call.Fail(status.error());
  }
  if (Status status = call.Finish(context.unknown()); !status) message.Fail(status.error());
  const auto object = ParseStrictObject(arguments);
  return {{"id", id},
          {"type", "function"},
          {"function",
           {{"name", name}, {"arguments", object.has_value() ? *object : Json(arguments)}}}};
}

void ReadAssistant(FieldReader& message, ReadContext& context, Json* out) {
  if (const Json* const calls = message.Take("tool_calls"); calls != nullptr) {
    if (!calls->is_array()) return message.Fail("tool_calls", "must be a list");
    if (calls->size() > kMaxTools) {
      return message.Fail("tool_calls", fmt::format("has more than {} calls", kMaxTools));
    }
    Json list = Json::array();
    for (size_t i = 0; i < calls->size() && message.ok(); ++i) {
      list.push_back(ReadToolCall((*calls)[i], fmt::format("tool_calls[{}]", i), context, message));
    }
    if (!list.empty()) (*out)["tool_calls"] = std::move(list);
  }
  std::string text;
  if (message.Text("reasoning_content", &text)) (*out)["reasoning_content"] = text;
  // Of an answer that comes back as it was given.
  if (message.Text("refusal", &text) && (*out)["content"].is_null()) (*out)["content"] = text;
  message.Take("annotations");
  message.Refuse("audio", "is not supported: the model reads text only");
  message.Refuse("function_call", "is the older form of tool_calls: send those");
  if (message.ok() && (*out)["content"].is_null() && !out->contains("tool_calls")) {
    message.Fail("content", "is missing");
  }
}

Json ReadMessage(const Json& value, size_t index, ReadContext& context, FieldReader& fields) {
  const std::string where = fmt::format("messages[{}]", index);
  if (!value.is_object()) {
    fields.Fail(where, "must be an object with a role and content");
    return {};
  }
  FieldReader message(value, where + ".");
  // What only some roles have: many clients write down all fields of their own type of message.
  for (const char* name : {"tool_calls", "tool_call_id", "reasoning_content", "refusal",
                           "annotations", "audio", "function_call"}) {
    message.SkipNull(name);
  }
  std::string role, text;
  message.Text("role", &role);
  const bool developer = role == "developer";
  if (message.ok() && !developer && role != "system" && role != "user" && role != "assistant" &&
      role != "tool") {
    message.Fail("role", "must be system, developer, user, assistant or tool");
  }
  if (developer && context.service.chat()->source.find("developer") == std::string_view::npos) {
    role = "system";
  }
  Json out{{"role", role}};
  out["content"] = ReadContent(message);
  if (message.Text("name", &text)) out["name"] = text;
  if (role == "assistant") {
    ReadAssistant(message, context, &out);
  } else if (message.ok() && out["content"].is_null()) {
    message.Fail("content", "is missing");
  }
  if (role == "tool") {
    if (message.Text("tool_call_id", &text)) {
      out["tool_call_id"] = text;
    } else if (message.ok()) {
      message.Fail("tool_call_id", "is missing: the id of the call that this answers");
    }
  }
  if (Status status = message.Finish(context.unknown()); !status) fields.Fail(status.error());
  return out;
}

void ReadMessages(FieldReader& fields, ReadContext& context, Json* variables) {
  const Json* const messages = fields.Take("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty()) {
    return fields.Fail("messages", "must be a list of at least one message");
  }
  if (messages->size() > kMaxMessages) {
    return fields.Fail("messages", fmt::format("has {} messages; send at most {}", messages->size(),
                                               kMaxMessages));
  }
  Json list = Json::array();
  for (size_t i = 0; i < messages->size() && fields.ok(); ++i) {
    list.push_back(ReadMessage((*messages)[i], i, context, fields));
  }
  (*variables)["messages"] = std::move(list);
}

bool IsToolName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

// Checked, and otherwise as they came: templates render them as JSON.
void ReadTools(FieldReader& fields, ReadContext& context, Json* variables) {
  const Json* const tools = fields.Take("tools");
  if (tools == nullptr) return;
  if (!tools->is_array() || tools->size() > kMaxTools) {
    return fields.Fail("tools", fmt::format("must be a list of at most {} tools", kMaxTools));
  }
  std::set<std::string> names;
  for (size_t i = 0; i < tools->size() && fields.ok(); ++i) {
    const Json& tool = (*tools)[i];
    const std::string where = fmt::format("tools[{}]", i);
    if (!tool.is_object() || !tool.contains("function") || !tool["function"].is_object()) {
      return fields.Fail(where, R"(must be {"type": "function", "function": {...}})");
    }
    FieldReader reader(tool, fields.Full(where) + "."),
        function(tool["function"], fields.Full(where) + ".function.");
    std::string text;
    if (!reader.Text("type", &text) || text != "function") {
      reader.Fail("type", "must be \"function\"");
    }
    reader.Take("function");
    if (!function.Text("name", &text) && function.ok()) function.Fail("name", "is missing");
    if (function.ok() && !IsToolName(text)) {
      function.Fail("name", "must be 1 to 64 letters, digits, _ or -");
    } else if (function.ok() && !names.insert(text).second) {
      function.Fail("name", "is that of another tool, too");
    }
    function.Text("description", &text);
    bool strict = false;
    function.Bool("strict", &strict);
    if (const Json* const schema = function.Take("parameters"); schema && !schema->is_object()) {
      function.Fail("parameters", "must be a JSON schema");
    }
    if (Status status = function.Finish(context.unknown()); !status) reader.Fail(status.error());
    if (Status status = reader.Finish(context.unknown()); !status) fields.Fail(status.error());
  }
  if (!tools->empty()) (*variables)["tools"] = *tools;
}

// The variables that have a field of their own, from the request or from its chat_template_kwargs:
// whichever way they come, they have passed the same checks.
void ReadRequestVariables(FieldReader& fields, ReadContext& context, Json* variables) {
  ReadTools(fields, context, variables);
  bool prompt = true;
  if (fields.Bool("add_generation_prompt", &prompt)) {
    (*variables)["add_generation_prompt"] = prompt;
  }
}

// Names that the server gives a value of its own cannot be set; the others are the template's.
void ReadTemplateKwargs(FieldReader& fields, ReadContext& context, Json* variables) {
  const Json* const value = fields.Take("chat_template_kwargs");
  if (value == nullptr) return;
  if (!value->is_object()) return fields.Fail("chat_template_kwargs", "must be an object");
  FieldReader kwargs(*value, "chat_template_kwargs.");
  for (const char* name : {"tools", "add_generation_prompt"}) {
    if (kwargs.Take(name) != nullptr && fields.Take(name) != nullptr) {
      kwargs.Fail(name, "is also a field of the request: send one of them");
    }
  }
  kwargs.Refuse("messages", "is a field of the request: send it there");
  for (const char* name : {"bos_token", "eos_token"}) {
    kwargs.Refuse(name, "is the model's own and cannot be set");
  }
  ReadRequestVariables(kwargs, context, variables);
  if (!kwargs.ok()) return fields.Fail(kwargs.error());
  for (const auto& [name, variable] : value->items()) {
    if (!kwargs.IsRead(name)) (*variables)[name] = variable;
  }
}

}  // namespace

void ReadChatVariables(FieldReader& fields, ReadContext& context, Json* variables) {
  *variables = Json::object();
  (*variables)["add_generation_prompt"] = true;
  ReadTemplateKwargs(fields, context, variables);
  ReadMessages(fields, context, variables);
  ReadRequestVariables(fields, context, variables);
  std::string effort;
  if (fields.Text("reasoning_effort", &effort)) {
    if (context.service.chat()->source.find("reasoning_effort") == std::string_view::npos) {
      fields.Fail("reasoning_effort", "is not supported: the model's chat template knows none");
    }
    (*variables)["reasoning_effort"] = effort;
  }
  fields.Refuse("chat_template", "is not taken from requests: the model's own is used");
}

}  // namespace lockstep
