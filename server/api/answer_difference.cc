// Only texts are compared: they are what an answer says, and a client's library may have written
// everything else anew, with fields of its own that are empty.
#include "server/api/answer_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace lockstep {
namespace {

constexpr std::string_view kPassedOver[] = {
    "id",         "call_id",   "tool_call_id", "item_id",           "object",     "model",
    "created_at", "signature", "data",         "encrypted_content", "usage",      "timings",
    "receipt",    "seed",      "logprobs",     "service_tier",      "metadata",   "instructions",
    "tools",      "prompt",    "user",         "request_id",        "_request_id"};

// What an answer says stands here, in one dialect or another, and must not be left out.
constexpr std::string_view kSaid[] = {
    "choices",   "message",  "content",  "text",    "output",     "name",          "input",
    "arguments", "response", "function", "refusal", "tool_calls", "generated_text"};

bool IsPassedOver(std::string_view key) {
  return std::ranges::find(kPassedOver, key) != std::end(kPassedOver);
}

const Json* FieldOf(const Json* json, std::string_view key) {
  if (json == nullptr || !json->is_object()) return nullptr;
  const auto found = json->find(key);
  return found == json->end() || found->is_null() ? nullptr : &*found;
}

std::string TextOf(const Json* json) {
  if (json == nullptr || json->is_null()) return {};
  return json->is_string() ? json->get<std::string>() : Dump(*json);
}

std::string Place(const std::string& where, std::string_view key) {
  return where.empty() ? std::string(key) : fmt::format("{}.{}", where, key);
}

// `made` is null where there is nothing. Nesting is bounded by kMaxJsonDepth.
std::optional<AnswerDifference> Compare(const Json& given,
                                        const Json* made,  // NOLINT(misc-no-recursion)
                                        const std::string& where) {
  if (given.is_string()) {
    if (made != nullptr && given == *made) return std::nullopt;
    if (made == nullptr && given.get_ref<const std::string&>().empty()) return std::nullopt;
    return AnswerDifference{where, TextOf(&given), TextOf(made)};
  }
  if (given.is_array()) {
    const size_t there = made != nullptr && made->is_array() ? made->size() : 0;
    for (size_t i = 0; i < given.size(); ++i) {
      const Json* const other = i < there ? &(*made)[i] : nullptr;
      if (auto found = Compare(given[i], other, fmt::format("{}[{}]", where, i))) return found;
    }
    if (there > given.size()) {
      return AnswerDifference{
          fmt::format("{}[{}]", where, given.size()), {}, TextOf(&(*made)[given.size()])};
    }
  }
  if (given.is_object()) {
    for (const auto& [key, value] : given.items()) {
      if (IsPassedOver(key)) continue;
      if (auto found = Compare(value, FieldOf(made, key), Place(where, key))) return found;
    }
    for (const std::string_view key : kSaid) {
      const Json* const said = FieldOf(made, key);
      if (said == nullptr || said->empty() || *said == "") continue;
      const Json* const there = FieldOf(&given, key);
      if (there != nullptr && there->type() == said->type()) continue;
      return AnswerDifference{Place(where, key), TextOf(there), TextOf(said)};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<AnswerDifference> FirstDifference(const Json& given, const Json& made) {
  return Compare(given, &made, {});
}

}  // namespace lockstep
