// str() and repr() of values, and what string methods and filters have in common.
#include <string.h>

#include "core/base/utf8.h"
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/numbers.h"
#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

// The characters of `text` from either end that are in `characters`, or are white space.
bool IsStripped(std::string_view character, const Text* characters) {
  if (characters == nullptr) return IsSpace(FirstCodePoint(character));
  return characters->bytes().find(character) != std::string::npos;
}

void AppendEscaped(uint32_t c, std::string* out) {
  *out += c < 0x100     ? fmt::format("\\x{:02x}", c)
          : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                        : fmt::format("\\U{:08x}", c);
}

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
  if (list.IsTuple() && list.items.size() == 1) add(",");
  add(around.substr(1));
  if (list.kind == List::Kind::kView) add(")");
}

std::vector<Value> SplitLines(Interpreter& run, const Text& text, bool keep_ends) {
  std::vector<Value> lines;
  const std::string_view bytes = text.bytes();
  run.budget().Scan(bytes.size());
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    const uint32_t c = FirstCodePoint(bytes.substr(at));
    size_t end = at + CharacterLength(bytes.substr(at));
    const bool ends = (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                      c == 0x2028 || c == 0x2029;
    if (ends) {
      if (c == '\r' && end < bytes.size() && bytes[end] == '\n') ++end;
      run.budget().Make(sizeof(Value) + sizeof(Text) + end - begin);
      lines.push_back(run.New(text.Slice(begin, keep_ends ? end : at)));
      begin = end;
    }
    at = end;
  }
  if (begin < bytes.size()) lines.push_back(run.New(text.Slice(begin, bytes.size())));
  return lines;
}

Text Stripped(Interpreter& run, const Text& text, const Value& characters, bool left, bool right) {
  const bool spaces = characters.IsNone() || characters.IsUndefined();
  const Text* const set = spaces ? nullptr : characters.AsText();
  if (!spaces && set == nullptr) {
    Throw("strip takes a string of characters, not a {}", characters.TypeName());
  }
  const std::string_view bytes = text.bytes();
  run.budget().Step(bytes.size() / 64 * (1 + (set == nullptr ? 0 : set->size())));
  size_t begin = 0;
  size_t end = bytes.size();
  while (left && begin < end) {
    const size_t length = CharacterLength(bytes.substr(begin));
    if (!IsStripped(bytes.substr(begin, length), set)) break;
    begin += length;
  }
  while (right && end > begin) {
    const size_t last = end - LastCharacterLength(bytes.substr(begin, end - begin));
    if (!IsStripped(bytes.substr(last, end - last), set)) break;
    end = last;
  }
  Builder out(&run.budget());
  out.AppendSlice(text, begin, end);
  return out.Take();
}

Text Replaced(Interpreter& run, const Text& text, const Text& from, const Text& to, int64_t count) {
  Builder out(&run.budget());
  const std::string& bytes = text.bytes();
  size_t begin = 0;
  if (from.empty()) {  // `to` goes before every character and behind the last
    for (; count != 0; --count) {
      out.Append(to);
      if (begin == bytes.size()) return out.Take();
      const size_t end = begin + CharacterLength(std::string_view(bytes).substr(begin));
      out.AppendSlice(text, begin, end);
      begin = end;
    }
  }
  for (; count != 0 && !from.empty(); --count) {
    run.budget().Step();
    const void* found =
        memmem(bytes.data() + begin, bytes.size() - begin, from.bytes().data(), from.size());
    if (found == nullptr) break;
    const size_t at = static_cast<size_t>(static_cast<const char*>(found) - bytes.data());
    out.AppendSlice(text, begin, at);
    out.Append(to);
    begin = at + from.size();
  }
  out.AppendSlice(text, begin, bytes.size());
  return out.Take();
}

Text Centered(Interpreter& run, const Text& text, int64_t width, const Text& fill) {
  const int64_t missing = width - static_cast<int64_t>(CountCharacters(text.bytes()));
  if (missing <= 0) return text;
  const int64_t left = missing / 2 + (missing & width & 1);
  Builder out(&run.budget());
  out.Repeat(fill, static_cast<size_t>(left));
  out.Append(text);
  out.Repeat(fill, static_cast<size_t>(missing - left));
  return out.Take();
}

Text Mapped(Interpreter& run, const Text& text, std::string (*map)(std::string_view)) {
  Builder out(&run.budget());
  size_t begin = 0;
  for (const Text::Run& part : text.runs()) {
    const std::string_view bytes = text.bytes();
    out.Append(map(bytes.substr(begin, part.end - begin)), part.trusted);
    begin = part.end;
  }
  return out.Take();
}

Text Capitalized(Interpreter& run, const Text& text) {
  if (text.empty()) return text;
  const size_t first = CharacterLength(text.bytes());
  const Text upper = Mapped(run, text.Slice(0, first), Upper);
  const size_t title = CharacterLength(upper.bytes());  // of "SS", which capitalises one letter
  Text out = upper.Slice(0, title);
  out.Append(Mapped(run, upper.Slice(title, upper.size()), Lower));
  out.Append(Mapped(run, text.Slice(first, text.size()), Lower));
  return out;
}

}  // namespace lockstep::jinja
