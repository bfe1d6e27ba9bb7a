// Texts are compared, which are what an answer says, and where tokens and their chances stand the
// numbers too; a client's library may have written everything else anew, with fields of its own
// that are empty.
#include "server/api/answer_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

namespace lockstep {
namespace {

constexpr std::string_view kPassedOver[] = {
    "id",         "call_id",    "tool_call_id", "item_id",           "object",       "model",
    "created_at", "signature",  "data",         "encrypted_content", "usage",        "timings",
    "receipt",    "user",       "service_tier", "metadata",          "instructions", "tools",
    "prompt",     "request_id", "_request_id"};

// Tokens, how likely they were and by which seed, where nothing is passed over: the model gives the
// same bits each time.
constexpr std::string_view kExact[] = {
    "logprobs", "prompt_logprobs", "completion_probabilities", "tokens",     "token_ids",
    "context",  "prefill",         "prompt_token_ids",         "top_tokens", "logprob",
    "seed"};

// What a tool is called with: of it nothing may be otherwise, left out or added.
constexpr std::string_view kArguments[] = {"input", "arguments"};

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

bool IsExact(std::string_view key) { return std::ranges::find(kExact, key) != std::end(kExact); }

// A client may have read the number as a float, or as a double that names the same float.
bool SameNumber(const Json& a, const Json& b) {
  if (a == b) return true;
  if (!a.is_number_float() && !b.is_number_float()) return false;
  const auto x = a.get<double>(), y = b.get<double>();
  constexpr double kMost = std::numeric_limits<float>::max();
  if (std::abs(x) > kMost || std::abs(y) > kMost) return false;
  return static_cast<float>(x) == static_cast<float>(y);
}

bool IsArguments(std::string_view key) {
  return std::ranges::find(kArguments, key) != std::end(kArguments);
}

std::string Place(const std::string& where, std::string_view key) {
  return where.empty() ? std::string(key) : fmt::format("{}.{}", where, key);
}

// Of two values of which everything counts. Nesting is bounded by kMaxJsonDepth.
std::optional<AnswerDifference> CompareWhole(const Json& given,  // NOLINT(misc-no-recursion)
                                             const Json& made, const std::string& where) {
  if (given.is_object() && made.is_object()) {
    for (const auto& [key, value] : made.items()) {
      const std::string here = Place(where, key);
      if (!given.contains(key)) return AnswerDifference{here, {}, Dump(value), true};
      if (auto found = CompareWhole(given[key], value, here)) return found;
    }
    for (const auto& [key, value] : given.items()) {
      if (made.contains(key)) continue;
      return AnswerDifference{Place(where, key), Dump(value), {}, true};
    }
    return std::nullopt;
  }
  if (given.is_array() && made.is_array() && given.size() == made.size()) {
    for (size_t i = 0; i < given.size(); ++i) {
      if (auto found = CompareWhole(given[i], made[i], fmt::format("{}[{}]", where, i))) {
        return found;
      }
    }
    return std::nullopt;
  }
  if (given == made) return std::nullopt;
  if (given.is_string() && made.is_string()) return AnswerDifference{where, given, made};
  return AnswerDifference{where, Dump(given), Dump(made), true};
}

class Comparison {
 public:
  // `made` is null where there is nothing. `exact`: numbers count. Nesting is bounded by
  // kMaxJsonDepth.
  std::optional<AnswerDifference> Compare(const Json& given,  // NOLINT(misc-no-recursion)
                                          const Json* made, const std::string& where,
                                          bool exact = false) {
    if (given.is_string()) {
      if (made != nullptr && given == *made) return std::nullopt;
      if (made == nullptr && given.get_ref<const std::string&>().empty()) return std::nullopt;
      return AnswerDifference{where, TextOf(&given), TextOf(made)};
    }
    if (given.is_array()) return CompareLists(given, made, where, exact);
    if (given.is_object()) return CompareObjects(given, made, where, exact);
    if (!exact || given.is_null()) return std::nullopt;
    const bool same =
        made != nullptr &&
        (given.is_number() && made->is_number() ? SameNumber(given, *made) : given == *made);
    if (same) return std::nullopt;
    return AnswerDifference{where, TextOf(&given), TextOf(made), /*number=*/true};
  }
  std::vector<std::string> TakeLeftOut() { return std::move(left_out_); }

 private:
  std::optional<AnswerDifference> CompareLists(const Json& given,  // NOLINT(misc-no-recursion)
                                               const Json* made, const std::string& where,
                                               bool exact) {
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
      const std::string here = fmt::format("{}[{}]", where, i);
      // Other than of a member, of an element null is a claim: that there was no number.
      if (exact && given[i].is_null() && other != nullptr && !other->is_null()) {
        return AnswerDifference{here, "null", TextOf(other), /*number=*/true};
      }
      if (auto found = Compare(given[i], other, here, exact)) return found;
    }
    pass_thoughts();
    // What was asked for without these may come with an empty list, and be kept so.
    if (next == there || (exact && given.empty())) return std::nullopt;
    return AnswerDifference{fmt::format("{}[{}]", where, next), {}, TextOf(&(*made)[next])};
  }

  std::optional<AnswerDifference> CompareObjects(const Json& given,  // NOLINT(misc-no-recursion)
                                                 const Json* made, const std::string& where,
                                                 bool exact) {
    std::string_view thought;
    if (ThoughtOf(made, &thought) != nullptr && ThoughtOf(&given) == nullptr) {
      left_out_.push_back(Place(where, thought));
    }
    for (const auto& [key, value] : given.items()) {
      if (!exact && IsPassedOver(key)) continue;
      // A client may have emptied a thought instead of leaving it out.
      if (value == "" && std::ranges::find(kThought, key) != std::end(kThought)) continue;
      const Json* const other = FieldOf(made, key);
      if (IsArguments(key) && other != nullptr && other->is_structured()) {
        if (auto found = CompareWhole(value, *other, Place(where, key))) return found;
        continue;
      }
      if (auto found = Compare(value, other, Place(where, key), exact || IsExact(key))) {
        return found;
      }
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
