// Recursive descent over the pattern, one function a production of ECMA-262's grammar, into a tree
// of a few kinds of nodes. A class is a set of ranges at once: \w, [^"] and . differ in nothing but
// their ranges.
#include "server/schema/json_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "server/schema/char_classes.h"

namespace lockstep {
namespace {

using Node = PatternNode;
using Ranges = std::vector<CodeRange>;

constexpr size_t kMaxPatternBytes = 16 * 1024;
// The reader calls itself once for each group, so that this bounds its stack.
constexpr size_t kMaxNesting = 40;

Node Chars(Ranges chars) {
  Node node;
  node.kind = Node::Kind::kChars;
  node.chars = std::move(chars);
  return node;
}

Node Repeat(Node item, uint32_t min, uint32_t max) {
  Node node;
  node.kind = Node::Kind::kRepeat;
  node.min = min;
  node.max = max;
  node.items.push_back(std::move(item));
  return node;
}

// What re.escape and its like put a backslash before: what in ASCII is no letter and no digit.
bool IsPunctuationOrSpace(char c) {
  const bool is_alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  return (c >= ' ' && c <= '~' && !is_alnum) || (c >= '\t' && c <= '\r');
}

// It stands where a pattern is not anchored. A schema's pattern may match anywhere in the text
// (JSON Schema, 6.3.3), so that "b" is read as ^[^]*b[^]*$.
Node AnyText() { return Repeat(Chars(AllChars()), 0, Node::kUnlimited); }

class PatternReader {
 public:
  PatternReader(std::string_view pattern, PatternAnchors anchors)
      : text_(pattern), anchored_(anchors == PatternAnchors::kBothEnds) {}

  Result<Pattern> Read() {
    if (text_.size() > kMaxPatternBytes) return Problem("it is too long");
    if (!IsUtf8(text_)) return Problem("it is not UTF-8");
    Pattern pattern;
    if (!ReadChoice(0, Place::kOutermost, &pattern.node)) return Problem(problem_);
    if (at_ < text_.size()) return Problem("\")\" has no \"(\"");
    // A condition holds for the whole text, but a look-ahead would only bind its own alternative.
    if (!conditions_.empty() && pattern.node.items.size() > 1) {
      return Problem("a look-ahead is supported only where there are no alternatives beside it");
    }
    pattern.conditions = std::move(conditions_);
    return pattern;
  }

 private:
  // Where an alternative stands decides whether it may have anchors and is filled up to the whole
  // text.
  enum class Place {
    kOutermost,
    kWholeGroup,  // a group that is all of an outermost one
    kCondition,   // a look-ahead, which begins where the text begins
    kGroup,
  };

  static tl::unexpected<Error> Problem(const std::string& problem) {
    return lockstep::Fail(ErrorKind::kInvalidArgument, problem);
  }
  bool Fail(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool AtEnd() const { return at_ >= text_.size(); }
  bool Take(std::string_view expected) {
    if (!text_.substr(at_).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }
  uint32_t NextChar() {
    const uint32_t code = FirstCodePoint(text_.substr(at_));
    at_ += CharacterLength(text_.substr(at_));
    return code;
  }

  bool ReadChoice(size_t depth, Place place, Node* out);
  bool ReadSequence(size_t depth, Place place, Node* out);
  bool ReadConditions(size_t depth);
  bool IsAnchoredGroup() const;
  // How long an anchor is that comes next, 0 if there is none: ^ or $, or as Python, Rust and
  // others have them for texts of several lines.
  size_t BeginAnchor() const { return Anchor({"^", "\\A"}); }
  size_t EndAnchor() const { return Anchor({"$", "\\Z", "\\z"}); }
  size_t Anchor(std::initializer_list<std::string_view> forms) const {
    for (const std::string_view form : forms) {
      if (text_.substr(at_).starts_with(form)) return form.size();
    }
    return 0;
  }
  bool ReadAtom(size_t depth, Node* out);
  bool ReadGroup(size_t depth, Place place, Node* out);
  bool ReadQuantifier(Node* node);
  bool ReadClass(Ranges* out);
  bool ReadEscape(bool in_class, Ranges* out);
  bool ReadCategory(bool negated, Ranges* out);
  bool ReadHex(size_t digits, uint32_t* code);
  bool ReadNumber(uint32_t* out);

  const std::string_view text_;
  const bool anchored_;
  size_t at_ = 0;
  std::string problem_;
  std::vector<Pattern::Condition> conditions_;
};

bool PatternReader::ReadChoice(size_t depth, Place place, Node* out) {
  if (depth > kMaxNesting) return Fail("its groups are nested too deeply");
  out->kind = Node::Kind::kChoice;
  do {
    if (!ReadSequence(depth, place, &out->items.emplace_back())) return false;
  } while (Take("|"));
  return true;
}

// Whether what comes next is a group without a quantifier, all of its alternative, with an anchor
// in it: (^a|b$) is ^a|b$.
bool PatternReader::IsAnchoredGroup() const {
  if (Peek() != '(') return false;
  size_t open = 0;
  bool in_class = false, has_anchor = false;
  for (size_t i = at_; i < text_.size(); ++i) {
    const char c = text_[i];
    if (c == '\\') {
      has_anchor |= !in_class && i + 1 < text_.size() &&
                    std::string_view("AZz").find(text_[i + 1]) != std::string_view::npos;
      ++i;
    } else if (in_class || c == '[') {
      in_class = c != ']';
    } else if (c == '^' || c == '$') {
      has_anchor = true;
    } else if (c == '(') {
      ++open;
    } else if (c == ')' && --open == 0) {
      const bool last = i + 1 == text_.size() || text_[i + 1] == '|' || text_[i + 1] == ')';
      return last && has_anchor;
    }
  }
  return false;
}

bool PatternReader::ReadSequence(size_t depth, Place place, Node* out) {
  const bool outermost = place == Place::kOutermost || place == Place::kWholeGroup;
  if (outermost && IsAnchoredGroup()) {
    return ReadGroup(depth, Place::kWholeGroup, &out->items.emplace_back());
  }
  const bool whole = place != Place::kGroup;
  const size_t begins = whole ? BeginAnchor() : 0;
  at_ += begins;
  if (place == Place::kOutermost && begins > 0 && !ReadConditions(depth)) return false;
  bool ends = false;
  const bool fills_up = !outermost || !anchored_;
  if (outermost && begins == 0 && fills_up) out->items.push_back(AnyText());
  while (!AtEnd() && Peek() != '|' && Peek() != ')') {
    const size_t anchor = EndAnchor();
    const char after = Peek(anchor);
    if (whole && anchor > 0 && (at_ + anchor == text_.size() || after == '|' || after == ')')) {
      at_ += anchor;
      ends = true;
      break;
    }
    Node item;
    if (!ReadAtom(depth, &item) || !ReadQuantifier(&item)) return false;
    out->items.push_back(std::move(item));
  }
  if (whole && !ends && fills_up) out->items.push_back(AnyText());
  return true;
}

// A look-ahead says how the text begins and leaves the rest open: (?=a) is the condition ^a[^]*$.
bool PatternReader::ReadConditions(size_t depth) {
  while (text_.substr(at_).starts_with("(?=") || text_.substr(at_).starts_with("(?!")) {
    at_ += 3;
    Pattern::Condition condition{text_[at_ - 1] == '!', {}};
    if (!ReadChoice(depth + 1, Place::kCondition, &condition.node)) return false;
    if (!Take(")")) return Fail("\"(\" has no \")\"");
    conditions_.push_back(std::move(condition));
  }
  return true;
}

bool PatternReader::ReadAtom(size_t depth, Node* out) {
  const char c = Peek();
  if (c == '(') return ReadGroup(depth, Place::kGroup, out);
  Ranges ranges;
  if (const size_t anchor = std::max(BeginAnchor(), EndAnchor()); anchor > 0) {
    return Fail(
        fmt::format("{} is supported only at an end of the whole pattern or of one of "
                    "its outermost alternatives, or of a group that is all of one",
                    text_.substr(at_, anchor)));
  }
  if (c == '[') {
    if (!ReadClass(&ranges)) return false;
  } else if (c == '\\') {
    if (!ReadEscape(/*in_class=*/false, &ranges)) return false;
  } else if (c == '.') {
    ++at_;
    // The dot is every character but ECMA-262's four line terminators.
    ranges = Complement(Normalized({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
  } else if (std::string_view("*+?{").find(c) != std::string_view::npos && c != '\0') {
    // Without the u flag, and elsewhere, a } or ] that nothing opens is a character; these are
    // errors mostly.
    return Fail(fmt::format("{} stands where a character is expected; write \\{}", c, c));
  } else {
    const uint32_t code = NextChar();
    ranges = {{code, code}};
  }
  *out = Chars(std::move(ranges));
  return true;
}

bool PatternReader::ReadGroup(size_t depth, Place place, Node* out) {
  ++at_;
  if (Take("?")) {
    if (Take("=") || Take("!") || Take("<=") || Take("<!")) {
      return Fail("look-ahead is supported only behind a ^ at the start, look-behind nowhere");
    }
    if (Take("<") || Take("P<")) {  // a name
      at_ = std::min(text_.find('>', at_), text_.size());
      if (!Take(">")) return Fail("a group's name has no end");
    } else if (!Take(":")) {
      return Fail("flags inside of a pattern are not supported");
    }
  }
  if (!ReadChoice(depth + 1, place, out)) return false;
  return Take(")") || Fail("\"(\" has no \")\"");
}

bool PatternReader::ReadNumber(uint32_t* out) {
  const size_t begin = at_;
  while (Peek() >= '0' && Peek() <= '9') ++at_;
  const std::string digits(text_.substr(begin, at_ - begin));
  if (digits.empty() || digits.size() > 9) return false;
  *out = static_cast<uint32_t>(std::stoul(digits));
  return true;
}

bool PatternReader::ReadQuantifier(Node* node) {
  const char c = Peek();
  if (AtEnd() || std::string_view("*+?{").find(c) == std::string_view::npos) return true;
  ++at_;
  uint32_t min = c == '+' ? 1 : 0, max = c == '?' ? 1 : Node::kUnlimited;
  if (c == '{') {
    if (!ReadNumber(&min)) return Fail("a number is expected after {");
    if (!Take(",")) {
      max = min;
    } else if (Peek() != '}' && !ReadNumber(&max)) {
      return Fail("a number is expected after ,");
    }
    if (!Take("}")) return Fail("{ has no }");
    if (max < min) return Fail("a repetition's maximum is below its minimum");
  }
  Take("?");  // lazy: the same texts
  if (!AtEnd() && std::string_view("*+?{").find(Peek()) != std::string_view::npos) {
    return Fail("a repetition is repeated without a group");
  }
  *node = Repeat(std::move(*node), min, max);
  return true;
}

// The ends of a range must be single characters: [\d-z] is a syntax error with the u flag.
bool PatternReader::ReadClass(Ranges* out) {
  const auto read_end = [&](Ranges* end) {
    if (Peek() == '\\') return ReadEscape(/*in_class=*/true, end);
    const uint32_t code = NextChar();
    *end = {{code, code}};
    return true;
  };
  ++at_;
  const bool negated = Take("^");
  while (!AtEnd() && Peek() != ']') {
    Ranges low;
    if (!read_end(&low)) return false;
    if (Peek() == '-' && Peek(1) != ']' && at_ + 1 < text_.size()) {
      ++at_;
      Ranges high;
      if (!read_end(&high)) return false;
      const auto single = [](const Ranges& r) { return r.size() == 1 && r[0].low == r[0].high; };
      if (!single(low) || !single(high) || low[0].low > high[0].low) {
        return Fail("a range of a class has no valid ends");
      }
      low[0].high = high[0].low;
    }
    out->insert(out->end(), low.begin(), low.end());
  }
  if (!Take("]")) return Fail("[ has no ]");
  *out = Normalized(*out);
  if (negated) *out = Complement(*out);
  return true;
}

bool PatternReader::ReadHex(size_t digits, uint32_t* code) {
  *code = 0;
  for (size_t i = 0; i < digits; ++i, ++at_) {
    const char c = static_cast<char>(Peek() | 0x20);
    if (!(Peek() >= '0' && Peek() <= '9') && !(c >= 'a' && c <= 'f')) {
      return Fail("an escape lacks hexadecimal digits");
    }
    *code = *code << 4 | static_cast<uint32_t>(Peek() <= '9' ? Peek() - '0' : c - 'a' + 10);
  }
  return IsCodePoint(*code) || Fail("an escape names no character of Unicode");
}

bool PatternReader::ReadEscape(bool in_class, Ranges* out) {
  ++at_;
  if (AtEnd()) return Fail("it ends after a backslash");
  const char c = text_[at_++];
  uint32_t code = static_cast<unsigned char>(c);
  // \d and \w are ASCII only, as ECMA-262 has them; \s is its white space and line terminators,
  // which are the separators of Unicode, the controls \t to \r, and the byte order mark.
  const Ranges digit = {{'0', '9'}}, word = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
               space = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                        {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                        {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  switch (c) {
    case 'p':
    case 'P':
      return ReadCategory(c == 'P', out);
    case 'd':
    case 'D':
      *out = c == 'd' ? digit : Complement(digit);
      return true;
    case 'w':
    case 'W':
      *out = c == 'w' ? word : Complement(word);
      return true;
    case 's':
    case 'S':
      *out = c == 's' ? space : Complement(space);
      return true;
    case 't':
    case 'n':
    case 'v':
    case 'f':
    case 'r':  // the five that follow each other in ASCII
      code = static_cast<uint32_t>('\t' + std::string_view("tnvfr").find(c));
      break;
    case 'x':
      if (!ReadHex(2, &code)) return false;
      break;
    case 'u':
      if (Take("{")) {
        const size_t end = text_.find('}', at_);
        if (end == text_.npos || end == at_ || end - at_ > 6) {
          return Fail("\\u{ has no character's number");
        }
        if (!ReadHex(end - at_, &code)) return false;
        ++at_;
      } else if (!ReadHex(4, &code)) {
        return false;
      }
      break;
    default:
      // With the u flag only syntax characters may be escaped for nothing. Without it, and in other
      // languages, what is no letter or digit may be: re.escape of Python writes "\ " and "\#".
      if (!IsPunctuationOrSpace(c)) {
        return Fail(fmt::format("{} is not supported", c >= '1' && c <= '9' ? "a back reference"
                                                       : c == 'k'           ? "a back reference"
                                                       : (c == 'b' || c == 'B') && !in_class
                                                           ? "a word boundary (\\b)"
                                                           : "one of its escapes"));
      }
  }
  *out = {{code, code}};
  return true;
}

bool PatternReader::ReadCategory(bool negated, Ranges* out) {
  const size_t end = Take("{") ? text_.find('}', at_) : text_.npos;
  if (end == text_.npos) return Fail("\\p has no {...}");
  const std::string_view name = text_.substr(at_, end - at_);
  const std::vector<CodeRange>* const chars = CharsOfCategory(name);
  if (chars == nullptr) return Fail(fmt::format("\\p{{{}}} is not supported", Escaped(name)));
  at_ = end + 1;
  *out = negated ? Complement(*chars) : *chars;
  return true;
}

}  // namespace

Result<Pattern> ParsePattern(std::string_view text, PatternAnchors anchors) {
  return PatternReader(text, anchors).Read();
}

}  // namespace lockstep
