#include "server/schema/json_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/utf8.h"
#include "core/grammar/grammar.h"
#include "core/grammar/utf8_ranges.h"

namespace lockstep {
namespace {

using Ranges = std::vector<CodeRange>;

constexpr size_t kMaxPatternBytes = 16 * 1024;
constexpr size_t kMaxNesting = 40;

Ranges Intersection(const Ranges& a, const Ranges& b) {
  Ranges outside = Complement(a);
  for (const CodeRange& range : Complement(b)) outside.push_back(range);
  return Complement(Normalized(std::move(outside)));
}

// Any of these characters, as JSON has them in a string.
std::string CharsToGbnf(const Ranges& ranges) {
  static const Ranges plain = Complement(Normalized({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}));
  std::string unescaped;
  for (const CodeRange& range : Intersection(ranges, plain)) {
    unescaped += GbnfClassChar(range.low);
    if (range.high > range.low) unescaped += "-" + GbnfClassChar(range.high);
  }
  std::string out = unescaped.empty() ? "" : "[" + unescaped + "]";
  for (const CodeRange& range : Intersection(ranges, Complement(plain))) {
    for (uint32_t c = range.low; c <= range.high; ++c) {
      constexpr std::string_view kShort = "\b\f\n\r\t\"\\", kNames = "bfnrt\"\\";
      const size_t at = kShort.find(static_cast<char>(c));
      const std::string escape =
          at == kShort.npos ? fmt::format("\\u{:04X}", c) : std::string("\\") + kNames[at];
      out += (out.empty() ? "" : " | ") + GbnfLiteral(escape);
    }
  }
  return out.empty() ? "[]" : "(" + out + ")";
}

class PatternReader {
 public:
  PatternReader(std::string_view pattern, std::string_view any_char)
      : text_(pattern), any_char_(any_char) {}

  Result<std::string> Read() {
    if (text_.size() > kMaxPatternBytes) return Refused("it is too long");
    if (!IsUtf8(text_)) return Refused("it is not UTF-8");
    std::string out;
    if (!ReadChoice(0, &out)) return Refused(problem_);
    if (at_ < text_.size()) return Refused("\")\" has no \"(\"");
    return out;
  }

 private:
  static tl::unexpected<Error> Refused(const std::string& problem) {
    return Fail(ErrorKind::kInvalidArgument, problem);
  }
  bool Refuse(std::string problem) {
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

  bool ReadChoice(size_t depth, std::string* out);
  bool ReadSequence(size_t depth, std::string* out);
  bool ReadAtom(size_t depth, std::string* out);
  bool ReadGroup(size_t depth, std::string* out);
  bool ReadQuantifiers(std::string* out);
  bool ReadClass(Ranges* out);
  bool ReadEscape(bool in_class, Ranges* out);
  bool ReadHex(size_t digits, uint32_t* code);
  bool ReadNumber(std::string* out);

  std::string_view text_;
  std::string_view any_char_;
  size_t at_ = 0;
  std::string problem_;
};

bool PatternReader::ReadChoice(size_t depth, std::string* out) {
  if (depth > kMaxNesting) return Refuse("its groups are nested too deeply");
  std::string choices;
  do {
    std::string sequence;
    if (!ReadSequence(depth, &sequence)) return false;
    choices += (choices.empty() ? "" : " | ") + sequence;
  } while (Take("|"));
  *out = "(" + choices + ")";
  return true;
}

bool PatternReader::ReadSequence(size_t depth, std::string* out) {
  const bool outermost = depth == 0;
  const bool begins = outermost && Take("^");
  bool ends = false;
  std::string items;
  while (!AtEnd() && Peek() != '|' && Peek() != ')') {
    if (outermost && Peek() == '$' && (at_ + 1 == text_.size() || Peek(1) == '|')) {
      ++at_;
      ends = true;
      break;
    }
    std::string item;
    if (!ReadAtom(depth, &item) || !ReadQuantifiers(&item)) return false;
    items += item + " ";
  }
  if (items.empty()) items = "\"\" ";
  *out = items;
  if (!outermost) return true;
  if (!begins) *out = fmt::format("{}* {}", any_char_, *out);
  if (!ends) *out += fmt::format("{}*", any_char_);
  return true;
}

bool PatternReader::ReadAtom(size_t depth, std::string* out) {
  const char c = Peek();
  if (c == '(') return ReadGroup(depth, out);
  Ranges ranges;
  if (c == '[') {
    if (!ReadClass(&ranges)) return false;
  } else if (c == '\\') {
    if (!ReadEscape(/*in_class=*/false, &ranges)) return false;
  } else if (c == '.') {
    ++at_;
    ranges = Complement(Normalized({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
  } else if (c == '^' || c == '$') {
    return Refuse(
        fmt::format("{} is supported only at an end of the whole pattern or of one of "
                    "its outermost alternatives",
                    c));
  } else if (std::string_view("*+?{}]").find(c) != std::string_view::npos && c != '\0') {
    return Refuse(fmt::format("{} stands where a character is expected; write \\{}", c, c));
  } else {
    const uint32_t code = NextChar();
    ranges = {{code, code}};
  }
  *out = CharsToGbnf(ranges);
  return true;
}

bool PatternReader::ReadGroup(size_t depth, std::string* out) {
  ++at_;
  if (Take("?")) {
    if (Take("=") || Take("!") || Take("<=") || Take("<!")) {
      return Refuse("look-ahead and look-behind are not supported");
    }
    if (Take("<")) {  // a name
      at_ = std::min(text_.find('>', at_), text_.size());
      if (!Take(">")) return Refuse("a group's name has no end");
    } else if (!Take(":")) {
      return Refuse("flags inside of a pattern are not supported");
    }
  }
  if (!ReadChoice(depth + 1, out)) return false;
  return Take(")") || Refuse("\"(\" has no \")\"");
}

bool PatternReader::ReadNumber(std::string* out) {
  const size_t begin = at_;
  while (Peek() >= '0' && Peek() <= '9') ++at_;
  *out = text_.substr(begin, at_ - begin);
  return !out->empty() && out->size() <= 9;
}

bool PatternReader::ReadQuantifiers(std::string* out) {
  const char c = Peek();
  if (AtEnd() || std::string_view("*+?{").find(c) == std::string_view::npos) return true;
  ++at_;
  if (c != '{') {
    *out += c;
  } else {
    std::string least, most;
    if (!ReadNumber(&least)) return Refuse("a number is expected after {");
    const bool comma = Take(",");
    if (comma && Peek() != '}' && !ReadNumber(&most)) return Refuse("a number is expected after ,");
    if (!Take("}")) return Refuse("{ has no }");
    if (!most.empty() && std::stoul(most) < std::stoul(least)) {
      return Refuse("a repetition's maximum is below its minimum");
    }
    *out += fmt::format("{{{}{}{}}}", least, comma ? "," : "", most);
  }
  Take("?");  // lazy: the same texts
  if (!AtEnd() && std::string_view("*+?{").find(Peek()) != std::string_view::npos) {
    return Refuse("a repetition is repeated without a group");
  }
  return true;
}

bool PatternReader::ReadClass(Ranges* out) {
  ++at_;
  const bool negated = Take("^");
  while (!AtEnd() && Peek() != ']') {
    Ranges low;
    if (Peek() == '\\') {
      if (!ReadEscape(/*in_class=*/true, &low)) return false;
    } else {
      const uint32_t code = NextChar();
      low = {{code, code}};
    }
    if (Peek() == '-' && Peek(1) != ']' && at_ + 1 < text_.size()) {
      ++at_;
      Ranges high;
      if (Peek() == '\\') {
        if (!ReadEscape(/*in_class=*/true, &high)) return false;
      } else {
        const uint32_t code = NextChar();
        high = {{code, code}};
      }
      const auto single = [](const Ranges& r) { return r.size() == 1 && r[0].low == r[0].high; };
      if (!single(low) || !single(high) || low[0].low > high[0].low) {
        return Refuse("a range of a class has no valid ends");
      }
      low[0].high = high[0].low;
    }
    out->insert(out->end(), low.begin(), low.end());
  }
  if (!Take("]")) return Refuse("[ has no ]");
  *out = Normalized(std::move(*out));
  if (negated) *out = Complement(*out);
  return true;
}

bool PatternReader::ReadHex(size_t digits, uint32_t* code) {
  *code = 0;
  for (size_t i = 0; i < digits; ++i, ++at_) {
    const char c = static_cast<char>(Peek() | 0x20);
    if (!(Peek() >= '0' && Peek() <= '9') && !(c >= 'a' && c <= 'f')) {
      return Refuse("an escape lacks hexadecimal digits");
    }
    *code = *code << 4 | static_cast<uint32_t>(Peek() <= '9' ? Peek() - '0' : c - 'a' + 10);
  }
  return IsCodePoint(*code) || Refuse("an escape names no character of Unicode");
}

bool PatternReader::ReadEscape(bool in_class, Ranges* out) {
  ++at_;
  if (AtEnd()) return Refuse("it ends after a backslash");
  const char c = text_[at_++];
  uint32_t code = static_cast<uint32_t>(c);
  const Ranges digit = {{'0', '9'}}, word = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
               space = {{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                        {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                        {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  switch (c) {
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
    case 'n':
      code = '\n';
      break;
    case 'r':
      code = '\r';
      break;
    case 't':
      code = '\t';
      break;
    case 'f':
      code = '\f';
      break;
    case 'v':
      code = '\v';
      break;
    case 'x':
      if (!ReadHex(2, &code)) return false;
      break;
    case 'u':
      if (Take("{")) {
        const size_t end = text_.find('}', at_);
        if (end == text_.npos || end == at_ || end - at_ > 6) {
          return Refuse("\\u{ has no character's number");
        }
        if (!ReadHex(end - at_, &code)) return false;
        ++at_;
      } else if (!ReadHex(4, &code)) {
        return false;
      }
      break;
    default:
      if (std::string_view("^$\\.*+?()[]{}|/-").find(c) == std::string_view::npos) {
        return Refuse(fmt::format("{} is not supported", c >= '1' && c <= '9'   ? "a back reference"
                                                         : c == 'k'             ? "a back reference"
                                                         : c == 'p' || c == 'P' ? "\\p{...}"
                                                         : (c == 'b' || c == 'B') && !in_class
                                                             ? "a word boundary (\\b)"
                                                             : "one of its escapes"));
      }
  }
  *out = {{code, code}};
  return true;
}

struct Format {
  std::string_view name, pattern;
};

// Subsets where the standards allow what nobody writes: no leap second, no quoted local part, URIs
// of the web only. What matches is valid by the standard.
constexpr Format kFormats[] = {
    {"date",
     R"(^((\d{4})-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)$)"},
    {"time", R"(^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$)"},
    {"date-time",
     R"(^((\d{4})-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$)"},
    {"duration",
     R"(^P((\d{1,6}Y(\d{1,6}M)?(\d{1,6}D)?|\d{1,6}M(\d{1,6}D)?|\d{1,6}D)(T(\d{1,6}H(\d{1,6}M)?(\d{1,6}S)?|\d{1,6}M(\d{1,6}S)?|\d{1,6}S))?|\d{1,6}W|T(\d{1,6}H(\d{1,6}M)?(\d{1,6}S)?|\d{1,6}M(\d{1,6}S)?|\d{1,6}S))$)"},
    {"email",
     R"(^[A-Za-z0-9_+-]{1,30}(\.[A-Za-z0-9_+-]{1,20}){0,2}@([A-Za-z0-9]([A-Za-z0-9-]{0,40}[A-Za-z0-9])?\.){1,3}[A-Za-z]{2,20}$)"},
    {"hostname",
     R"(^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?){0,2}$)"},
    {"ipv4", R"(^((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$)"},
    {"ipv6",
     R"(^(([\da-fA-F]{1,4}:){7}[\da-fA-F]{1,4}|([\da-fA-F]{1,4}:){1,7}:|([\da-fA-F]{1,4}:){1,6}:[\da-fA-F]{1,4}|([\da-fA-F]{1,4}:){1,5}(:[\da-fA-F]{1,4}){1,2}|([\da-fA-F]{1,4}:){1,4}(:[\da-fA-F]{1,4}){1,3}|([\da-fA-F]{1,4}:){1,3}(:[\da-fA-F]{1,4}){1,4}|([\da-fA-F]{1,4}:){1,2}(:[\da-fA-F]{1,4}){1,5}|[\da-fA-F]{1,4}:(:[\da-fA-F]{1,4}){1,6}|:((:[\da-fA-F]{1,4}){1,7}|:))$)"},
    {"uuid", R"(^[\da-fA-F]{8}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{4}-[\da-fA-F]{12}$)"},
    {"uri",
     R"(^https?://([A-Za-z0-9]([A-Za-z0-9-]{0,40}[A-Za-z0-9])?\.){0,4}[A-Za-z]{2,20}(:[1-9]\d{0,3})?(/[A-Za-z0-9._~-]{0,80}){0,16}(\?[A-Za-z0-9._~=&-]{0,200})?(#[A-Za-z0-9._~-]{0,80})?$)"},
};

}  // namespace

Result<std::string> PatternToGbnf(std::string_view pattern, std::string_view any_char) {
  return PatternReader(pattern, any_char).Read();
}

std::string_view FormatPattern(std::string_view format) {
  for (const Format& known : kFormats) {
    if (known.name == format) return known.pattern;
  }
  return {};
}

std::string FormatNames() {
  std::string names;
  for (const Format& known : kFormats) {
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  return names;
}

}  // namespace lockstep
