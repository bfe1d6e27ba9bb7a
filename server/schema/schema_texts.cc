// The part of SchemaReader that is about texts: strings, names of members and numbers as they are
// written. Each keyword is a language of its own, and a value must be in all of them.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/grammar/grammar.h"
#include "server/schema/json_formats.h"
#include "server/schema/json_pattern.h"
#include "server/schema/schema_merge.h"
#include "server/schema/schema_reader.h"

namespace lockstep {
namespace {

// 1.0 and 1e2 are integers too: JSON Schema asks for a number without a fraction, not for a way of
// writing it.
bool IsOfType(const Json& value, std::string_view type) {
  if (type == "integer") return value.is_number() && ParseDecimal(Dump(value)).IsInteger();
  return type == "null"      ? value.is_null()
         : type == "boolean" ? value.is_boolean()
         : type == "string"  ? value.is_string()
         : type == "array"   ? value.is_array()
         : type == "object"  ? value.is_object()
                             : value.is_number();
}

bool IsOneOf(const Json& value, const Json& types) {
  const Json list = types.is_array() ? types : Json::array({types});
  return std::ranges::any_of(list, [&](const Json& type) {
    return type.is_string() && IsOfType(value, type.get<std::string>());
  });
}

// Returns the one text that a number has in NumberLanguage: without exponent, and without zeros
// that say nothing.
std::string NumberText(const Json& value) {
  const Decimal number = ParseDecimal(Dump(value));
  return (number.negative ? "-" : "") + number.integer +
         (number.IsInteger() ? "" : "." + number.fraction);
}

const char* TypeOf(const Json& value) {
  return value.is_string()   ? "string"
         : value.is_number() ? "number"
         : value.is_array()  ? "array"
         : value.is_object() ? "object"
                             : "none";
}

bool Forbids(const Json& schema, const Json& value) {
  const auto forbidden = schema.find("not");
  if (forbidden == schema.end() || !forbidden->contains("enum")) return false;
  const Json& values = (*forbidden)["enum"];
  return std::ranges::find(values, value) != values.end();
}

}  // namespace

Result<SchemaReader::Sizes> SchemaReader::ReadSizes(const Json& schema, const std::string& what,
                                                    const std::string& path) const {
  constexpr int kMostDigits = 9;  // nothing that is written is larger
  Sizes sizes;
  for (const bool least : {true, false}) {
    const std::string keyword = (least ? "min" : "max") + what;
    const auto value = schema.find(keyword);
    if (value == schema.end()) continue;
    // What is no number is taken for -1, which the next line refuses.
    const Decimal size = value->is_number() ? ParseDecimal(Dump(*value)) : Decimal{true, "1", ""};
    if (size.negative || !size.IsInteger()) {
      return FailKeyword(path, keyword, "must be a whole number that is not negative");
    }
    const bool reachable = size.integer.size() <= kMostDigits;
    if (least && !reachable) return FailKeyword(path, keyword, "is more than can be written");
    if (least) {
      sizes.least = std::stoul(size.integer);
    } else if (reachable) {
      sizes.most = std::stoul(size.integer);
    }
  }
  if (sizes.most && *sizes.most < sizes.least) {
    return Fail(path, fmt::format("max{0} is below min{0}, so no value is allowed", what));
  }
  return sizes;
}

Result<Language> SchemaReader::PatternOf(const Json& pattern, const std::string& keyword,
                                         const std::string& path) const {
  if (!pattern.is_string()) return FailKeyword(path, keyword, "must be a string");
  auto text = pattern.get<std::string>();
  if (keyword == "format") {
    const std::string_view known = FormatPattern(text);
    if (known.empty()) {
      return FailKeyword(
          path, keyword,
          fmt::format("{} is not supported; there are {}", Quoted(text), FormatNames()));
    }
    text = known;
  }
  const auto parsed = ParsePattern(text);
  auto language = parsed ? PatternLanguage(*parsed) : tl::unexpected(parsed.error());
  if (language) return language;
  return FailKeyword(
      path, keyword,
      fmt::format("the pattern {} is not acceptable: {}", Quoted(text), language.error().message));
}

// The lengths come last, since they multiply the states, and are left out where the other keywords
// already keep them: a date has ten characters whatever minLength says.
Result<Language> SchemaReader::TextLanguage(const Json& schema, const std::string& path) {
  Language all = Language::Any();
  const auto also = [&](const Language& language, const std::string& keyword) -> Status {
    auto both = all.And(language);
    if (!both) return FailKeyword(path, keyword, both.error().message);
    all = *std::move(both);
    return {};
  };
  for (const std::string keyword : {"pattern", "format"}) {
    if (!schema.contains(keyword)) continue;
    const Json& given = schema[keyword];
    for (const Json& part : given.is_array() ? given : Json::array({given})) {
      if (keyword == "format" && part.is_string() && FormatIsAnnotation(part.get<std::string>())) {
        continue;
      }
      TRY(const Language language, PatternOf(part, keyword, path));
      TRY_OK(also(language, keyword));
    }
  }
  if (const auto forbidden = schema.find("not"); forbidden != schema.end()) {
    for (const std::string keyword : {"pattern", "format"}) {
      if (!forbidden->contains(keyword)) continue;
      TRY(const Language language, PatternOf((*forbidden)[keyword], keyword, path));
      TRY_OK(also(language.Not(), "not"));
    }
    if (forbidden->contains("enum")) {
      std::vector<std::string> words;
      for (const Json& value : (*forbidden)["enum"]) {
        if (value.is_string()) words.push_back(value.get<std::string>());
      }
      TRY_OK(also(Language::Words(std::move(words)).Not(), "not"));
    }
  }
  TRY(const Sizes sizes, ReadSizes(schema, "Length", path));
  const auto [least, most] = all.Lengths();
  const bool shorter = least < sizes.least, longer = sizes.most && (!most || *most > *sizes.most);
  if (all.empty() || (!shorter && !longer)) return all;
  auto sized = all.WithLength(shorter ? sizes.least : 0, longer ? sizes.most : std::nullopt);
  if (sized) return sized;
  return FailKeyword(path, longer ? "maxLength" : "minLength", sized.error().message);
}

// Returns the names that a schema of propertyNames allows. Names are always texts, so that keywords
// about other types say nothing, and a type other than string allows no name.
Result<Language> SchemaReader::NameLanguage(const Json& schema, const std::string& path) {
  const Json& names = Resolved(schema);
  if (names.is_boolean()) return names == true ? Language::Any() : Language({});
  if (!names.is_object()) return Fail(path, "a schema must be an object or a boolean");
  if (depth_ >= 100) return Fail(path, "schemas are nested too deeply");
  for (const auto& [keyword, value] : names.items()) {
    const SchemaKeyword* const known = FindSchemaKeyword(keyword);
    const bool is_known = IsAnnotation(keyword) || keyword == "enum" || keyword == "const" ||
                          keyword == "anyOf" || keyword == "oneOf" || keyword == "allOf" ||
                          keyword == "type" || (known != nullptr && !known->type.empty());
    if (!is_known) return Fail(path, fmt::format("keyword {} is not supported", Quoted(keyword)));
  }
  if (names.contains("type") && !IsOneOf("", names["type"])) return Language({});
  TRY(Language all, TextLanguage(names, path));
  Json values = names.value("enum", Json::array());
  if (names.contains("const")) values.push_back(names["const"]);
  if (names.contains("enum") || names.contains("const")) {
    std::vector<std::string> words;
    for (const Json& value : values) {
      if (value.is_string()) words.push_back(value.get<std::string>());
    }
    TRY(all, all.And(Language::Words(std::move(words))));
  }
  ++depth_;
  for (const char* keyword : {"allOf", "anyOf", "oneOf"}) {
    if (!names.contains(keyword)) continue;
    const bool every = keyword == std::string_view("allOf");
    Language joined = every ? Language::Any() : Language({});
    for (const Json& part : names[keyword]) {
      TRY(const Language language, NameLanguage(part, path));
      if (every) {
        TRY(joined, joined.And(language));
      } else {  // by De Morgan's law
        TRY(const Language neither, joined.Not().And(language.Not()));
        joined = neither.Not();
      }
    }
    TRY(all, all.And(joined));
  }
  --depth_;
  return all;
}

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
      if (!value->is_number()) return FailKeyword(path, keyword, "must be a number");
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
    if (!step->is_number() || !(*step > 0)) {
      return FailKeyword(path, "multipleOf", "must be a number above 0");
    }
    if (!integer || *step != 1) range.multiple_of = ParseDecimal(Dump(*step));
  }
  return range;
}

// All keywords of a type are one language, so that the first one that is found asks for all of
// them. The language is kept in `admission`, and made once for a list of values.
Result<bool> SchemaReader::Admits(const Json& schema, const Json& value, const std::string& path,
                                  Admission* admission) {
  if (schema.contains("type") && !IsOneOf(value, schema["type"])) return false;
  if (Forbids(schema, value)) return false;
  const std::string_view type = TypeOf(value);
  for (const auto& [keyword, given] : schema.items()) {
    const SchemaKeyword* const known = FindSchemaKeyword(keyword);
    const bool asks =
        known != nullptr && (known->type == type || (type == "string" && known->name == "not"));
    if (!asks) continue;
    if (type == "string") {
      if (!admission->texts) {
        TRY(admission->texts, TextLanguage(schema, path));
      }
      return admission->texts->Contains(value.get<std::string>());
    }
    if (type == "number") {
      if (!admission->numbers) {
        TRY(const NumberRange range, ReadRange(schema, false, path));
        auto numbers = NumberLanguage(range);
        if (!numbers) return FailKeyword(path, "multipleOf", numbers.error().message);
        admission->numbers = *std::move(numbers);
      }
      return admission->numbers->Contains(NumberText(value));
    }
    return FailKeyword(path, keyword,
                       fmt::format("keyword {} beside enum or const is not supported; leave out "
                                   "the values that it forbids",
                                   Quoted(keyword)));
  }
  return true;
}

// Returns each of the values once if the schema lists them all, and nothing where other keywords
// would have to be asked about each.
std::optional<std::vector<Json>> SchemaReader::Listed(const Json& schema) const {
  const Json& resolved = Resolved(schema);
  if (!resolved.is_object()) return std::nullopt;
  for (const auto& [keyword, value] : resolved.items()) {
    const bool lists = keyword == "enum" || keyword == "const" || keyword == "type";
    if (!lists && !IsAnnotation(keyword)) return std::nullopt;
  }
  Json values = Json::array();
  if (resolved.contains("const")) {
    values.push_back(resolved["const"]);
  } else if (resolved.contains("enum")) {
    values = resolved["enum"];
  } else if (resolved.value("type", Json()) == "boolean") {
    values = {false, true};
  } else {
    return std::nullopt;
  }
  std::vector<Json> out;
  for (const Json& value : values) {
    const bool fits = !resolved.contains("type") || IsOneOf(value, resolved["type"]);
    if (fits && std::ranges::find(out, value) == out.end()) out.push_back(value);
  }
  return out;
}

// A number about which nothing is said is the common rule, which has exponents; the automaton's
// numbers have none, so that 1e3 cannot slip past a bound.
SchemaReader::Rule SchemaReader::Number(const Json& schema, bool integer, const std::string& path) {
  TRY(const NumberRange range, ReadRange(schema, integer, path));
  std::vector<std::string> forbidden;
  if (const auto other = schema.find("not"); other != schema.end() && other->contains("enum")) {
    for (const Json& value : (*other)["enum"]) {
      if (value.is_number()) forbidden.push_back(NumberText(value));
    }
  }
  if (!integer && !forbidden.empty()) {
    return FailKeyword(path, "not", "numbers that are not integers have many spellings each");
  }
  if (!range.low && !range.high && !range.multiple_of && forbidden.empty()) {
    return std::string(integer ? "json-integer" : "json-number");
  }
  auto numbers = NumberLanguage(range);
  if (!numbers) return FailKeyword(path, "multipleOf", numbers.error().message);
  if (!forbidden.empty()) {
    TRY(*numbers, numbers->And(Language::Words(std::move(forbidden)).Not()));
  }
  if (!numbers->empty()) return numbers->Define(&rules_);
  return Nothing(path, fmt::format("no {} is between the bounds", integer ? "integer" : "number"));
}

// The simplest way that keeps all keywords is taken: the common rule, then one expression written
// as GBNF, then the intersection of languages.
SchemaReader::Rule SchemaReader::String(const Json& schema, const std::string& path) {
  const auto only = [&](const char* keyword) -> const Json* {
    if (!schema.contains(keyword)) return nullptr;
    const Json& given = schema[keyword];
    if (given.is_array()) return given.size() == 1 ? &given[0] : nullptr;
    return &given;
  };
  const Json *pattern = only("pattern"), *format = only("format");
  const bool several = (schema.contains("pattern") && pattern == nullptr) ||
                       (schema.contains("format") && format == nullptr);
  if (format != nullptr && format->is_string() && FormatIsAnnotation(format->get<std::string>())) {
    format = nullptr;
  }
  TRY(const Sizes sizes, ReadSizes(schema, "Length", path));
  const bool sized = sizes.least > 0 || sizes.most;
  const bool plain = !several && !schema.contains("not");
  if (plain && pattern == nullptr && format == nullptr) {
    if (!sized) return std::string("json-string");
    return Define(
        fmt::format("\"\\\"\" json-char{} \"\\\"\"", Repetition(sizes.least, sizes.most)));
  }
  // One expression alone is written as it is, which is shorter than its automaton.
  if (plain && (pattern == nullptr || format == nullptr)) {
    const Json& text = pattern != nullptr ? *pattern : *format;
    const auto parsed =
        text.is_string()
            ? ParsePattern(format != nullptr ? FormatPattern(text.get<std::string>())
                                             : std::string_view(text.get_ref<const std::string&>()))
            : tl::unexpected(Error{});
    const bool known = parsed && parsed->conditions.empty() &&
                       (format == nullptr || !FormatPattern(text.get<std::string>()).empty());
    std::optional<PatternNode> node;
    if (known && !sized) node = parsed->node;
    if (known && sized) node = WithLengths(parsed->node, sizes.least, sizes.most);
    if (node) {
      return Define(fmt::format("\"\\\"\" {} \"\\\"\"", PatternToGbnf(*node, "json-char")));
    }
  }
  TRY(const Language texts, TextLanguage(schema, path));
  if (texts.empty()) return Nothing(path, "no string is all that the keywords say");
  return Define(fmt::format("\"\\\"\" {} \"\\\"\"", texts.Define(&rules_)));
}

// abc, abd and x become: r0 ::= "ab" r1 | "x", r1 ::= "c" | "d".
std::string SchemaReader::DefineTexts(std::vector<std::string> texts) {
  std::ranges::sort(texts);
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  // A tree of what they have in common, so that few ways are open after each byte.
  struct Part {
    size_t begin, end, at;  // texts that have the same `at` bytes in front
    std::string rule;
  };
  const std::string root = rules_.NewName();
  std::vector<Part> parts = {{0, texts.size(), 0, root}};
  while (!parts.empty()) {
    const Part part = parts.back();
    parts.pop_back();
    std::string choices;
    for (size_t i = part.begin; i < part.end;) {
      const std::string_view first = std::string_view(texts[i]).substr(part.at);
      const size_t length = first.empty() ? 0 : CharacterLength(first);
      size_t end = i + 1, common = first.size();
      while (end < part.end && length > 0 &&
             texts[end].compare(part.at, length, first.substr(0, length)) == 0) {
        const std::string_view other = std::string_view(texts[end++]).substr(part.at);
        common = std::min(
            common, static_cast<size_t>(std::ranges::mismatch(first, other).in1 - first.begin()));
      }
      while (common < first.size() && (static_cast<uint8_t>(first[common]) & 0xC0) == 0x80) {
        --common;  // to the first byte of a character
      }
      choices += (choices.empty() ? "" : " | ") + GbnfLiteral(first.substr(0, common));
      if (end > i + 1) {
        parts.push_back({i, end, part.at + common, rules_.NewName()});
        choices += " " + parts.back().rule;
      }
      i = end;
    }
    rules_.Define(part.rule, choices);
  }
  return root;
}

}  // namespace lockstep
