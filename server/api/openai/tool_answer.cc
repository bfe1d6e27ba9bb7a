// Whole answers and streams go through the same reader, so that the pieces of a stream add up to
// the whole answer.
#include "server/api/openai/tool_answer.h"

#include <utility>

namespace lockstep {
namespace {

// The text of a custom call's one argument; the arguments themselves where they are cut.
std::string InputOf(const std::string& arguments) {
  const auto object = ParseStrictObject(arguments);
  const bool whole = object.has_value() && object->contains("input");
  return whole && (*object)["input"].is_string() ? (*object)["input"].get<std::string>()
                                                 : arguments;
}

// Makes one entry of "tool_calls", with a new id.
Json CallJson(const ToolForm& form, const std::string& name, const std::string& arguments) {
  Json call{{"id", NewToolCallId(form.style)}};
  if (form.custom.contains(name)) {
    call["type"] = "custom";
    call["custom"] = {{"name", name}, {"input", InputOf(arguments)}};
  } else {
    call["type"] = "function";
    call["function"] = {{"name", name}, {"arguments", arguments}};
  }
  return call;
}

}  // namespace

Json WithToolCalls(Json message, const ToolForm& form, std::string_view text) {
  ToolCallReader reader(form.style);
  std::string content;
  std::vector<std::pair<std::string, std::string>> calls;  // name and arguments
  std::vector<ToolDelta> pieces = reader.Push(text);
  for (ToolDelta& piece : reader.Finish()) pieces.push_back(std::move(piece));
  for (const ToolDelta& piece : pieces) {
    content += piece.content;
    if (piece.name) calls.emplace_back(*piece.name, "");
    if (piece.call) calls[*piece.call].second += piece.arguments;
  }
  // A message of calls alone has null for its content, as OpenAI's has; an empty answer has an
  // empty text.
  message["content"] = content.empty() && !calls.empty() ? Json(nullptr) : Json(content);
  if (calls.empty()) return message;
  // The older form has one call a message; the grammar allows no second one.
  if (form.legacy) {
    message["function_call"] = {{"name", calls[0].first}, {"arguments", calls[0].second}};
    return message;
  }
  Json list = Json::array();
  for (const auto& [name, arguments] : calls) list.push_back(CallJson(form, name, arguments));
  message["tool_calls"] = std::move(list);
  return message;
}

bool HasToolCalls(const ToolForm& form, std::string_view text) {
  ToolCallReader reader(form.style);
  reader.Push(text);
  return reader.calls() > 0;
}

// A custom call's input is a string inside of its arguments, so that it can be unescaped only when
// they are whole; functions' arguments are passed on as they come.
std::vector<Json> ToolAnswer::Deltas(const std::vector<ToolDelta>& pieces, bool last) {
  std::vector<Json> deltas;
  for (const ToolDelta& piece : pieces) {
    if (!piece.call) {
      deltas.push_back({{"content", piece.content}});
      continue;
    }
    if (piece.name) {
      EndCustomCall(&deltas);
      custom_call_ = *piece.call;
      if (form_.custom.contains(*piece.name)) custom_name_ = *piece.name;
    }
    if (!custom_name_.empty()) {
      custom_arguments_ += piece.arguments;
      continue;
    }
    Json function = Json::object();
    if (piece.name) function["name"] = *piece.name;
    function["arguments"] = piece.arguments;
    if (form_.legacy) {
      deltas.push_back({{"function_call", std::move(function)}});
      continue;
    }
    Json call{{"index", *piece.call}};
    if (piece.name) {
      // Clients take a delta with an id for the beginning of a call, and add all others of its
      // index to it.
      call["id"] = NewToolCallId(form_.style);
      call["type"] = "function";
    }
    call["function"] = std::move(function);
    deltas.push_back({{"tool_calls", Json::array({std::move(call)})}});
  }
  if (last) EndCustomCall(&deltas);
  return deltas;
}

void ToolAnswer::EndCustomCall(std::vector<Json>* deltas) {
  if (custom_name_.empty()) return;
  Json call{{"index", custom_call_}};
  call.update(CallJson(form_, custom_name_, custom_arguments_));
  deltas->push_back({{"tool_calls", Json::array({std::move(call)})}});
  custom_name_.clear();
  custom_arguments_.clear();
}

}  // namespace lockstep
