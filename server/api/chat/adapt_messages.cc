// Clients send system messages wherever they like, and templates of many models allow one at the
// beginning or none; what is meant is the same, so that it is moved and not refused.
#include "server/api/chat/adapt_messages.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>

namespace lockstep {
namespace {

std::string TextOf(const Json& message) {
  const auto content = message.find("content");
  return content != message.end() && content->is_string() ? content->get<std::string>() : "";
}

// JSON spaced as by Python's json.dumps and the templates' tojson: models learn to write it so.
std::string Spaced(const Json& json) {
  if (!json.is_structured()) return Dump(json);
  std::string text;
  for (const auto& [key, value] : json.items()) {
    text += text.empty() ? "" : ", ";
    text += (json.is_object() ? DumpString(key) + ": " : "") + Spaced(value);
  }
  return json.is_object() ? "{" + text + "}" : "[" + text + "]";
}

// REQUIRES: arguments in JSON or as Python has them.
std::string ArgumentsText(const CallForm& form, const Json& arguments) {
  if (arguments.is_string()) return arguments.get<std::string>();
  if (form.arguments != CallForm::Arguments::kPythonic) return Spaced(arguments);
  std::string text;
  for (const auto& [key, value] : arguments.items()) {
    text += (text.empty() ? "" : ", ") + key + "=" + Spaced(value);
  }
  return text;
}

bool IsSystem(const Json& message) {
  return message["role"] == "system" || message["role"] == "developer";
}

std::string Joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + "\n\n" + b;
}

// Takes the system messages out, and returns their texts as one.
std::string TakeSystem(Json* messages) {
  std::string text;
  Json others = Json::array();
  for (Json& message : *messages) {
    if (IsSystem(message)) {
      text = Joined(text, TextOf(message));
    } else {
      others.push_back(std::move(message));
    }
  }
  *messages = std::move(others);
  return text;
}

void PutFirst(Json message, Json* messages) {
  messages->insert(messages->begin(), std::move(message));
}

// A call's id says which function it is of, and how many calls there were before.
void NameIds(Json* messages) {
  std::map<std::string, std::string> ids;
  size_t calls = 0;
  for (Json& message : *messages) {
    if (message.contains("tool_call_id")) {
      const auto known = ids.find(message["tool_call_id"].get<std::string>());
      if (known != ids.end()) message["tool_call_id"] = known->second;
    }
    if (!message.contains("tool_calls")) continue;
    for (Json& call : message["tool_calls"]) {
      const std::string id =
          fmt::format("functions.{}:{}", call["function"]["name"].get<std::string>(), calls++);
      ids[call.value("id", std::string())] = id;
      call["id"] = id;
    }
  }
}

// REQUIRES: no deeper than ParseStrictObject allows.
void SimplifyTypesIn(Json* schema) {
  if (schema->is_object() && schema->contains("type") && (*schema)["type"].is_array()) {
    Json one = "string";
    for (const Json& type : Json((*schema)["type"])) {
      if (!type.is_string() || type == "null") continue;
      one = type;
      break;
    }
    (*schema)["type"] = one;
  }
  for (Json& inner : *schema) {
    if (inner.is_structured()) SimplifyTypesIn(&inner);
  }
}

}  // namespace

void AdaptFields(const MessageWishes& wishes, Json* messages) {
  if (wishes.ids_of_names) NameIds(messages);
  for (Json& message : *messages) {
    if (!wishes.developer && message["role"] == "developer") message["role"] = "system";
    if (wishes.thinking && message.contains("reasoning_content")) {
      message["thinking"] = message["reasoning_content"];
    }
    if (!message.contains("tool_calls")) continue;
    if (wishes.null_content && message["content"] == "") message["content"] = nullptr;
    if (!wishes.arguments_as_text) continue;
    for (Json& call : message["tool_calls"]) {
      Json& arguments = call["function"]["arguments"];
      if (!arguments.is_string()) arguments = Spaced(arguments);
    }
  }
}

bool CompleteFunctions(Json* tools) {
  const Json before = *tools;
  for (Json& tool : *tools) {
    Json& function = tool["function"];
    function.emplace("description", "");
    function.emplace("parameters", Json::object());
    Json& parameters = function["parameters"];
    if (!parameters.contains("properties")) {
      parameters["type"] = "object";
      parameters["properties"] = Json::object();
    }
  }
  return *tools != before;
}

bool SimplifyTypes(Json* tools) {
  const Json before = *tools;
  for (Json& tool : *tools) {
    Json& function = tool["function"];
    if (function.contains("parameters")) SimplifyTypesIn(&function["parameters"]);
  }
  return *tools != before;
}

bool ShortenIds(Json* messages) {
  const Json before = *messages;
  std::map<std::string, std::string> ids;
  const auto shorten = [&ids](Json& id) {
    if (!id.is_string()) return;
    const auto known = ids.try_emplace(id.get<std::string>(), fmt::format("call{:05}", ids.size()));
    id = known.first->second;
  };
  for (Json& message : *messages) {
    if (message.contains("tool_call_id")) shorten(message["tool_call_id"]);
    if (!message.contains("tool_calls")) continue;
    for (Json& call : message["tool_calls"]) shorten(call["id"]);
  }
  return *messages != before;
}

bool MergeSystem(Json* messages) {
  size_t count = 0;
  for (const Json& message : *messages) count += IsSystem(message) ? 1 : 0;
  if (count == 0 || (count == 1 && IsSystem((*messages)[0]))) return false;
  const std::string text = TakeSystem(messages);
  PutFirst({{"role", "system"}, {"content", text}}, messages);
  return true;
}

bool MergeTurns(Json* messages) {
  const Json before = *messages;
  const std::string system = TakeSystem(messages);
  if (messages->empty() || (*messages)[0]["role"] != "user") {
    PutFirst({{"role", "user"}, {"content", ""}}, messages);
  }
  if (!system.empty()) {
    Json& first = (*messages)[0];
    first["content"] = Joined(system, TextOf(first));
  }
  Json merged = Json::array();
  for (Json& message : *messages) {
    const bool plain = !message.contains("tool_calls") && message["role"] != "tool";
    if (!merged.empty() && plain && merged.back()["role"] == message["role"] &&
        !merged.back().contains("tool_calls")) {
      merged.back()["content"] = Joined(TextOf(merged.back()), TextOf(message));
    } else {
      merged.push_back(std::move(message));
    }
  }
  *messages = std::move(merged);
  return *messages != before;
}

bool CallsAsText(const CallForm& form, Json* messages) {
  bool any = false;
  for (Json& message : *messages) {
    if (!message.contains("tool_calls")) continue;
    any = true;
    std::string text = TextOf(message);
    text += (text.empty() ? "" : "\n") + form.opens;
    bool first = true;
    for (const Json& call : message["tool_calls"]) {
      const Json& function = call["function"];
      text += (first ? "" : form.between) + form.before_name + function["name"].get<std::string>() +
              form.after_name + ArgumentsText(form, function["arguments"]) + form.after;
      first = false;
    }
    message["content"] = text + form.closes;
    message.erase("tool_calls");
  }
  return any;
}

bool ToolsAsText(Json* messages) {
  bool any = CallsAsText(HermesForm(), messages);
  for (Json& message : *messages) {
    if (message["role"] != "tool") continue;
    any = true;
    message = {{"role", "user"},
               {"content", "<tool_response>\n" + TextOf(message) + "\n</tool_response>"}};
  }
  return any;
}

void DescribeTools(const Json& tools, Json* messages) {
  std::string text = "You may call these tools:\n<tools>\n";
  for (const Json& tool : tools) text += Spaced(tool["function"]) + "\n";
  text +=
      "</tools>\nTo call one, write nothing but this, with its name and its arguments as JSON:\n"
      "<tool_call>\n{\"name\": \"NAME\", \"arguments\": {...}}\n</tool_call>\n"
      "The result comes in <tool_response></tool_response>.";
  if (messages->empty() || !IsSystem((*messages)[0])) {
    PutFirst({{"role", "system"}, {"content", text}}, messages);
    return;
  }
  Json& first = (*messages)[0];
  first["content"] = Joined(TextOf(first), text);
}

}  // namespace lockstep
