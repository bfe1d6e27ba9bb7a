// JSON is passed on as it comes. The other forms become JSON piece by piece: strings in tags as
// they come, since they may be whole files, and everything else when an argument has ended.
#include "server/api/chat/argument_reader.h"

#include <algorithm>
#include <cstdlib>

#include "core/base/utf8.h"
#include "core/engine/thought.h"
#include "server/json/json_text.h"

namespace lockstep {
namespace {

constexpr std::string_view kSpace = " \t\r\n", kQuote = "<|\"|>";

std::string_view Trimmed(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

bool IsJson(std::string_view text) {
  return !text.empty() && ParseStrictObject("{\"a\":" + std::string(text) + "}").has_value();
}

// The text as it stands within the quotes of a JSON string.
std::string Escaped(std::string_view text) {
  const std::string quoted = DumpString(text);
  return quoted.substr(1, quoted.size() - 2);
}

// Reads one value by recursive descent; the depth of what a grammar allows is bounded by the text,
// and beyond kMaxJsonDepth nothing is taken for a list.
class ValueReader {
 public:
  explicit ValueReader(std::string_view text) : text_(text) {}

  std::string Read() {
    std::string json;
    Value(0, &json);
    SkipSpace();
    return text_.empty() && IsJson(json) ? json : std::string();
  }

 private:
  void SkipSpace() { text_.remove_prefix(std::min(text_.find_first_not_of(kSpace), text_.size())); }
  bool Take(std::string_view word) {
    SkipSpace();
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }

  void Value(size_t depth, std::string* json) {
    SkipSpace();
    if (text_.starts_with(kQuote) || text_.starts_with('\'') || text_.starts_with('"')) {
      *json += DumpString(Text());
    } else if (depth < kMaxJsonDepth && Take("[")) {
      Items("]", depth, json);
    } else if (depth < kMaxJsonDepth && Take("{")) {
      Items("}", depth, json);
    } else {
      Word(json);
    }
  }

  void Items(std::string_view close, size_t depth, std::string* json) {
    const bool object = close == "}";
    *json += object ? "{" : "[";
    for (bool first = true; !Take(close); first = false) {
      if (text_.empty()) return;  // it is not closed, so that this is no JSON
      if (!first && !Take(",")) return text_.remove_prefix(text_.size());
      if (!first) *json += ", ";
      if (object) {
        Key(json);
        if (!Take(":")) return text_.remove_prefix(text_.size());
        *json += ": ";
      }
      Value(depth + 1, json);
    }
    *json += close;
  }

  void Key(std::string* json) {
    SkipSpace();
    if (text_.starts_with(kQuote) || text_.starts_with('\'') || text_.starts_with('"')) {
      *json += DumpString(Text());
      return;
    }
    const size_t end = std::min(text_.find(':'), text_.size());
    *json += DumpString(Trimmed(text_.substr(0, end)));
    text_.remove_prefix(end);
  }

  // REQUIRES: a quote is next.
  std::string Text() {
    std::string out;
    if (text_.starts_with(kQuote)) {
      text_.remove_prefix(kQuote.size());
      const size_t end = std::min(text_.find(kQuote), text_.size());
      out = text_.substr(0, end);
      text_.remove_prefix(std::min(end + kQuote.size(), text_.size()));
      return out;
    }
    const char quote = text_[0];
    text_.remove_prefix(1);
    while (!text_.empty() && text_[0] != quote) {
      if (text_[0] == '\\' && text_.size() > 1) {
        Escape(quote, &out);
      } else {
        out += text_[0];
        text_.remove_prefix(1);
      }
    }
    if (!text_.empty()) text_.remove_prefix(1);
    return out;
  }

  // REQUIRES: a backslash and another character are next. As in Python, a backslash before what it
  // says nothing about stays: such as in a pattern, or a path of Windows.
  void Escape(char quote, std::string* out) {
    const char c = text_[1];
    constexpr std::string_view kFrom = "nrtbfav\\'\"", kTo = "\n\r\t\b\f\a\v\\'\"";
    if (const size_t at = kFrom.find(c); at != kFrom.npos) {
      text_.remove_prefix(2);
      *out += kTo[at];
    } else if (const size_t digits = HexDigits(c);
               digits > 0 && IsHex(text_.substr(2, digits), digits)) {
      text_.remove_prefix(2);
      AppendUtf8(Unit(digits), out);
    } else {
      text_.remove_prefix(1);
      if (c != '/' || quote != '"') *out += '\\';  // JSON escapes a slash
    }
  }

  // How many follow the letter of an escape by code point; 0 for others.
  static size_t HexDigits(char c) { return c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0; }

  static bool IsHex(std::string_view text, size_t digits) {
    return text.size() == digits && text.find_first_not_of("0123456789abcdefABCDEF") == text.npos;
  }

  // A code point, of two units where JSON takes two. REQUIRES: so many digits are next.
  uint32_t Unit(size_t digits) {
    const auto code = Hex(digits);
    if (code >= 0xD800 && code < 0xDC00 && text_.starts_with("\\u") &&
        IsHex(text_.substr(2, 4), 4)) {
      const std::string_view before = text_;
      text_.remove_prefix(2);
      const uint32_t unit = Hex(4);
      if (unit >= 0xDC00 && unit < 0xE000) {
        return 0x10000 + ((code - 0xD800) << 10) + (unit - 0xDC00);
      }
      text_ = before;
    }
    return (code >= 0xD800 && code < 0xE000) || code > 0x10FFFF ? 0xFFFD : code;
  }

  uint32_t Hex(size_t digits) {
    const std::string hex(text_.substr(0, digits));
    text_.remove_prefix(digits);
    return static_cast<uint32_t>(std::strtoul(hex.c_str(), nullptr, 16));
  }

  void Word(std::string* json) {
    const size_t end = std::min(text_.find_first_of(",]})"), text_.size());
    const std::string_view word = Trimmed(text_.substr(0, end));
    text_.remove_prefix(end);
    if (word == "True" || word == "False") {
      *json += word == "True" ? "true" : "false";
    } else if (word == "None") {
      *json += "null";
    } else {
      *json += IsJson(word) ? std::string(word) : DumpString(word);
    }
  }

  std::string_view text_;
};

// Where the argument at the beginning of the text ends: at a comma or `close` that stands in no
// string or bracket. npos if it goes on.
size_t EndOfArgument(std::string_view text, char close) {
  size_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (text.substr(i).starts_with(kQuote)) {
      const size_t end = text.find(kQuote, i + kQuote.size());
      if (end == text.npos) return end;
      i = end + kQuote.size() - 1;
    } else if (c == '\'' || c == '"') {
      for (++i; i < text.size() && text[i] != c; ++i) i += text[i] == '\\' ? 1 : 0;
      if (i >= text.size()) return text.npos;
    } else if (depth == 0 && (c == ',' || c == close)) {
      return i;
    } else if (c == '[' || c == '{' || c == '(') {
      ++depth;
    } else if (c == ']' || c == '}' || c == ')') {
      --depth;
    }
  }
  return text.npos;
}

}  // namespace

std::string ValueToJson(std::string_view text) {
  const std::string_view value = Trimmed(text);
  if (IsJson(value)) return std::string(value);
  std::string json = ValueReader(value).Read();
  return json.empty() ? DumpString(text) : json;
}

bool ArgumentReader::Read(std::string* held, std::string* json) {
  switch (form_.arguments) {
    case CallForm::Arguments::kJson:
      return ReadJson(held, json);
    case CallForm::Arguments::kTagged:
      return ReadTagged(held, json);
    case CallForm::Arguments::kPythonic:
    case CallForm::Arguments::kGemma:
      break;
  }
  return ReadNamed(held, json);
}

bool ArgumentReader::Read(size_t call, std::string* held, std::vector<ChatPiece>* pieces) {
  std::string json;
  const bool whole = Read(held, &json);
  if (!json.empty()) {
    pieces->push_back({ChatPiece::Kind::kArguments, std::move(json), call, {}, {}});
  }
  if (whole) pieces->push_back({ChatPiece::Kind::kCallEnd, {}, call, {}, {}});
  return whole;
}

// Arguments end where their outermost brace is closed. Braces in strings do not count, and a quote
// behind a backslash does not end a string, so that no JSON parser is needed to stream them.
bool ArgumentReader::ReadJson(std::string* held, std::string* json) {
  size_t size = 0;
  bool whole = false;
  while (size < held->size() && !whole) {
    const char c = (*held)[size++];
    if (in_text_) {
      in_text_ = escaped_ || c != '"';
      escaped_ = !escaped_ && c == '\\';
    } else if (c == '"') {
      in_text_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (c == '}' || c == ']') {
      whole = --depth_ == 0;
    }
  }
  *json += held->substr(0, size);
  held->erase(0, size);
  return whole;
}

void ArgumentReader::BeginArgument(std::string_view key, std::string* json) {
  *json += (arguments_++ == 0 ? "{" : ", ") + DumpString(key) + ": ";
}

bool ArgumentReader::ReadTagged(std::string* held, std::string* json) {
  while (true) {
    if (in_value_) {
      if (!ReadValue(held, json)) return false;
      continue;
    }
    if (held->starts_with(form_.key_before)) {
      const size_t begin = form_.key_before.size();
      const size_t text = held->find(form_.key_after, begin);
      const size_t other = held->find(form_.key_after_other, begin);
      if (text == held->npos && other == held->npos) return false;
      const bool typed = text != other;  // the form itself tells strings from others
      const bool is_text = typed && text < other;
      const std::string key = held->substr(begin, std::min(text, other) - begin);
      held->erase(
          0, std::min(text, other) + (is_text ? form_.key_after : form_.key_after_other).size());
      BeginArgument(key, json);
      in_value_ = true;
      is_string_ = typed ? is_text : strings_.contains(key);
      if (is_string_) *json += '"';
      continue;
    }
    const bool ends = held->starts_with(form_.after);
    if (!ends && (form_.key_before.starts_with(*held) || form_.after.starts_with(*held))) {
      return false;
    }
    *json += arguments_ == 0 ? "{}" : "}";
    return true;
  }
}

// REQUIRES: in_value_.
bool ArgumentReader::ReadValue(std::string* held, std::string* json) {
  const size_t end = held->find(form_.value_after);
  if (end == held->npos) {
    if (!is_string_) return false;
    const size_t certain = held->size() - PartAtEnd(*held, form_.value_after);
    *json += Escaped(std::string_view(*held).substr(0, certain));
    held->erase(0, certain);
    return false;
  }
  const std::string_view value = std::string_view(*held).substr(0, end);
  *json += is_string_ ? Escaped(value) + '"' : ValueToJson(value);
  held->erase(0, end + form_.value_after.size());
  in_value_ = false;
  return true;
}

bool ArgumentReader::ReadNamed(std::string* held, std::string* json) {
  const bool python = form_.arguments == CallForm::Arguments::kPythonic;
  const char close = python ? ')' : '}';
  while (true) {
    const size_t end = EndOfArgument(*held, close);
    if (end == held->npos) return false;
    const bool last = (*held)[end] == close;
    const std::string_view argument = Trimmed(std::string_view(*held).substr(0, end));
    const size_t split = argument.find(python ? '=' : ':');
    if (split != argument.npos) {
      BeginArgument(Trimmed(argument.substr(0, split)), json);
      *json += ValueToJson(argument.substr(split + 1));
    }
    held->erase(0, end + (last ? 0 : 1));
    if (!last) continue;
    *json += arguments_ == 0 ? "{}" : "}";
    return true;
  }
}

}  // namespace lockstep
