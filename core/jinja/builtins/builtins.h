// The filters, tests, functions and methods that templates may use, in one table for each.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/jinja/interpreter.h"

namespace lockstep::jinja {

struct BuiltinCall;

struct Builtin {
  std::string_view name;
  // "old new count?": the names in order, "?" behind those that may be left out. "*" takes any
  // further positional arguments, "**" any further named ones.
  std::string_view parameters;
  Value (*run)(BuiltinCall& call);
};

// A call with its arguments in their places.
struct BuiltinCall {
  bool Has(size_t at) const { return arguments[at].has_value(); }
  const Value& At(size_t at) const { return *arguments[at]; }  // REQUIRES: Has(at)
  Value At(size_t at, Value otherwise) const { return Has(at) ? At(at) : std::move(otherwise); }
  bool Truth(size_t at) const { return Has(at) && At(at).Truth(); }
  int64_t Int(size_t at, int64_t otherwise) const;  // throws Failure if it is not an integer
  // For methods of strings, which take nothing else: throws Failure if it is not one.
  const Text& TextAt(size_t at) const;
  Text Str(size_t at, std::string_view otherwise) const;
  Text SelfText() const { return run.Str(self); }

  Interpreter& run;
  const Builtin& builtin;
  Value self;                                   // what a filter, a test or a method applies to
  std::vector<std::optional<Value>> arguments;  // [parameter]
  Arguments rest;
};

// nullptr: there is none of that name.
const Builtin* FindFilter(std::string_view name);
const Builtin* FindTest(std::string_view name);
const Builtin* FindFunction(std::string_view name);
const Builtin* FindMethod(const Value& self, std::string_view name);

Value CallBuiltin(Interpreter& run, const Builtin& builtin, const Value& self, Arguments arguments);

// Parts of the tables, by file.
std::span<const Builtin> TextFilters();
std::span<const Builtin> JsonFilters();
std::span<const Builtin> ListFilters();
std::span<const Builtin> SelectFilters();
std::span<const Builtin> NumberFilters();
std::span<const Builtin> Tests();
std::span<const Builtin> Functions();
std::span<const Builtin> StringMethods();
std::span<const Builtin> DictMethods();
std::span<const Builtin> ListMethods();

// Used by more than one of these files.
Value FormatPercent(Interpreter& run, const Text& format, const Value& arguments);
Value FormatBraces(Interpreter& run, const Text& format, const Arguments& arguments);
std::vector<Value> SplitLines(Interpreter& run, const Text& text, bool keep_ends);
Text Stripped(Interpreter& run, const Text& text, const Value& characters, bool left, bool right);
Text Replaced(Interpreter& run, const Text& text, const Text& from, const Text& to, int64_t count);
Text Centered(Interpreter& run, const Text& text, int64_t width, const Text& fill);
Text Capitalized(Interpreter& run, const Text& text);
Text Mapped(Interpreter& run, const Text& text, std::string (*map)(std::string_view));
void SortValues(Interpreter& run, std::vector<std::pair<Value, Value>>* keyed, bool reverse);

}  // namespace lockstep::jinja
