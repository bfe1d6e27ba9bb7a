// The methods of Python's str, by code points and with Unicode's letters. They are called on
// strings only, and take strings only, whereas the filters of text_filters.cc make text of
// anything. Searching is by memmem, since std::string::find takes quadratic time on a hostile text.
#include <string.h>

#include <algorithm>

#include "core/base/utf8.h"
#include "core/jinja/builtins/builtins.h"
#include "core/jinja/builtins/format.h"
#include "core/jinja/builtins/text_functions.h"
#include "core/jinja/unicode.h"

namespace lockstep::jinja {
namespace {

// Where a method begins, for those that Python has in two ways, such as find and rfind.
enum class Side { kLeft, kRight };
using enum Side;

// FindMethod looks into this table for strings only, so `self` is one.
const Text& Self(const BuiltinCall& call) { return *call.self.AsText(); }

Value Part(BuiltinCall& call, size_t begin, size_t end) {
  Builder out(&call.run.budget());
  out.AppendSlice(Self(call), begin, end);
  return call.run.New(std::move(out));
}

// A word is letters in a row: "it's" has two.
Value TitleMethod(BuiltinCall& call) {
  const Text& text = Self(call);
  const std::string_view bytes = text.bytes();
  Builder out(&call.run.budget());
  for (size_t at = 0; at < bytes.size();) {
    size_t end = at;
    while (end < bytes.size() && IsAlpha(FirstCodePoint(bytes.substr(end)))) {
      end += CharacterLength(bytes.substr(end));
    }
    if (end == at) {
      end += CharacterLength(bytes.substr(end));
      out.AppendSlice(text, at, end);
    } else {
      out.Append(Capitalized(call.run, text.Slice(at, end)));
    }
    at = end;
  }
  return call.run.New(std::move(out));
}

template <Side side>
Value StripOne(BuiltinCall& call) {
  return call.run.New(
      Stripped(call.run, Self(call), call.At(0, Value::Null()), side == kLeft, side == kRight));
}

// The first or last place of `what` in `text`, by byte; npos if there is none. Bytes are as good as
// characters here: UTF-8 matches whole characters or none.
size_t Find(std::string_view text, std::string_view what, Side side) {
  if (side == kRight) return text.rfind(what);
  const void* found = memmem(text.data(), text.size(), what.data(), what.size());
  if (found == nullptr) return text.npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

// The pieces around up to `limit` separators, or stretches of white space if there is none.
// Python's two ways differ: "a  b".split() is ["a", "b"], while "a  b".split(" ") is ["a", "",
// "b"]. A limit below 0 never counts down to 0, and so is none.
std::vector<Value> SplitFromLeft(BuiltinCall& call, const Text* separator, int64_t limit) {
  std::vector<Value> parts;
  const std::string_view bytes = Self(call).bytes();
  size_t begin = 0;
  const auto skip_spaces = [&] {
    while (begin < bytes.size() && IsSpace(FirstCodePoint(bytes.substr(begin)))) {
      begin += CharacterLength(bytes.substr(begin));
    }
  };
  for (; limit != 0; --limit) {
    if (separator != nullptr) {
      const size_t found = Find(bytes.substr(begin), separator->bytes(), kLeft);
      if (found == bytes.npos) break;
      parts.push_back(Part(call, begin, begin + found));
      begin += found + separator->size();
      continue;
    }
    skip_spaces();
    size_t end = begin;
    while (end < bytes.size() && !IsSpace(FirstCodePoint(bytes.substr(end)))) {
      end += CharacterLength(bytes.substr(end));
    }
    if (end == begin) return parts;
    parts.push_back(Part(call, begin, end));
    begin = end;
  }
  if (separator == nullptr) skip_spaces();
  if (separator != nullptr || begin < bytes.size())
    parts.push_back(Part(call, begin, bytes.size()));
  return parts;
}

// rsplit differs from split only where `limit` leaves something over: that is then at the left end.
std::vector<Value> SplitFromRight(BuiltinCall& call, const Text* separator, int64_t limit) {
  std::vector<Value> parts;
  std::string_view rest = Self(call).bytes();
  const auto ends_in_space = [&] {
    return !rest.empty() &&
           IsSpace(FirstCodePoint(rest.substr(rest.size() - LastCharacterLength(rest))));
  };
  const auto skip_spaces = [&] {
    while (ends_in_space()) rest.remove_suffix(LastCharacterLength(rest));
  };
  for (; limit != 0; --limit) {
    if (separator != nullptr) {
      const size_t at = Find(rest, separator->bytes(), kRight);
      if (at == rest.npos) break;
      parts.push_back(Part(call, at + separator->size(), rest.size()));
      rest = rest.substr(0, at);
      continue;
    }
    skip_spaces();
    const size_t end = rest.size();
    while (!rest.empty() && !ends_in_space()) rest.remove_suffix(LastCharacterLength(rest));
    if (end == rest.size()) break;
    parts.push_back(Part(call, rest.size(), end));
  }
  if (separator == nullptr) skip_spaces();
  if (separator != nullptr || !rest.empty()) parts.push_back(Part(call, 0, rest.size()));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

template <Side side>
Value Split(BuiltinCall& call) {
  const bool spaces = !call.Has(0) || call.At(0).IsNone();
  const Text* const separator = spaces ? nullptr : &call.TextAt(0);
  if (separator != nullptr && separator->empty())
    Throw("split needs a separator that is not empty");
  const int64_t limit = call.Int(1, -1);
  return call.run.NewList(side == kRight ? SplitFromRight(call, separator, limit)
                                         : SplitFromLeft(call, separator, limit));
}

// Without a match the text stands first for partition and last for rpartition.
template <Side side>
Value Partition(BuiltinCall& call) {
  const Text& separator = call.TextAt(0);
  if (separator.empty()) Throw("partition needs a separator that is not empty");
  const size_t size = Self(call).size();
  const size_t at = Find(Self(call).bytes(), separator.bytes(), side);
  if (at == std::string::npos) {
    std::vector<Value> parts(side == kRight ? 2 : 0, Literal(""));
    parts.push_back(call.self);
    while (parts.size() < 3) parts.push_back(Literal(""));
    return call.run.NewList(std::move(parts), List::Kind::kTuple);
  }
  const size_t behind = at + separator.size();
  return call.run.NewList({Part(call, 0, at), Part(call, at, behind), Part(call, behind, size)},
                          List::Kind::kTuple);
}

// Python's optional [start, end) behind the first argument, as bytes. A start behind the end gives
// begin > end, where not even an empty string is found.
std::pair<size_t, size_t> Bounds(BuiltinCall& call) {
  const std::string_view bytes = Self(call).bytes();
  if (!call.Has(1)) return {0, bytes.size()};
  const int64_t count = static_cast<int64_t>(CountCharacters(bytes));
  const auto offset = [&](size_t at, int64_t otherwise) {
    int64_t index = call.Has(at) && !call.At(at).IsNone() ? call.Int(at, 0) : otherwise;
    if (index < 0) index = std::max<int64_t>(index, -count) + count;
    return index > count ? bytes.npos : CharacterOffset(bytes, static_cast<size_t>(index));
  };
  return {offset(1, 0), std::min(offset(2, count), bytes.size())};
}

// startswith and endswith, which take one string or a tuple of which any may match.
template <Side side>
Value Matches(BuiltinCall& call) {
  const auto [begin, end] = Bounds(call);
  if (begin > end) return Value::Bool(false);
  const std::string_view bytes = std::string_view(Self(call).bytes()).substr(begin, end - begin);
  const auto matches = [&](const Value& value) {
    if (value.AsText() == nullptr) {
      Throw("{} needs a string or a tuple of them, not a {}", call.builtin.name, value.TypeName());
    }
    const std::string& what = value.AsText()->bytes();
    // UTF-8 needs no decoding here: a valid text begins or ends with another by whole characters.
    return side == kRight ? bytes.ends_with(what) : bytes.starts_with(what);
  };
  const List* list = call.At(0).AsList();
  if (list == nullptr || !list->IsTuple()) return Value::Bool(matches(call.At(0)));
  return Value::Bool(std::any_of(list->items.begin(), list->items.end(), matches));
}

// find and index, of which index fails where there is no such part. The result counts characters
// from the start of the whole text, not of [start, end).
template <Side side, bool fails>
Value FindPlace(BuiltinCall& call) {
  const auto [begin, end] = Bounds(call);
  const std::string_view bytes = Self(call).bytes();
  const Text& what = call.TextAt(0);
  if (begin <= end) {
    const size_t at = Find(bytes.substr(begin, end - begin), what.bytes(), side);
    if (at != bytes.npos) {
      return Value::Int(static_cast<int64_t>(CountCharacters(bytes.substr(0, begin + at))));
    }
  }
  if (fails) Throw("{}: the string has no such part", call.builtin.name);
  return Value::Int(-1);
}

// Matches do not overlap. The empty string is before each character and behind the last.
Value Count(BuiltinCall& call) {
  const auto [begin, end] = Bounds(call);
  if (begin > end) return Value::Int(0);
  std::string_view rest = std::string_view(Self(call).bytes()).substr(begin, end - begin);
  const std::string& what = call.TextAt(0).bytes();
  if (what.empty()) return Value::Int(static_cast<int64_t>(CountCharacters(rest)) + 1);
  int64_t count = 0;
  for (size_t at; (at = Find(rest, what, kLeft)) != rest.npos; ++count) {
    rest.remove_prefix(at + what.size());
  }
  return Value::Int(count);
}

// str.join takes strings only; the filter join takes anything.
Value JoinMethod(BuiltinCall& call) {
  Builder out(&call.run.budget());
  bool first = true;
  for (const Value& item : call.run.Items(call.At(0))) {
    if (item.AsText() == nullptr) Throw("join needs strings, not a {}", item.TypeName());
    if (!first) out.Append(Self(call));
    out.Append(*item.AsText());
    first = false;
  }
  return call.run.New(std::move(out));
}

Value RemovePrefix(BuiltinCall& call) {
  const std::string& prefix = call.TextAt(0).bytes();
  const bool has = Self(call).bytes().starts_with(prefix);
  return Part(call, has ? prefix.size() : 0, Self(call).size());
}
Value RemoveSuffix(BuiltinCall& call) {
  const std::string& suffix = call.TextAt(0).bytes();
  const bool has = Self(call).bytes().ends_with(suffix);
  return Part(call, 0, Self(call).size() - (has ? suffix.size() : 0));
}

// Widths count characters, as everywhere in Python, not bytes or columns of a terminal.
template <Side side>
Value Justify(BuiltinCall& call) {
  const Text fill = call.Str(1, " ");
  if (CountCharacters(fill.bytes()) != 1) Throw("{} fills with one character", call.builtin.name);
  const int64_t missing = call.Int(0, 0) - call.run.Length(call.self);
  Builder out(&call.run.budget());
  if (side == kLeft) out.Append(Self(call));
  out.Repeat(fill, missing > 0 ? static_cast<size_t>(missing) : 0);
  if (side == kRight) out.Append(Self(call));
  return call.run.New(std::move(out));
}

Value CenterMethod(BuiltinCall& call) {
  const Text fill = call.Str(1, " ");
  if (CountCharacters(fill.bytes()) != 1) Throw("center fills with one character");
  return call.run.New(Centered(call.run, Self(call), call.Int(0, 0), fill));
}

// Zeros go behind a sign: "-5".zfill(4) is "-005".
Value ZFill(BuiltinCall& call) {
  const int64_t missing = call.Int(0, 0) - call.run.Length(call.self);
  const std::string& bytes = Self(call).bytes();
  const size_t sign = bytes.starts_with('-') || bytes.starts_with('+') ? 1 : 0;
  Builder out(&call.run.budget());
  out.AppendSlice(Self(call), 0, sign);
  out.Repeat(Text("0", true), missing > 0 ? static_cast<size_t>(missing) : 0);
  out.AppendSlice(Self(call), sign, bytes.size());
  return call.run.New(std::move(out));
}

template <bool (*kHolds)(uint32_t)>
Value All(BuiltinCall& call) {
  std::string_view rest = Self(call).bytes();
  bool all = !rest.empty();
  for (; all && !rest.empty(); rest.remove_prefix(CharacterLength(rest))) {
    all = kHolds(FirstCodePoint(rest));
  }
  return Value::Bool(all);
}
bool IsAscii(uint32_t c) { return c < 0x80; }
bool IsAlphaOrDigit(uint32_t c) { return IsAlpha(c) || IsDigit(c); }

template <bool (*kWanted)(uint32_t), bool (*kOther)(uint32_t)>
Value OneCase(BuiltinCall& call) {
  return Value::Bool(IsOfCase(Self(call), kWanted, kOther));
}

// Python tells casefold from lower, and isdecimal, isdigit and isnumeric from one another, only
// beyond ASCII ("ß", "²", "½"); here each of them is the nearest one.
constexpr Builtin kMethods[] = {
    {"capitalize", "", CapitalizeText},
    {"casefold", "", MapText<Lower>},
    {"center", "width fillchar?", CenterMethod},
    {"count", "sub start? end?", Count},
    {"endswith", "suffix start? end?", Matches<kRight>},
    {"find", "sub start? end?", FindPlace<kLeft, false>},
    {"format", "* **",
     [](BuiltinCall& call) { return FormatBraces(call.run, Self(call), call.rest); }},
    {"index", "sub start? end?", FindPlace<kLeft, true>},
    {"isalnum", "", All<IsAlphaOrDigit>},
    {"isalpha", "", All<IsAlpha>},
    {"isascii", "", All<IsAscii>},
    {"isdecimal", "", All<IsDigit>},
    {"isdigit", "", All<IsDigit>},
    {"islower", "", OneCase<IsLower, IsUpper>},
    {"isnumeric", "", All<IsDigit>},
    {"isspace", "", All<IsSpace>},
    {"isupper", "", OneCase<IsUpper, IsLower>},
    {"join", "iterable", JoinMethod},
    {"ljust", "width fillchar?", Justify<kLeft>},
    {"lower", "", MapText<Lower>},
    {"lstrip", "chars?", StripOne<kLeft>},
    {"partition", "sep", Partition<kLeft>},
    {"removeprefix", "prefix", RemovePrefix},
    {"removesuffix", "suffix", RemoveSuffix},
    {"replace", "old new count?",
     [](BuiltinCall& call) {
       const Text& to = call.TextAt(1);
       return call.run.New(Replaced(call.run, Self(call), call.TextAt(0), to, call.Int(2, -1)));
     }},
    {"rfind", "sub start? end?", FindPlace<kRight, false>},
    {"rindex", "sub start? end?", FindPlace<kRight, true>},
    {"rjust", "width fillchar?", Justify<kRight>},
    {"rpartition", "sep", Partition<kRight>},
    {"rsplit", "sep? maxsplit?", Split<kRight>},
    {"rstrip", "chars?", StripOne<kRight>},
    {"split", "sep? maxsplit?", Split<kLeft>},
    {"splitlines", "keepends?",
     [](BuiltinCall& call) {
       return call.run.NewList(SplitLines(call.run, Self(call), call.Truth(0)));
     }},
    {"startswith", "prefix start? end?", Matches<kLeft>},
    {"strip", "chars?", StripText},
    {"title", "", TitleMethod},
    {"upper", "", MapText<Upper>},
    {"zfill", "width", ZFill},
};

}  // namespace

std::span<const Builtin> StringMethods() { return kMethods; }

}  // namespace lockstep::jinja
