// The part of SchemaReader that is about numbers: bounds and steps as a language of their texts.
#include <fmt/format.h>

#include <utility>

#include "server/schema/schema_reader.h"

namespace lockstep {

Result<NumberRange> SchemaReader::ReadRange(const Json& schema, bool integer,
                                            const std::string& path) const {
  NumberRange range;
  range.integer = integer;
  for (const bool lower : {true, false}) {
    std::optional<NumberBound>& bound = lower ? range.low : range.high;
    for (const bool exclusive : {false, true}) {
      const char* const keyword = lower ? (exclusive ? "exclusiveMinimum" : "minimum")
                                        : (exclusive ? "exclusiveMaximum" : "maximum");
      const auto value = schema.find(keyword);
      if (value == schema.end()) continue;
      if (!IsNumber(*value)) return FailKeyword(path, keyword, "must be a number");
      Decimal number = ParseDecimal(Dump(*value));
      // A bound that no number of the longest kind reaches leaves no value at all.
      if (number.negative != lower && number.integer.size() > kMaxIntegerDigits) {
        return FailKeyword(
            path, keyword,
            fmt::format("no number of at most {} digits is beyond it", kMaxIntegerDigits));
      }
      // The narrower of two bounds counts, and of two equal ones the exclusive, which comes later.
      const int order = bound ? Compare(number, bound->value) : 0;
      if (!bound || order == 0 || (lower ? order > 0 : order < 0)) {
        bound = NumberBound{std::move(number), exclusive};
      }
    }
  }
  if (const auto step = schema.find("multipleOf"); step != schema.end()) {
    const Decimal multiple = IsNumber(*step) ? ParseDecimal(Dump(*step)) : Decimal{true, "1", ""};
    if (multiple.negative || multiple.IsZero()) {
      return FailKeyword(path, "multipleOf", "must be a number above 0");
    }
    if (!integer || PlainText(multiple) != "1") range.multiple_of = multiple;
  }
  return range;
}

Result<Language> SchemaReader::Numbers(const NumberRange& range, const std::string& path) const {
  auto numbers = NumberLanguage(range, options_.meter);
  if (numbers) return numbers;
  return FailKeyword(path, "multipleOf", numbers.error().message);
}

// A number about which nothing is said is the common rule, which has exponents; the automaton's
// numbers have none, so that 1e3 cannot slip past a bound.
SchemaReader::Rule SchemaReader::Number(const Json& schema, bool integer, const std::string& path) {
  TRY(const NumberRange range, ReadRange(schema, integer, path));
  std::vector<std::string> forbidden;
  if (const auto other = schema.find("not"); other != schema.end() && other->contains("enum")) {
    for (const Json& value : (*other)["enum"]) {
      if (IsNumber(value)) forbidden.push_back(PlainText(ParseDecimal(Dump(value))));
    }
  }
  if (!integer && !forbidden.empty()) {
    return FailKeyword(path, "not", "numbers that are not integers have many spellings each");
  }
  if (!range.low && !range.high && !range.multiple_of && forbidden.empty()) {
    return std::string(integer ? "json-integer" : "json-number");
  }
  TRY(Language numbers, Numbers(range, path));
  if (!forbidden.empty()) {
    TRY(numbers, numbers.And(Language::Words(std::move(forbidden)).Not(), options_.meter));
  }
  if (!numbers.empty()) return numbers.Define(&rules_);
  return Nothing(
      schema, {"maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf", "not"},
      path, fmt::format("no {} is between the bounds", integer ? "integer" : "number"));
}

}  // namespace lockstep
