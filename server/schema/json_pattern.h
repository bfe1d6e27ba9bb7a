// Regular expressions (ECMA-262, with the u flag, and what older ones and Python's write that has
// one meaning) as syntax trees, and the two things that they are turned into: GBNF, and a language
// that can be intersected with others. Stateless.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/grammar/utf8_ranges.h"
#include "server/schema/language.h"

namespace lockstep {

// A letter, a class and a dot are all kChars, and a group is a kChoice even if it has one
// alternative. ^a[bc]*$ is a choice of one sequence: the characters {a}, and a repeat of {b, c}.
struct PatternNode {
  enum class Kind {
    kChars,     // one character of `chars`
    kSequence,  // all items
    kChoice,    // one of items
    kRepeat,    // items[0], min to max times
  };
  static constexpr uint32_t kUnlimited = UINT32_MAX;

  Kind kind = Kind::kSequence;
  std::vector<CodeRange> chars;
  uint32_t min = 0, max = 0;
  std::vector<PatternNode> items;
};

struct Pattern {
  // A condition on the whole text, said by a look-ahead in front.
  struct Condition {
    bool negated;
    PatternNode node;
  };
  PatternNode node;  // of the whole text: what is not anchored begins or ends with any characters
  std::vector<Condition> conditions;
};

// Errors are kInvalidArgument and say what is not supported: look-around but for look-aheads at the
// start, back references, word boundaries, flags, and anchors elsewhere than at the ends of an
// outermost alternative, or of one in a group that is all of such an alternative.
//
// A schema's pattern may match a part of the text; one that binds a whole answer is anchored at
// both ends, whether it says so or not.
enum class PatternAnchors { kAsWritten, kBothEnds };
[[nodiscard]] Result<Pattern> ParsePattern(std::string_view text,
                                           PatternAnchors anchors = PatternAnchors::kAsWritten);

// A node for those of the node's texts that have `min` to `max` characters, where that is easily
// said: all have, or there is nothing but a repeated class.
std::optional<PatternNode> WithLengths(const PatternNode& node, size_t min,
                                       std::optional<size_t> max);

// The node with fewer repetitions, all of them at most as many as leave no text with more than
// `max` characters: a part of the node's texts, but none of its forms is lost. Nothing where
// repetitions alone cannot do it.
std::optional<PatternNode> Shortened(const PatternNode& node, size_t max);

// What stands between the quotes of a JSON string that the node matches, as an expression of GBNF.
// `any_char`: the rule that stands for any character. The conditions are not in it.
std::string PatternToGbnf(const PatternNode& node, std::string_view any_char);

// A whole answer that is no JSON and that `pattern` matches, as an expression of GBNF. Line breaks
// and tabs are its only control characters. Errors as ParsePattern's; look-aheads are not
// supported.
[[nodiscard]] Result<std::string> TextPatternToGbnf(std::string_view pattern);

// Errors are kInvalidArgument: the language has too many states; or they are the meter's.
[[nodiscard]] Result<Language> PatternLanguage(const Pattern& pattern, WorkMeter* meter = nullptr);

}  // namespace lockstep
