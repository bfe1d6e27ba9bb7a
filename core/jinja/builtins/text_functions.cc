// All of these work on Text rather than on bytes: a result's characters keep the trust marks of
// those that they came from, whatever the function does to them.
#include "core/jinja/builtins/text_functions.h"

#include <string.h>

#include "core/base/utf8.h"
#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

// Whether strip takes `character` away: it is one of `characters`, or white space if that is null.
bool IsStripped(std::string_view character, const Text* characters) {
  if (characters == nullptr) return IsSpace(FirstCodePoint(character));
  return characters->bytes().find(character) != std::string::npos;
}

}  // namespace

std::vector<Value> SplitLines(Interpreter& run, const Text& text, bool keep_ends) {
  std::vector<Value> lines;
  const std::string_view bytes = text.bytes();
  run.budget().Scan(bytes.size());
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    const uint32_t c = FirstCodePoint(bytes.substr(at));
    size_t end = at + CharacterLength(bytes.substr(at));
    // Python's list: \n, \v, \f, \r, the separators of files, groups and records (not of units),
    // NEL, and Unicode's line and paragraph separator. "\r\n" ends one line, not two.
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
  // Each character that goes is looked for in the whole set, hence the product.
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
  // memmem takes linear time, unlike std::string::find. A negative count never reaches 0.
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

// Where an odd number of characters is missing, Python puts the larger half to the left if the
// width is odd, too.
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

// Part by part, so that a mapping that changes lengths ("ß" to "SS") cannot move a mark.
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

// Python has title case for the few letters that are two in one ("ǆ" becomes "ǅ"); here they become
// upper case, which no template is known to depend on. The rest becomes lower case: "hELLO" is
// "Hello".
Text Capitalized(Interpreter& run, const Text& text) {
  if (text.empty()) return text;
  const size_t first = CharacterLength(text.bytes());
  const Text upper = Mapped(run, text.Slice(0, first), Upper);
  const size_t title = CharacterLength(
      upper.bytes());  // of "SS", which stands for one letter, only the first S stays
  Text out = upper.Slice(0, title);
  out.Append(Mapped(run, upper.Slice(title, upper.size()), Lower));
  out.Append(Mapped(run, text.Slice(first, text.size()), Lower));
  return out;
}

bool IsOfCase(const Text& text, bool (*wanted)(uint32_t), bool (*other)(uint32_t)) {
  bool any = false;
  for (std::string_view rest = text.bytes(); !rest.empty();) {
    const uint32_t c = FirstCodePoint(rest);
    if (other(c)) return false;
    any = any || wanted(c);
    rest.remove_prefix(CharacterLength(rest));
  }
  return any;
}

Value CapitalizeText(BuiltinCall& call) {
  return call.run.New(Capitalized(call.run, call.SelfText()));
}

Value StripText(BuiltinCall& call) {
  return call.run.New(Stripped(call.run, call.SelfText(), call.At(0, Value::Null()), true, true));
}

}  // namespace lockstep::jinja
