// A conversation is JSON until here, because that is how it comes and because templates print parts
// of it as JSON; what is rendered are the template's own values.
#include "server/generation/chat_prompt.h"

#include <fmt/chrono.h>

#include <ctime>
#include <utility>

namespace lockstep {
namespace {

// Every text is from outside. REQUIRES: no deeper than ParseStrictObject allows.
TemplateValue FromJson(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return TemplateValue::Bool(json.get<bool>());
    case Json::value_t::number_integer:
      return TemplateValue::Int(json.get<int64_t>());
    // What int64 does not hold becomes an integer of any size, which templates print in all its
    // digits. json_text.h keeps those beyond uint64 as binary values.
    case Json::value_t::number_unsigned:
      return TemplateValue::Integer(std::to_string(json.get<uint64_t>()));
    case Json::value_t::binary:
      return TemplateValue::Integer(BigIntegerDigits(json));
    case Json::value_t::number_float:
      return TemplateValue::Float(json.get<double>());
    case Json::value_t::string:
      return TemplateValue::String(json.get<std::string>());
    case Json::value_t::array: {
      std::vector<TemplateValue> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(FromJson(item));
      return TemplateValue::List(std::move(items));
    }
    case Json::value_t::object: {
      std::vector<std::pair<std::string, TemplateValue>> entries;
      entries.reserve(json.size());
      for (const auto& [key, value] : json.items()) entries.emplace_back(key, FromJson(value));
      return TemplateValue::Dict(std::move(entries));
    }
    default:
      return TemplateValue::Null();
  }
}

Result<TrustedText> Render(const ChatModel& chat, const Json& variables,
                           const TemplateLimits& limits) {
  std::vector<std::pair<std::string, TemplateValue>> entries;
  for (const auto& [key, value] : variables.items()) entries.emplace_back(key, FromJson(value));
  // SmolLM3's name for tools.
  constexpr char kXmlTools[] = "xml_tools";
  if (variables.contains("tools") && !variables.contains(kXmlTools) &&
      chat.source.find(kXmlTools) != std::string::npos) {
    entries.emplace_back(kXmlTools, FromJson(variables["tools"]));
  }
  entries.emplace_back("bos_token", TemplateValue::TrustedString(chat.bos));
  entries.emplace_back("eos_token", TemplateValue::TrustedString(chat.eos));
  return chat.chat_template.Render(TemplateValue::Dict(std::move(entries)), limits);
}

// Empty texts in the place of null; false where there is none.
bool FillNullContents(Json* variables) {
  bool any = false;
  const auto messages = variables->find("messages");
  if (messages == variables->end()) return false;
  for (Json& message : *messages) {
    const auto content = message.find("content");
    if (content == message.end() || !content->is_null()) continue;
    *content = "";
    any = true;
  }
  return any;
}

// What templates of an older convention ask for, firefunction's: tools as a text, and the date.
bool AddOlderNames(const ChatModel& chat, Json* variables) {
  const auto tools = variables->find("tools");
  const Json list = tools == variables->end() ? Json::array() : *tools;
  bool any = false;
  const auto add = [&](const char* name, Json value) {
    if (variables->contains(name) || chat.source.find(name) == std::string::npos) return;
    (*variables)[name] = std::move(value);
    any = true;
  };
  add("functions", Dump(list));
  add("datetime", fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr))));
  return any;
}

}  // namespace

Result<TrustedText> RenderChat(const ChatModel& chat, const Json& variables,
                               const TemplateLimits& limits) {
  auto prompt = Render(chat, variables, limits);
  if (!prompt) {
    Json filled = variables;
    if (FillNullContents(&filled)) prompt = Render(chat, filled, limits);
  }
  if (!prompt) {
    Json named = variables;
    if (AddOlderNames(chat, &named)) {
      if (auto older = Render(chat, named, limits)) return older;
    }
    prompt.error().param = "messages";
  }
  return prompt;
}

}  // namespace lockstep
