// The filters, tests, functions and methods that templates may use, in one table for each.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/jinja/interpreter.h"

namespace lockstep::jinja {

struct BuiltinCall;

// What a builtin takes, from a table's row: in "old new count? *" the names stand in order, "?"
// behind those that may be left out; "*" takes any further positional arguments, "**" any further
// named ones. Read when the tables are compiled.
struct Parameters {
  constexpr Parameters(std::string_view row) {  // NOLINT: rows are written without the type's name
    while (!row.empty()) {
      const std::string_view word = row.substr(0, row.find(' '));
      row.remove_prefix(word.size() < row.size() ? word.size() + 1 : word.size());
      const bool optional = word.ends_with('?');
      if (word == "*" || word == "**") {
        (word == "*" ? more : more_named) = true;
      } else {
        names[count++] = word.substr(0, word.size() - (optional ? 1 : 0));
        if (!optional) required = count;
      }
    }
  }
  constexpr Parameters(const char* row) : Parameters(std::string_view(row)) {}  // NOLINT

  // No builtin has more than four parameters. A row that names a fifth does not compile, since the
  // constructor would then write past the array in a constant expression.
  std::array<std::string_view, 4> names;
  size_t count = 0;
  size_t required = 0;  // so many, the first ones, may not be left out
  bool more = false;
  bool more_named = false;
};

struct Builtin {
  std::string_view name;
  Parameters parameters;
  // It is called with all required arguments in place; those with "?" it must ask for by Has.
  Value (*run)(BuiltinCall& call);
};

// A call with its arguments in their places.
struct BuiltinCall {
  bool Has(size_t at) const { return arguments[at].has_value(); }
  const Value& At(size_t at) const { return *arguments[at]; }  // REQUIRES: Has(at)
  Value At(size_t at, const Value& otherwise) const { return Has(at) ? At(at) : otherwise; }
  bool Truth(size_t at) const { return Has(at) && At(at).Truth(); }
  int64_t Int(size_t at, int64_t otherwise) const;  // throws Failure if it is not an integer
  // The argument of a method of strings, which takes nothing else: throws Failure if it is not one.
  const Text& TextAt(size_t at) const;
  // The argument as str() writes it. `otherwise`, for one that is not given, is a default of the
  // language, so it counts as trusted.
  Text Str(size_t at, std::string_view otherwise) const;
  // jinja2's filters take str(value) of whatever they are applied to; what is undefined is "".
  Text SelfText() const { return run.Str(self); }

  Interpreter& run;
  const Builtin& builtin;
  Value self;                                   // what a filter, a test or a method applies to
  std::vector<std::optional<Value>> arguments;  // [parameter]
  // It is what "*" and "**" took, and empty for a builtin whose row has neither.
  Arguments rest;
};

// nullptr: there is none of that name.
const Builtin* FindFilter(std::string_view name);
const Builtin* FindTest(std::string_view name);
const Builtin* FindFunction(std::string_view name);
// The type of `self` decides which methods there are: "x".count and [x].count are different ones.
const Builtin* FindMethod(const Value& self, std::string_view name);

// The one way to call a builtin, so that the budget is charged for each call before it starts.
// `self` is undefined for a function.
Value CallBuiltin(Interpreter& run, const Builtin& builtin, const Value& self, Arguments arguments);

// The tables, each in the file of its name.
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

}  // namespace lockstep::jinja
