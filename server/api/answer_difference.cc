// Only texts are compared: they are what an answer says, and a client's library may have written
// everything else anew, with fields of its own that are empty.
#include "server/api/answer_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

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

// What the model thought before it answered, which a message may say in several fields at once.
constexpr std::string_view kThought[] = {"reasoning_content", "reasoning", "thinking"};
// The types of elements of a list that hold such thoughts.
constexpr std::string_view kThoughtTypes[] = {"thinking", "redacted_thinking", "reasoning"};

bool IsPassedOver(std::string_view key) {
  return std::ranges::find(kPassedOver, key) != std::end(kPassedOver);
}

const Json* FieldOf(const Json* json, std::string_view key) {
  if (json == nullptr || !json->is_object()) return nullptr;
  const auto found = json->find(key);
  return found == json->end() || found->is_null() ? nullptr : &*found;
}

const Json* ThoughtOf(const Json* json, std::string_view* key = nullptr) {
  for (const std::string_view name : kThought) {
    const Json* const thought = FieldOf(json, name);
    if (thought == nullptr || !thought->is_string() || *thought == "") continue;
    if (key != nullptr) *key = name;
    return thought;
  }
  return nullptr;
}

bool IsThought(const Json& element) {
  const Json* const type = FieldOf(&element, "type");
  return type != nullptr && type->is_string() &&
         std::ranges::find(kThoughtTypes, type->get_ref<const std::string&>()) !=
             std::end(kThoughtTypes);
}

std::string TextOf(const Json* json) {
  if (json == nullptr || json->is_null()) return {};
  return json->is_string() ? json->get<std::string>() : Dump(*json);
}

std::string Place(const std::string& where, std::string_view key) {
  return where.empty() ? std::string(key) : fmt::format("{}.{}", where, key);
}

class Comparison {
 public:
  // `made` is null where there is nothing. Nesting is bounded by kMaxJsonDepth.
  std::optional<AnswerDifference> Compare(const Json& given,  // NOLINT(misc-no-recursion)
                                          const Json* made, const std::string& where) {
    if (given.is_string()) {
      if (made != nullptr && given == *made) return std::nullopt;
      if (made == nullptr && given.get_ref<const std::string&>().empty()) return std::nullopt;
      return AnswerDifference{where, TextOf(&given), TextOf(made)};
    }
    if (given.is_array()) return CompareLists(given, made, where);
    if (given.is_object()) return CompareObjects(given, made, where);
    return std::nullopt;
  }
  std::vector<std::string> TakeLeftOut() { return std::move(left_out_); }

 private:
  std::optional<AnswerDifference> CompareLists(const Json& given,  // NOLINT(misc-no-recursion)
                                               const Json* made, const std::string& where) {
    const size_t there = made != nullptr && made->is_array() ? made->size() : 0;
    size_t next = 0;
    const auto pass_thoughts = [&] {
      for (; next < there && IsThought((*made)[next]); ++next) {
        left_out_.push_back(fmt::format("{}[{}]", where, next));
      }
    };
    for (size_t i = 0; i < given.size(); ++i) {
      if (!IsThought(given[i])) pass_thoughts();
      const Json* const other = next < there ? &(*made)[next++] : nullptr;
      if (auto found = Compare(given[i], other, fmt::format("{}[{}]", where, i))) return found;
    }
    pass_thoughts();
    if (next == there) return std::nullopt;
    return AnswerDifference{fmt::format("{}[{}]", where, next), {}, TextOf(&(*made)[next])};
  }

  std::optional<AnswerDifference> CompareObjects(const Json& given,  // NOLINT(misc-no-recursion)
                                                 const Json* made, const std::string& where) {
    std::string_view thought;
    if (ThoughtOf(made, &thought) != nullptr && ThoughtOf(&given) == nullptr) {
      left_out_.push_back(Place(where, thought));
    }
    for (const auto& [key, value] : given.items()) {
      if (IsPassedOver(key)) continue;
      // A client may have emptied a thought instead of leaving it out.
      if (value == "" && std::ranges::find(kThought, key) != std::end(kThought)) continue;
      if (auto found = Compare(value, FieldOf(made, key), Place(where, key))) return found;
    }
    for (const std::string_view key : kSaid) {
      const Json* const said = FieldOf(made, key);
      if (said == nullptr || said->empty() || *said == "") continue;
      const Json* const there = FieldOf(&given, key);
      if (there != nullptr && there->type() == said->type()) continue;
      return AnswerDifference{Place(where, key), TextOf(there), TextOf(said)};
    }
    return std::nullopt;
  }

  std::vector<std::string> left_out_;
};

}  // namespace

AnswerComparison CompareAnswers(const Json& given, const Json& made) {
  Comparison comparison;
  AnswerComparison result;
  result.difference = comparison.Compare(given, &made, {});
  result.left_out = comparison.TakeLeftOut();
  return result;
}

}  // namespace lockstep
