// The filters tojson, as Hugging Face's chat templates have it (Python's json.dumps with
// ensure_ascii off, where jinja2's own escapes for HTML), and from_json (json.loads), which some
// templates take for granted in order to read a tool call's arguments.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "core/base/utf8.h"
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/builtins/selection.h"
#include "core/jinja/numbers.h"

namespace lockstep::jinja {
namespace {

// What a letter behind a backslash stands for, place by place. A "/" may be escaped as well, but
// only the reader knows it: json.dumps does not write it so.
constexpr std::string_view kEscapeLetters = "\"\\nrtbf";
constexpr std::string_view kEscaped = "\"\\\n\r\t\b\f";

// Writes as json.dumps does: ", " and ": " between the parts, the comma without its space where
// `indent` puts each item on a line of its own. The whole output has one trust mark, as in a list's
// repr: JSON with any client's text in it counts as the client's, braces included.
class JsonWriter {
 public:
  JsonWriter(BuiltinCall* call, bool trusted)
      : run_(call->run), out_(&call->run.budget()), trusted_(trusted) {
    ensure_ascii_ = call->Truth(0);
    if (call->Has(1) && !call->At(1).IsNone()) {
      const Value& indent = call->At(1);
      indented_ = true;
      if (indent.AsText() != nullptr) {
        indent_ = indent.AsText()->bytes();
      } else {
        const int64_t width = std::max<int64_t>(call->Int(1, 0), 0);
        run_.budget().Make(static_cast<size_t>(width));
        indent_.assign(static_cast<size_t>(width), ' ');
      }
      comma_ = ",";
    }
    if (call->Has(2) && !call->At(2).IsNone()) {
      const std::vector<Value> separators = run_.Items(call->At(2));
      if (separators.size() != 2) Throw("tojson's separators are two strings");
      comma_ = run_.Str(separators[0]).bytes();
      colon_ = run_.Str(separators[1]).bytes();
    }
    sort_keys_ = call->Truth(3);
  }

  // A bool is an integer, too, so it is asked for first.
  void Write(const Value& value) {
    run_.budget().Step();
    if (value.IsNone()) return Add("null");
    if (const bool* boolean = value.As<bool>()) return Add(*boolean ? "true" : "false");
    if (value.IsInteger()) return Add(value.Digits());
    if (value.IsNumber()) return Add(Number(value.Number()));
    if (const Text* text = value.AsText()) return String(text->bytes());
    if (const Dict* dict = value.AsDict()) return Object(*dict);
    const List* list = value.AsList();
    if (list == nullptr || (list->kind != List::Kind::kList && !list->IsTuple())) {
      Throw("tojson cannot write a {}", value.TypeName());
    }
    if (list->items.empty()) return Add("[]");
    Add("[");
    ++level_;
    for (size_t i = 0; i < list->items.size(); ++i) {
      Separate(i > 0);
      Write(list->items[i]);
    }
    Close("]");
  }

  Text Take() { return out_.Take(); }

 private:
  void Add(std::string_view text) { out_.Append(text, trusted_); }

  void Separate(bool comma) {
    if (comma) Add(comma_);
    NewLine();
  }
  void NewLine() {
    if (!indented_) return;
    Add("\n");
    for (size_t i = 0; i < level_; ++i) Add(indent_);
  }
  void Close(std::string_view bracket) {
    --level_;
    NewLine();
    Add(bracket);
  }

  // JSON has no such numbers; Python writes them all the same (allow_nan).
  static std::string Number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return FloatRepr(value);
  }

  void Object(const Dict& dict) {
    if (dict.entries.empty()) return Add("{}");
    run_.budget().Make(dict.entries.size() * 2 * sizeof(Value));
    // sort_keys orders keys as "<" does, so keys of different types fail, as in Python.
    Keyed keyed;  // key, (key, value)
    for (const auto& [key, value] : dict.entries) {
      keyed.emplace_back(key, run_.NewList({key, value}, List::Kind::kTuple));
    }
    if (sort_keys_) SortValues(run_, &keyed, false);
    Add("{");
    ++level_;
    for (size_t i = 0; i < keyed.size(); ++i) {
      Separate(i > 0);
      Key(keyed[i].first);
      Add(colon_);
      Write(keyed[i].second.AsList()->items[1]);
    }
    Close("}");
  }

  // JSON's keys are strings, so json.dumps puts numbers, booleans and null in quotes: {1: 2}
  // becomes {"1": 2}.
  void Key(const Value& key) {
    if (key.AsText() != nullptr) return Write(key);
    if (!key.IsNone() && !key.IsNumber())
      Throw("tojson cannot write a key of type {}", key.TypeName());
    Add("\"");
    Write(key);
    Add("\"");
  }

  void String(std::string_view text) {
    std::string quoted = "\"";
    run_.budget().Make(text.size());
    for (size_t length; !text.empty(); text.remove_prefix(length)) {
      length = CharacterLength(text);
      AppendCharacterOf(text.substr(0, length), &quoted);
    }
    Add(quoted + '"');
  }

  // RFC 8259 wants quotes, backslashes and controls escaped. ensure_ascii escapes all beyond ASCII
  // as well, what lies above U+FFFF as a pair of surrogates.
  void AppendCharacterOf(std::string_view character, std::string* out) const {
    const uint32_t c = FirstCodePoint(character);
    const size_t at = kEscaped.find(character[0]);
    if (at != kEscaped.npos) {
      *out += '\\';
      *out += kEscapeLetters[at];
    } else if (c >= 0x10000 && ensure_ascii_) {
      *out +=
          fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + (c & 0x3FF));
    } else if (c < 0x20 || (c >= 0x7F && ensure_ascii_ && c != 0x7F)) {
      *out += fmt::format("\\u{:04x}", c);
    } else {
      *out += character;
    }
  }

  Interpreter& run_;
  Builder out_;
  const bool trusted_;
  bool ensure_ascii_ = false;
  bool indented_ = false;
  bool sort_keys_ = false;
  std::string indent_;
  std::string comma_ = ", ";
  std::string colon_ = ": ";
  size_t level_ = 0;
};

// Builds the value that json.loads would, with the trust marks of the text that it reads. Python's
// grammar is RFC 8259's and the three words NaN, Infinity and -Infinity.
class JsonReader {
 public:
  JsonReader(Interpreter* run, const Text& text) : run_(*run), text_(text), rest_(text.bytes()) {}

  Value Read() {
    Value value = ReadValue(0);
    if (SkipSpaces(); !rest_.empty()) FailHere("its end");
    return value;
  }

 private:
  [[noreturn]] void FailHere(std::string_view expected) const {
    Throw("from_json: expected {} at byte {}", expected, At());
  }

  size_t At() const { return text_.size() - rest_.size(); }
  void SkipSpaces() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\r"), rest_.size()));
  }
  bool Skip(std::string_view what) {
    if (!rest_.starts_with(what)) return false;
    rest_.remove_prefix(what.size());
    return true;
  }
  // Skips white space, too.
  bool SkipSign(std::string_view sign) {
    SkipSpaces();
    return Skip(sign);
  }

  Value ReadValue(size_t depth) {
    run_.budget().Step();
    // NewList refuses deep values only when they are complete, which is too late for the stack.
    if (depth > Value::kMaxDepth) Throw("from_json: nested more than {} deep", Value::kMaxDepth);
    if (SkipSign("{")) return ReadObject(depth);
    if (Skip("[")) return ReadArray(depth);
    if (Skip("\"")) return ReadString();
    if (Skip("null")) return Value::Null();
    if (Skip("true")) return Value::Bool(true);
    if (Skip("false")) return Value::Bool(false);
    if (Skip("NaN")) return Value::Float(std::nan(""));
    if (Skip("Infinity")) return Value::Float(HUGE_VAL);
    if (Skip("-Infinity")) return Value::Float(-HUGE_VAL);
    return ReadNumber();
  }

  // Where a key comes twice, its last value counts.
  Value ReadObject(size_t depth) {
    Dict dict;
    bool more = !SkipSign("}");
    while (more) {
      if (!SkipSign("\"")) FailHere("a key in double quotes");
      Value key = ReadString();
      if (!SkipSign(":")) FailHere("':'");
      dict.Set(std::move(key), ReadValue(depth + 1));
      more = SkipSign(",");
      if (!more && !Skip("}")) FailHere("',' or '}'");
    }
    return run_.NewDict(std::move(dict));
  }

  Value ReadArray(size_t depth) {
    std::vector<Value> items;
    bool more = !SkipSign("]");
    while (more) {
      items.push_back(ReadValue(depth + 1));
      more = SkipSign(",");
      if (!more && !Skip("]")) FailHere("',' or ']'");
    }
    return run_.NewList(std::move(items));
  }

  // RFC 8259 has no leading zeros and no bare points: "01" ends behind its 0, and "1." fails. A
  // number with neither fraction nor exponent is an integer of any size.
  Value ReadNumber() {
    static constexpr std::string_view kDigits = "0123456789";
    const std::string_view all = rest_;
    const auto skip_digits = [&] {
      const size_t size = std::min(rest_.find_first_not_of(kDigits), rest_.size());
      if (size == 0) FailHere("a value");
      rest_.remove_prefix(size);
    };
    Skip("-");
    if (!Skip("0")) skip_digits();
    const size_t integer = all.size() - rest_.size();
    if (Skip(".")) skip_digits();
    if (Skip("e") || Skip("E")) {
      if (!Skip("+")) Skip("-");
      skip_digits();
    }
    const std::string_view number = all.substr(0, all.size() - rest_.size());
    run_.budget().Make(number.size());
    if (number.size() == integer) return Value::Integer(number);
    return Value::Float(std::strtod(std::string(number).c_str(), nullptr));
  }

  // Behind the opening quote. What stands plainly is copied with its marks; what an escape stands
  // for has the mark of the backslash. A control character is an error, as in Python's strict mode.
  Value ReadString() {
    Builder out(&run_.budget());
    while (true) {
      size_t plain = 0;
      while (plain < rest_.size() && rest_[plain] != '"' && rest_[plain] != '\\' &&
             static_cast<uint8_t>(rest_[plain]) >= 0x20) {
        ++plain;
      }
      out.AppendSlice(text_, At(), At() + plain);
      rest_.remove_prefix(plain);
      if (Skip("\"")) return run_.New(std::move(out));
      const size_t escape = At();
      if (!Skip("\\") || rest_.empty()) FailHere("'\"'");
      std::string character;
      if (Skip("u")) {
        AppendUtf8(ReadEscape(), &character);
      } else {
        const size_t letter = kEscapeLetters.find(rest_[0]);
        if (letter == kEscapeLetters.npos && rest_[0] != '/') FailHere("an escape");
        character = letter == kEscapeLetters.npos ? '/' : kEscaped[letter];
        rest_.remove_prefix(1);
      }
      out.Append(character, text_.TrustedAt(escape));
    }
  }

  // Behind "\u": four digits, or a pair of surrogates. Python keeps half a pair as it is; here it
  // is an error, since a prompt is UTF-8 and cannot hold it.
  uint32_t ReadEscape() {
    const uint32_t high = ReadHex();
    if (high < 0xD800 || high > 0xDFFF) return high;
    const uint32_t low = Skip("\\u") ? ReadHex() : 0;
    if (high > 0xDBFF || low < 0xDC00 || low > 0xDFFF) FailHere("a pair of surrogates");
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
  }
  uint32_t ReadHex() {
    uint32_t code = 0;
    const char* const end = rest_.data() + std::min<size_t>(rest_.size(), 4);
    const auto result = std::from_chars(rest_.data(), end, code, 16);
    if (result.ptr != rest_.data() + 4) FailHere("four hexadecimal digits");
    rest_.remove_prefix(4);
    return code;
  }

  Interpreter& run_;
  const Text& text_;
  std::string_view rest_;
};

Value ToJson(BuiltinCall& call) {
  JsonWriter writer(&call, call.self.AllTrusted());
  writer.Write(call.self);
  return call.run.New(writer.Take());
}

Value FromJson(BuiltinCall& call) {
  const Text* text = call.self.AsText();
  if (text == nullptr) Throw("from_json needs a string, not a {}", call.self.TypeName());
  call.run.budget().Scan(text->size());
  return JsonReader(&call.run, *text).Read();
}

constexpr Builtin kFilters[] = {
    {"from_json", "", FromJson},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", ToJson},
};

}  // namespace

std::span<const Builtin> JsonFilters() { return kFilters; }

}  // namespace lockstep::jinja
