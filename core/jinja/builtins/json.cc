// The filter tojson, as the chat templates' own: Python's json.dumps, with ensure_ascii off.
#include <algorithm>
#include <cmath>

#include "core/jinja/builtins/builtins.h"
#include "core/jinja/numbers.h"
#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

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

  static std::string Number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return FloatRepr(value);
  }

  void Object(const Dict& dict) {
    if (dict.entries.empty()) return Add("{}");
    run_.budget().Make(dict.entries.size() * 2 * sizeof(Value));
    std::vector<std::pair<Value, Value>> keyed;  // key, (key, value)
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

  void AppendCharacterOf(std::string_view character, std::string* out) const {
    static constexpr std::string_view kShort = "\"\\\n\r\t\b\f";
    static constexpr std::string_view kLetters = "\"\\nrtbf";
    const uint32_t c = FirstCharacter(character);
    const size_t at = kShort.find(character[0]);
    if (at != kShort.npos) {
      *out += '\\';
      *out += kLetters[at];
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

}  // namespace

Value ToJson(BuiltinCall& call) {
  JsonWriter writer(&call, call.self.AllTrusted());
  writer.Write(call.self);
  return call.run.New(writer.Take());
}

}  // namespace lockstep::jinja
