// What a value looks like as text: Python's str() and repr(), which "{{ x }}", "~", join and the
// string filter print. A prompt must not differ by a character from the one that the model was
// trained on, so quotes, escapes and the spelling of floats are Python's.
#include "core/base/utf8.h"
#include "core/jinja/interpreter.h"
#include "core/jinja/numbers.h"
#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

void AppendEscaped(uint32_t c, std::string* out) {
  *out += c < 0x100     ? fmt::format("\\x{:02x}", c)
          : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                        : fmt::format("\\U{:08x}", c);
}

// repr() puts a string in single quotes, unless it has some and no double ones. So it's becomes
// "it's", and it's "so" becomes 'it\'s "so"'.
std::string Quoted(std::string_view text) {
  const bool has_single = text.find('\'') != text.npos;
  const char quote = has_single && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t length; !text.empty(); text.remove_prefix(length)) {
    length = CharacterLength(text);
    const uint32_t c = FirstCodePoint(text);
    if (c == '\\' || c == static_cast<uint8_t>(quote)) {
      out.append("\\").append(text.substr(0, 1));
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (IsPrintable(c)) {
      out += text.substr(0, length);
    } else {
      AppendEscaped(c, &out);
    }
  }
  return out + quote;
}

}  // namespace

Text Interpreter::Str(const Value& value) {
  if (value.AsText() != nullptr) return *value.AsText();
  Builder out(&budget());
  AppendStr(value, &out);
  return out.Take();
}

void Interpreter::AppendStr(const Value& value, Builder* out) {
  if (const Text* text = value.AsText()) return out->Append(*text);
  if (!value.IsUndefined()) AppendRepr(value, value.AllTrusted(), out);
}

// A list or a dict with any text of the input's in it counts as input, punctuation included.
void Interpreter::AppendRepr(const Value& value, bool trusted, Builder* out) {
  budget().Step();
  const auto add = [&](std::string_view text) { out->Append(text, trusted); };
  if (value.IsUndefined()) return add("Undefined");
  if (value.IsNone()) return add("None");
  if (const bool* boolean = value.As<bool>()) return add(*boolean ? "True" : "False");
  if (value.IsInteger()) return add(value.Digits());
  if (value.IsNumber()) return add(FloatRepr(value.Number()));
  if (const Text* text = value.AsText()) {
    budget().Make(text->size());
    return add(Quoted(text->bytes()));
  }
  if (Object* const object = value.AsObject()) {
    Throw("a {} cannot be written as text", object->TypeName());
  }
  if (const Dict* dict = value.AsDict()) {
    add("{");
    for (size_t i = 0; i < dict->entries.size(); ++i) {
      if (i > 0) add(", ");
      AppendRepr(dict->entries[i].first, trusted, out);
      add(": ");
      AppendRepr(dict->entries[i].second, trusted, out);
    }
    return add("}");
  }
  const List& list = *value.AsList();
  if (list.kind == List::Kind::kGenerator) Throw("a generator cannot be written as text: use list");
  // A range keeps its items and not its end; the end that is printed is the nearest that makes
  // them. Python's range(0, 11, 3) thus reads range(0, 10, 3).
  if (list.kind == List::Kind::kRange) {
    const int64_t first = list.items.empty() ? 0 : list.items.front().Int64();
    const int64_t step = list.items.size() < 2 ? 1 : list.items[1].Int64() - first;
    const int64_t end = list.items.empty() ? 0 : list.items.back().Int64() + (step > 0 ? 1 : -1);
    add(step == 1 ? fmt::format("range({}, {})", first, end)
                  : fmt::format("range({}, {}, {})", first, end, step));
    return;
  }
  const std::string_view around = list.IsTuple() ? "()" : "[]";
  if (list.kind == List::Kind::kView) add("dict_values(");
  add(around.substr(0, 1));
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) add(", ");
    AppendRepr(list.items[i], trusted, out);
  }
  // Python writes a tuple of one as (1,).
  if (list.IsTuple() && list.items.size() == 1) add(",");
  add(around.substr(1));
  if (list.kind == List::Kind::kView) add(")");
}

}  // namespace lockstep::jinja
