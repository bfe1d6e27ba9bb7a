#include "server/chat_prompt.h"

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
    case Json::value_t::number_unsigned:
      if (json.get<uint64_t>() <= INT64_MAX) return TemplateValue::Int(json.get<int64_t>());
      [[fallthrough]];
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

}  // namespace

Result<std::vector<PromptPart>> RenderChat(const GenerationService& service,
                                           const Json& variables) {
  const Result<ChatModel>& chat = service.chat();
  if (!chat) return tl::unexpected(chat.error());
  std::vector<std::pair<std::string, TemplateValue>> entries;
  for (const auto& [key, value] : variables.items()) entries.emplace_back(key, FromJson(value));
  entries.emplace_back("bos_token", TemplateValue::TrustedString(chat->bos));
  entries.emplace_back("eos_token", TemplateValue::TrustedString(chat->eos));
  auto parts = chat->chat_template.Render(TemplateValue::Dict(std::move(entries)));
  if (!parts) {
    Error error = std::move(parts.error());
    error.param = "messages";
    return tl::unexpected(std::move(error));
  }
  return parts;
}

std::string TextOf(const std::vector<PromptPart>& parts) {
  std::string text;
  for (const PromptPart& part : parts) text += part.text;
  return text;
}

}  // namespace lockstep
