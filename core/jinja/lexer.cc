// jinja2's lexer with trim_blocks and lstrip_blocks set, as Hugging Face's transformers set them.
// White space is settled here, before there is a tree, because it depends on the characters around
// a tag and on nothing else:
//   "-" in a tag takes all white space on its side; "+" keeps all of it;
//   else a block or a comment takes the newline behind it, and the indent before it if it is the
//   first thing on its line. {{ variables }} take nothing.
#include "core/jinja/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/jinja/failure.h"
#include "core/jinja/string_literal.h"
#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

constexpr std::string_view kSpaces = " \t\n\r\f\v";

// Lines end in \n only, and one at the very end does not count. jinja2 drops that one, too, unless
// keep_trailing_newline is set.
std::string Normalized(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    const bool crlf = source[i] == '\r' && i + 1 < source.size() && source[i + 1] == '\n';
    if (!crlf) out += source[i] == '\r' ? '\n' : source[i];
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

bool IsDigitChar(char c) { return c >= '0' && c <= '9'; }
// Python's names may have any letter of Unicode. Taking all characters beyond ASCII for letters
// reads the same names, and more that no template has.
bool IsNameChar(char c) {
  return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigitChar(c) ||
         static_cast<uint8_t>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(Normalized(source)), rest_(source_) {}

  std::vector<Token> Run() {
    while (!rest_.empty()) Data();
    Add(Token::Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void FailHere(std::string message) const {
    throw Failure{std::move(message), line_};
  }

  void Add(Token::Kind kind, std::string text) {
    tokens_.push_back({kind, std::move(text), line_});
  }

  // All input is consumed here, so that line_ and last_ are always right.
  std::string_view Take(size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    line_ += static_cast<int>(std::count(taken.begin(), taken.end(), '\n'));
    if (!taken.empty()) last_ = taken.back();
    rest_.remove_prefix(taken.size());
    return taken;
  }

  bool Skip(std::string_view what) {
    if (!rest_.starts_with(what)) return false;
    Take(what.size());
    return true;
  }

  void SkipSpaces() { Take(std::min(rest_.find_first_not_of(kSpaces), rest_.size())); }

  // The text up to the next tag, and that tag. An example, with "." for a space: from
  //   a\n..{% if b %}\nc
  // the indent and the newline behind the tag go, so that what is left is "a\n", the tag, and "c".
  void Data() {
    const bool at_line_start = last_ == '\n';
    size_t tag = 0;
    for (;; ++tag) {
      tag = rest_.find('{', tag);
      if (tag == rest_.npos || tag + 1 >= rest_.size()) return AddText(Take(rest_.size()));
      const char second = rest_[tag + 1];
      if (second == '{' || second == '%' || second == '#') break;
    }
    const char kind = rest_[tag + 1];
    const char sign = tag + 2 < rest_.size() ? rest_[tag + 2] : ' ';
    std::string_view text = rest_.substr(0, tag);
    const size_t whole = text.size();
    if (sign == '-') {
      while (!text.empty() && EndsInSpace(text)) text.remove_suffix(LastCharacterLength(text));
    } else if (sign != '+' && kind != '{') {
      text = WithoutIndent(text, at_line_start);
    }
    AddText(text);
    Take(whole + 2);
    if (sign == '-' || sign == '+') Take(1);
    if (kind == '#') return Comment();
    if (kind == '%' && RawBegin()) return Raw();
    Tag(kind == '{');
  }

  void AddText(std::string_view text) {
    if (!text.empty()) Add(Token::Kind::kText, std::string(text));
  }

  static bool EndsInSpace(std::string_view text) {
    return IsSpace(FirstCodePoint(text.substr(text.size() - LastCharacterLength(text))));
  }

  // lstrip_blocks: a tag that is the first thing on its line takes its indent away.
  static std::string_view WithoutIndent(std::string_view text, bool at_line_start) {
    const size_t newline = text.rfind('\n');
    if (newline == text.npos && !at_line_start) return text;
    const size_t begin = newline == text.npos ? 0 : newline + 1;
    std::string_view indent = text.substr(begin);
    while (!indent.empty() && EndsInSpace(indent)) {
      indent.remove_suffix(LastCharacterLength(indent));
    }
    return indent.empty() ? text.substr(0, begin) : text;
  }

  // After a tag: "-" takes all white space that follows, and trim_blocks one newline after a block
  // or a comment that does not end in "+".
  void AfterTag(char sign, bool trims) {
    if (sign == '-') {
      while (!rest_.empty() && IsSpace(FirstCodePoint(rest_))) Take(CharacterLength(rest_));
    } else if (sign != '+' && trims) {
      Skip("\n");
    }
  }

  void Comment() {
    const size_t end = rest_.find("#}");
    if (end == rest_.npos) FailHere("a comment {# has no end #}");
    const char sign = end > 0 ? rest_[end - 1] : ' ';
    Take(end + 2);
    AfterTag(sign, true);
  }

  // Behind "{%" and its sign: does `raw %}` follow? What follows is text and no tokens, so this
  // cannot be left to the parser.
  bool RawBegin() {
    std::string_view at = rest_;
    const auto skip_spaces = [&] {
      at.remove_prefix(std::min(at.find_first_not_of(kSpaces), at.size()));
    };
    skip_spaces();
    if (!at.starts_with("raw")) return false;
    at.remove_prefix(3);
    skip_spaces();
    const bool minus = at.starts_with("-%}");
    if (!minus && !at.starts_with("%}")) return false;
    Take(rest_.size() - at.size() + (minus ? 3 : 2));
    AfterTag(minus ? '-' : ' ', false);
    return true;
  }

  // Up to {% endraw %}; its own signs trim as those of any block do.
  void Raw() {
    for (size_t tag = 0; (tag = rest_.find("{%", tag)) != rest_.npos; ++tag) {
      size_t at = tag + 2;
      const char sign = at < rest_.size() ? rest_[at] : ' ';
      if (sign == '-' || sign == '+') ++at;
      at = std::min(rest_.find_first_not_of(kSpaces, at), rest_.size());
      if (!rest_.substr(at).starts_with("endraw")) continue;
      at = std::min(rest_.find_first_not_of(kSpaces, at + 6), rest_.size());
      const char end_sign = at < rest_.size() ? rest_[at] : ' ';
      if (end_sign == '-' || end_sign == '+') ++at;
      if (!rest_.substr(at).starts_with("%}")) continue;
      std::string_view text = rest_.substr(0, tag);
      if (sign == '-') {
        while (!text.empty() && EndsInSpace(text)) text.remove_suffix(LastCharacterLength(text));
      } else if (sign != '+') {
        text = WithoutIndent(text, last_ == '\n');
      }
      AddText(text);
      Take(at + 2);
      return AfterTag(end_sign, true);
    }
    FailHere("{% raw %} has no {% endraw %}");
  }

  // The tokens of a tag. Inside brackets its end does not count: "{{ {'a': {}} }}".
  void Tag(bool variable) {
    const std::string_view end = variable ? "}}" : "%}";
    Add(variable ? Token::Kind::kVariableBegin : Token::Kind::kBlockBegin, variable ? "{{" : "{%");
    std::string open;
    while (true) {
      SkipSpaces();
      if (rest_.empty()) FailHere(fmt::format("a tag has no end {}", end));
      if (open.empty()) {
        const char sign = rest_[0];
        // jinja2 takes "+" at the end of a block, but not of a variable.
        const bool signs = sign == '-' || (sign == '+' && !variable);
        if (rest_.substr(signs ? 1 : 0).starts_with(end)) {
          Add(variable ? Token::Kind::kVariableEnd : Token::Kind::kBlockEnd, std::string(end));
          Take(signs ? 3 : 2);
          return AfterTag(signs ? sign : ' ', !variable);
        }
      }
      if (IsDigitChar(rest_[0])) {
        Number();
      } else if (IsNameChar(rest_[0])) {
        size_t size = 1;
        while (size < rest_.size() && IsNameChar(rest_[size])) ++size;
        Add(Token::Kind::kName, std::string(rest_.substr(0, size)));
        Take(size);
      } else if (rest_[0] == '\'' || rest_[0] == '"') {
        String();
      } else {
        Operator(&open);
      }
    }
  }

  // `*open` is the stack of open brackets. Longer operators stand first in the list, so that "//"
  // is not read as two "/"; "}" is not in it, and is asked for separately.
  void Operator(std::string* open) {
    static constexpr std::array<std::string_view, 24> kOperators = {
        "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~",
        "<",  ">",  "=",  ".",  ":",  "|",  ",", "(", ")", "[", "]", "{"};
    std::string_view found = rest_[0] == '}' ? "}" : "";
    for (const std::string_view name : kOperators) {
      if (found.empty() && rest_.starts_with(name)) found = name;
    }
    if (found.empty()) {
      FailHere(
          fmt::format("unexpected character {}", Quoted(rest_.substr(0, CharacterLength(rest_)))));
    }
    if (found == "(" || found == "[" || found == "{") *open += found;
    if (found == ")" || found == "]" || found == "}") {
      const char opening = found == ")" ? '(' : found == "]" ? '[' : '{';
      if (open->empty() || open->back() != opening) {
        FailHere(fmt::format("'{}' closes no '{}'", found, opening));
      }
      open->pop_back();
    }
    Add(Token::Kind::kOperator, std::string(found));
    Take(found.size());
  }

  // The digits at `at`, "_" between them left out. Python allows one "_" between two digits: 1_000.
  std::string Digits(size_t* at, std::string_view allowed) const {
    std::string digits;
    for (; *at < rest_.size(); ++*at) {
      const char c = rest_[*at];
      const bool separates = c == '_' && !digits.empty() && *at + 1 < rest_.size() &&
                             allowed.find(rest_[*at + 1]) != allowed.npos;
      if (allowed.find(c) != allowed.npos) {
        digits += c;
      } else if (!separates) {
        break;
      }
    }
    return digits;
  }

  // Python's numbers. A float is read at once; an integer stays text, since it may have any size.
  void Number() {
    static constexpr std::string_view kDecimal = "0123456789";
    size_t at = 0;
    int base = 10;
    std::string_view allowed = kDecimal;
    if (rest_[0] == '0' && rest_.size() > 2) {
      const char letter = static_cast<char>(rest_[1] | 0x20);
      base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
      if (base != 10) at = rest_[2] == '_' ? 3 : 2;
      if (base == 16) allowed = "0123456789abcdefABCDEF";
      if (base == 8) allowed = "01234567";
      if (base == 2) allowed = "01";
    }
    std::string digits = Digits(&at, allowed);
    bool real = false;
    // A float only behind anything but "." ("x.0.1" are two subscripts).
    if (base == 10 && (tokens_.empty() || tokens_.back().text != ".")) {
      size_t more = at + 1;
      std::string fraction;
      if (at < rest_.size() && rest_[at] == '.') fraction = Digits(&more, kDecimal);
      if (!fraction.empty()) {
        digits += '.' + fraction;
        at = more;
        real = true;
      }
      if (at < rest_.size() && (rest_[at] | 0x20) == 'e') {
        more = at + 1;
        std::string exponent = "e";
        if (more < rest_.size() && (rest_[more] == '+' || rest_[more] == '-')) {
          if (rest_[more] == '-') exponent += '-';
          ++more;
        }
        const std::string power = Digits(&more, kDecimal);
        if (!power.empty()) {
          digits += exponent + power;
          at = more;
          real = true;
        }
      }
    }
    Token token{real ? Token::Kind::kFloat : Token::Kind::kInteger, digits, line_};
    const char* const end = digits.data() + digits.size();
    uint64_t bits = 0;
    const auto result = real         ? std::from_chars(digits.data(), end, token.real)
                        : base == 10 ? std::from_chars_result{end, std::errc()}
                                     : std::from_chars(digits.data(), end, bits, base);
    if (base != 10) token.text = fmt::format("{}", bits);
    if (result.ec != std::errc() || result.ptr != end) {
      FailHere(fmt::format("the number {} is too large, or none",
                           Quoted(rest_.substr(0, std::max<size_t>(at, 1)), 40)));
    }
    tokens_.push_back(std::move(token));
    Take(at);
  }

  // The character behind a backslash cannot end the string, whatever it is.
  void String() {
    const char quote = rest_[0];
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) FailHere("a string has no closing quote");
    std::string error;
    std::string text = UnescapeLiteral(rest_.substr(1, end - 1), &error);
    if (!error.empty()) FailHere(std::move(error));
    Add(Token::Kind::kString, std::move(text));
    Take(end + 1);
  }

  const std::string source_;
  std::string_view rest_;
  std::vector<Token> tokens_;
  int line_ = 1;
  char last_ = '\n';  // the character before rest_; at the front, as if a line had just ended
};

}  // namespace

std::vector<Token> Tokenize(std::string_view source) { return Lexer(source).Run(); }

}  // namespace lockstep::jinja
