// Template variables from JSON, for tests and the programs beside them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/jinja/chat_template.h"

namespace lockstep {

inline TemplateValue ValueFromJson(const nlohmann::ordered_json& json) {
  if (json.is_null()) return TemplateValue::Null();
  if (json.is_boolean()) return TemplateValue::Bool(json.get<bool>());
  if (json.is_number_integer()) return TemplateValue::Integer(json.dump());
  // How the server keeps an integer that the library has no number for.
  if (json.is_binary()) {
    return TemplateValue::Integer(std::string(json.get_binary().begin(), json.get_binary().end()));
  }
  if (json.is_number()) return TemplateValue::Float(json.get<double>());
  if (json.is_string()) return TemplateValue::String(json.get<std::string>());
  if (json.is_array()) {
    std::vector<TemplateValue> items;
    for (const auto& item : json) items.push_back(ValueFromJson(item));
    return TemplateValue::List(std::move(items));
  }
  std::vector<std::pair<std::string, TemplateValue>> entries;
  for (const auto& [key, value] : json.items()) entries.emplace_back(key, ValueFromJson(value));
  return TemplateValue::Dict(std::move(entries));
}

// The same, with bos_token and eos_token trusted.
inline TemplateValue VariablesFromJson(const nlohmann::ordered_json& json) {
  std::vector<std::pair<std::string, TemplateValue>> entries;
  for (const auto& [key, value] : json.items()) {
    const bool token = key.ends_with("_token") && value.is_string();
    entries.emplace_back(
        key, token ? TemplateValue::TrustedString(value.get<std::string>()) : ValueFromJson(value));
  }
  return TemplateValue::Dict(std::move(entries));
}

}  // namespace lockstep
