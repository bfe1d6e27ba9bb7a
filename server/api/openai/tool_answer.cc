// A message and its stream are made of the same pieces, so that what clients put together of the
// deltas is the message.
#include "server/api/openai/tool_answer.h"

#include <algorithm>
#include <utility>

namespace lockstep {

namespace {

// The size of the escape sequence that begins a text, of both halves where it is a surrogate's.
size_t EscapeSize(std::string_view text) {
  if (!text.starts_with("\\u")) return 2;
  constexpr std::string_view kFirst = "dD", kHigh = "89abAB";
  const bool high =
      text.size() > 3 && kFirst.find(text[2]) != kFirst.npos && kHigh.find(text[3]) != kHigh.npos;
  return high ? 12 : 6;
}

// The string of {"input": "...", whose end may be missing: as much of it as is there, but for an
// escape sequence that is cut.
std::string CutInput(std::string_view arguments) {
  for (const std::string_view part : {"{", "\"input\"", ":", "\""}) {
    arguments.remove_prefix(std::min(arguments.find_first_not_of(" \t\r\n"), arguments.size()));
    if (!arguments.starts_with(part)) return {};
    arguments.remove_prefix(part.size());
  }
  size_t end = 0;
  while (end < arguments.size() && arguments[end] != '"') {
    const size_t size = arguments[end] == '\\' ? EscapeSize(arguments.substr(end)) : 1;
    if (end + size > arguments.size()) break;
    end += size;
  }
  const auto object =
      ParseStrictObject("{\"input\":\"" + std::string(arguments.substr(0, end)) + "\"}");
  return object ? (*object)["input"].get<std::string>() : std::string();
}

}  // namespace

std::string CustomInput(const std::string& arguments) {
  const auto object = ParseStrictObject(arguments);
  if (!object) return CutInput(arguments);
  const auto input = object->find("input");
  return input != object->end() && input->is_string() ? input->get<std::string>() : arguments;
}

namespace {

using Kind = ChatPiece::Kind;

// One entry of "tool_calls".
Json CallJson(const ToolForm& form, const ChatCall& call) {
  Json json{{"id", call.id}};
  if (form.custom.contains(call.name)) {
    json["type"] = "custom";
    json["custom"] = {{"name", call.name}, {"input", CustomInput(call.arguments)}};
  } else {
    json["type"] = "function";
    json["function"] = {{"name", call.name}, {"arguments", call.arguments}};
  }
  return json;
}

}  // namespace

Json MessageJson(const ToolForm& form, const ChatAnswer& answer) {
  const bool calls = !answer.calls.empty();
  // A message of calls alone has null for its content, as OpenAI's has; an empty answer has an
  // empty text.
  Json message{{"role", "assistant"},
               {"content", answer.text.empty() && calls ? Json(nullptr) : Json(answer.text)},
               {"refusal", nullptr}};
  // Clients read one of the two names; those that know both take the first.
  if (!answer.reasoning.empty() && !form.hides_thoughts) {
    message["reasoning_content"] = answer.reasoning;
    message["reasoning"] = answer.reasoning;
  }
  if (!calls) return message;
  // The older form has one call a message; the grammar allows no second one.
  if (form.legacy) {
    const ChatCall& call = answer.calls[0];
    message["function_call"] = {{"name", call.name}, {"arguments", call.arguments}};
    return message;
  }
  Json list = Json::array();
  for (const ChatCall& call : answer.calls) list.push_back(CallJson(form, call));
  message["tool_calls"] = std::move(list);
  return message;
}

std::vector<Json> ChatDeltas::Of(const std::vector<ChatPiece>& pieces) {
  std::vector<Json> deltas;
  for (const ChatPiece& piece : pieces) {
    if (piece.kind == Kind::kText) {
      deltas.push_back({{"content", piece.text}});
    } else if (piece.kind == Kind::kReasoning && form_.hides_thoughts) {
      deltas.push_back({{"content", ""}});  // a sign of life
    } else if (piece.kind == Kind::kReasoning) {
      deltas.push_back({{"reasoning_content", piece.text}, {"reasoning", piece.text}});
    } else {
      AddCall(piece, &deltas);
    }
  }
  return deltas;
}

// A custom call's input is a string inside of its arguments, so that it can be unescaped only when
// they are whole; functions' arguments are passed on as they come.
void ChatDeltas::AddCall(const ChatPiece& piece, std::vector<Json>* deltas) {
  const bool begins = piece.kind == Kind::kCallBegin;
  if (begins && form_.custom.contains(piece.name)) {
    custom_call_ = piece.call;
    custom_ = {piece.id, piece.name, {}, false};
    return;
  }
  if (!custom_.name.empty()) {
    custom_.arguments += piece.text;
    if (piece.kind == Kind::kCallEnd) EndCustomCall(deltas);
    return;
  }
  if (piece.kind == Kind::kCallEnd) return;
  Json function = Json::object();
  if (begins) function["name"] = piece.name;
  function["arguments"] = piece.text;
  if (form_.legacy) {
    deltas->push_back({{"function_call", std::move(function)}});
    return;
  }
  Json call{{"index", piece.call}};
  if (begins) {
    // Clients take a delta with an id for the beginning of a call, and add all others of its index
    // to it.
    call["id"] = piece.id;
    call["type"] = "function";
  }
  call["function"] = std::move(function);
  deltas->push_back({{"tool_calls", Json::array({std::move(call)})}});
}

std::vector<Json> ChatDeltas::Finish() {
  std::vector<Json> deltas;
  EndCustomCall(&deltas);
  return deltas;
}

void ChatDeltas::EndCustomCall(std::vector<Json>* deltas) {
  if (custom_.name.empty()) return;
  Json call{{"index", custom_call_}};
  call.update(CallJson(form_, custom_));
  deltas->push_back({{"tool_calls", Json::array({std::move(call)})}});
  custom_ = {};
}

}  // namespace lockstep
