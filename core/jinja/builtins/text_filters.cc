// jinja2's filters that make text. Their names are often those of string methods, and their rules
// are not: title begins words at white space and brackets, the method at every letter behind a
// non-letter; default arguments differ; and each takes str(value) of what is no string.
#include <algorithm>
#include <array>

#include "core/base/utf8.h"
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/builtins/format.h"
#include "core/jinja/builtins/text_functions.h"
#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

// Words begin behind white space, "-" and opening brackets. jinja2 splits at [-\s({\[<]+, so "it's
// a-b" becomes "It's A-B".
Value TitleFilter(BuiltinCall& call) {
  const Text text = call.SelfText();
  const std::string_view bytes = text.bytes();
  const auto separates = [](uint32_t c) {
    return IsSpace(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  Builder out(&call.run.budget());
  for (size_t at = 0; at < bytes.size();) {
    const bool separator = separates(FirstCodePoint(bytes.substr(at)));
    size_t end = at;
    while (end < bytes.size() && separates(FirstCodePoint(bytes.substr(end))) == separator) {
      end += CharacterLength(bytes.substr(end));
    }
    out.Append(Capitalized(call.run, text.Slice(at, end)));
    at = end;
  }
  return call.run.New(std::move(out));
}

// The filter takes None for a count, which the method does not.
Value ReplaceFilter(BuiltinCall& call) {
  const int64_t count = call.Has(2) && !call.At(2).IsNone() ? call.Int(2, -1) : -1;
  return call.run.New(Replaced(call.run, call.SelfText(), call.Str(0, ""), call.Str(1, ""), count));
}

Value StringFilter(BuiltinCall& call) { return call.run.New(call.SelfText()); }

// "%s, %s" | format(a, b) is "%s, %s" % (a, b), and named arguments are the dict behind "%".
Value FormatFilter(BuiltinCall& call) {
  if (!call.rest.named.empty()) {
    if (!call.rest.positional.empty())
      Throw("format takes positional or named arguments, not both");
    Dict dict;
    for (auto& [name, value] : call.rest.named) dict.Set(Literal(name), std::move(value));
    return FormatPercent(call.run, call.SelfText(), call.run.NewDict(std::move(dict)));
  }
  return FormatPercent(call.run, call.SelfText(),
                       call.run.NewList(std::move(call.rest.positional), List::Kind::kTuple));
}

// The entities are those of markupsafe, which jinja2 uses. What stands for a character has that
// character's mark.
Value Escape(BuiltinCall& call) {
  static constexpr std::array<std::pair<char, std::string_view>, 5> kEntities = {
      {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'\'', "&#39;"}, {'"', "&#34;"}}};
  const Text text = call.SelfText();
  Builder out(&call.run.budget());
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    for (const auto& [c, entity] : kEntities) {
      if (text.bytes()[at] != c) continue;
      out.AppendSlice(text, begin, at);
      out.Append(entity, text.TrustedAt(at));
      begin = at + 1;
    }
  }
  out.AppendSlice(text, begin, text.size());
  return call.run.New(std::move(out));
}

// Byte by byte, as the encoding of a URL is of UTF-8. What stays plain is what Python's
// urllib.parse.quote keeps with safe="/".
Value UrlEncode(BuiltinCall& call) {
  static constexpr std::string_view kPlain = "_.-~/";
  const Text text = call.SelfText();
  Builder out(&call.run.budget());
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text.bytes()[at];
    const bool letter = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
    if (letter || kPlain.find(c) != kPlain.npos) {
      out.AppendSlice(text, at, at + 1);
    } else {
      out.Append(fmt::format("%{:02X}", static_cast<uint8_t>(c)), text.TrustedAt(at));
    }
  }
  return call.run.New(std::move(out));
}

// The first line is indented only with `first`, and an empty one only with `blank`.
Value Indent(BuiltinCall& call) {
  Text text = call.SelfText();
  Builder indent(&call.run.budget());
  if (call.Has(0) && call.At(0).AsText() != nullptr) {
    indent.Append(call.TextAt(0));
  } else {
    const int64_t width = call.Int(0, 4);
    indent.Repeat(Text(" ", true), static_cast<size_t>(std::max<int64_t>(width, 0)));
  }
  const bool blank = call.Truth(2);
  text.Append("\n", true);  // a newline at the end makes an empty last line
  const std::vector<Value> lines = SplitLines(call.run, text, false);
  Builder out(&call.run.budget());
  if (call.Truth(1)) out.Append(indent.text());
  for (size_t i = 0; i < lines.size(); ++i) {
    const Text& line = *lines[i].AsText();
    if (i > 0) out.Append("\n", true);
    if (i > 0 && (blank || !line.empty())) out.Append(indent.text());
    out.Append(line);
  }
  return call.run.New(std::move(out));
}

// Text that is longer by no more than `leeway` stays whole: there is little to gain by cutting it.
// 255 and 5 are jinja2's defaults (policies["truncate.leeway"]); the length includes the end "...".
Value Truncate(BuiltinCall& call) {
  const Text text = call.SelfText();
  const Text end = call.Str(2, "...");
  const int64_t length = call.Int(0, 255);
  const int64_t leeway = call.Has(3) && !call.At(3).IsNone() ? call.Int(3, 5) : 5;
  const int64_t kept = length - static_cast<int64_t>(CountCharacters(end.bytes()));
  if (kept < 0 || leeway < 0) Throw("truncate needs a length of at least that of its end");
  const int64_t size = static_cast<int64_t>(CountCharacters(text.bytes()));
  if (size <= leeway || size - leeway <= length) return call.run.New(text);
  size_t cut = CharacterOffset(text.bytes(), static_cast<size_t>(kept));
  if (!call.Truth(1) && cut > 0) {  // at the last space before it
    const size_t space = text.bytes().rfind(' ', cut - 1);
    if (space != std::string::npos) cut = space;
  }
  Builder out(&call.run.budget());
  out.AppendSlice(text, 0, cut);
  out.Append(end);
  return call.run.New(std::move(out));
}

// A word is what the regular expression \w+ finds.
Value WordCount(BuiltinCall& call) {
  const Text text = call.SelfText();
  int64_t words = 0;
  bool inside = false;
  for (std::string_view rest = text.bytes(); !rest.empty();) {
    const uint32_t c = FirstCodePoint(rest);
    const bool word = IsAlpha(c) || IsDigit(c) || c == '_';
    words += word && !inside ? 1 : 0;
    inside = word;
    rest.remove_prefix(CharacterLength(rest));
  }
  return Value::Int(words);
}

// safe does no more than string: without autoescape there is no markup to mark as safe.
constexpr Builtin kFilters[] = {
    {"capitalize", "", CapitalizeText},
    {"center", "width?",
     [](BuiltinCall& call) {
       return call.run.New(Centered(call.run, call.SelfText(), call.Int(0, 80), Text(" ", true)));
     }},
    {"e", "", Escape},
    {"escape", "", Escape},
    {"forceescape", "", Escape},
    {"format", "* **", FormatFilter},
    {"indent", "width? first? blank?", Indent},
    {"lower", "", MapText<Lower>},
    {"replace", "old new count?", ReplaceFilter},
    {"safe", "", StringFilter},
    {"string", "", StringFilter},
    {"title", "", TitleFilter},
    {"trim", "chars?", StripText},
    {"truncate", "length? killwords? end? leeway?", Truncate},
    {"upper", "", MapText<Upper>},
    {"urlencode", "", UrlEncode},
    {"wordcount", "", WordCount},
};

}  // namespace

std::span<const Builtin> TextFilters() { return kFilters; }

}  // namespace lockstep::jinja
