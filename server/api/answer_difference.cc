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

bool IsPassedOver(std::string_view key) {
  return std::ranges::find(kPassedOver, key) != std::end(kPassedOver);
}

std::string TextOf(const Json* json) {
  if (json == nullptr || json->is_null()) return {};
  return json->is_string() ? json->get<std::string>() : Dump(*json);
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
      const bool has = made != nullptr && made->is_object() && made->contains(key);
      const std::string name = where.empty() ? key : fmt::format("{}.{}", where, key);
      if (auto found = Compare(value, has ? &(*made)[key] : nullptr, name)) return found;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<AnswerDifference> FirstDifference(const Json& given, const Json& made) {
  return Compare(given, &made, {});
}

}  // namespace lockstep
