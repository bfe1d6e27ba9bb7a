// What the filters and the methods of strings have in common: Python's str.strip, replace and so
// on. Stateless, but for the budget of the run.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/jinja/builtins/builtins.h"

namespace lockstep::jinja {

// At the ends of lines that str.splitlines knows, of which "\n" is but one.
std::vector<Value> SplitLines(Interpreter& run, const Text& text, bool keep_ends);
// Without the characters at its ends that are in `characters`; white space, if that is None.
Text Stripped(Interpreter& run, const Text& text, const Value& characters, bool left, bool right);
// `count` < 0: wherever `from` stands.
Text Replaced(Interpreter& run, const Text& text, const Text& from, const Text& to, int64_t count);
// `width` counts characters, and `fill` is one character. Text that is wider is left as it is.
Text Centered(Interpreter& run, const Text& text, int64_t width, const Text& fill);
// It puts the first character in upper case and all others in lower case.
Text Capitalized(Interpreter& run, const Text& text);
// Maps each part of one trust by itself; `map` is Upper or Lower.
Text Mapped(Interpreter& run, const Text& text, std::string (*map)(std::string_view));
// Whether it has letters of the one case and none of the other: IsUpper and IsLower.
bool IsOfCase(const Text& text, bool (*wanted)(uint32_t), bool (*other)(uint32_t));

// What filters and methods of strings do alike, since str(value) of a string is that string.
Value CapitalizeText(BuiltinCall& call);
Value StripText(BuiltinCall& call);  // parameters: "chars?"
template <std::string (*kMap)(std::string_view)>
Value MapText(BuiltinCall& call) {
  return call.run.New(Mapped(call.run, call.SelfText(), kMap));
}

}  // namespace lockstep::jinja
