// Ollama's clients are written in Go's terms: a time is RFC 3339, a duration counts nanoseconds, a
// model without a tag is its latest.
#include "server/api/ollama/ollama_common.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cmath>
#include <variant>

namespace lockstep {

std::string TaggedName(std::string_view name) {
  const bool tagged = name.find(':', name.rfind('/') + 1) != name.npos;
  return std::string(name) + (tagged ? "" : ":latest");
}

std::string Rfc3339(std::chrono::system_clock::time_point time) {
  using std::chrono::nanoseconds;
  constexpr int64_t kSecond = 1'000'000'000;
  const int64_t ns = std::chrono::duration_cast<nanoseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = ns / kSecond;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z", fmt::gmtime(seconds), ns % kSecond);
}

std::string HumanCount(uint64_t count) {
  const auto number = static_cast<double>(count);
  if (count >= 1'000'000'000) {
    const double billions = number / 1e9;
    return fmt::format("{:.{}f}B", billions, billions == std::floor(billions) ? 0 : 1);
  }
  if (count >= 1'000'000) {
    const double millions = number / 1e6;
    return fmt::format("{:.{}f}M", millions, millions == std::floor(millions) ? 0 : 2);
  }
  return count >= 1'000 ? fmt::format("{:.0f}K", number / 1e3) : fmt::format("{}", count);
}

Json ModelDetailsJson(const ModelCard& card) {
  return {{"parent_model", ""},
          {"format", "gguf"},
          {"family", card.architecture},
          {"families", Json::array({card.architecture})},
          {"parameter_size", HumanCount(card.parameters)},
          {"quantization_level", card.quantization}};
}

std::string CardText(const ModelCard& card, std::string_view wanted) {
  for (const auto& [key, value] : card.metadata) {
    const auto* const text = std::get_if<std::string>(&value);
    if (key == wanted && text != nullptr) return *text;
  }
  return {};
}

Json ModelInfoJson(const ModelCard& card, size_t context) {
  Json info = Json::object();
  for (const auto& [key, value] : card.metadata) {
    info[key] = std::visit([](const auto& held) { return Json(held); }, value);
  }
  info.erase("general.name");
  info["general.architecture"] = card.architecture;
  info["general.parameter_count"] = card.parameters;
  info[card.architecture + ".context_length"] = context;
  info[card.architecture + ".embedding_length"] = card.dim;
  return info;
}

Json CapabilitiesJson(const GenerationService& service, bool generic_tools) {
  Json capabilities = Json::array({"completion"});
  if (service.model().fill.can_fill()) capabilities.push_back("insert");
  if (!service.chat()) return capabilities;
  const AnswerForms& forms = service.chat()->forms;
  if (forms.calls || generic_tools) capabilities.push_back("tools");
  if (forms.thought_shown) capabilities.push_back("thinking");
  return capabilities;
}

}  // namespace lockstep
