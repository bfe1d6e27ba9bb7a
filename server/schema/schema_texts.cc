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
#include "server/schema/schema_keywords.h"
#include "server/schema/schema_reader.h"

namespace lockstep {
namespace {

// Libraries give a pattern a name of their own as its format, which then says no more.
bool SaysNothing(const Json& format, const Json& schema) {
  if (!format.is_string()) return false;
  const auto& name = format.get_ref<const std::string&>();
  return FormatIsAnnotation(name) || (schema.contains("pattern") && FormatPattern(name).empty());
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
    const Decimal size = IsNumber(*value) ? ParseDecimal(Dump(*value)) : Decimal{true, "1", ""};
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
  // Among choices it is one less, which is the caller's to say.
  if (sizes.none() && choices_ == 0) {
    return FailKeyword(path, "max" + what,
                       fmt::format("is below min{}, so no value is allowed", what));
  }
  return sizes;
}

Result<Language> SchemaReader::PatternOf(const Json& pattern, const std::string& keyword,
                                         const std::string& path,
                                         std::optional<size_t> most) const {
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
  auto parsed = ParsePattern(text);
  if (parsed && most) parsed->node = Shortened(parsed->node, *most).value_or(parsed->node);
  auto language =
      parsed ? PatternLanguage(*parsed, options_.meter) : tl::unexpected(parsed.error());
  if (language) return language;
  return FailKeyword(
      path, keyword,
      fmt::format("the pattern {} is not acceptable: {}", Quoted(text), language.error().message));
}

// All that is said about a text but its length.
Result<Language> SchemaReader::Pieces(const Json& schema, std::optional<size_t> most,
                                      const std::string& path) {
  Language all = Language::Any();
  const auto also = [&](const Language& language, const std::string& keyword) -> Status {
    auto both = all.And(language, options_.meter);
    if (!both) return FailKeyword(path, keyword, both.error().message);
    all = *std::move(both);
    return {};
  };
  for (const std::string keyword : {"pattern", "format"}) {
    if (!schema.contains(keyword)) continue;
    const Json& given = schema[keyword];
    for (const Json& part : given.is_array() ? given : Json::array({given})) {
      if (keyword == "format" && SaysNothing(part, schema)) continue;
      TRY(const Language language, PatternOf(part, keyword, path, most));
      TRY_OK(also(language, keyword));
    }
  }
  const auto forbidden = schema.find("not");
  if (forbidden == schema.end()) return all;
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
  return all;
}

// The lengths come last, since they multiply the states, and are left out where the other keywords
// already keep them: a date has ten characters whatever minLength says. An automaton that counts
// both the characters of a text and those of its parts, as in an e-mail address of at most 100, is
// the product of the two; with fewer repetitions in the parts the first count is not needed.
Result<Language> SchemaReader::TextLanguage(const Json& schema, const std::string& path,
                                            TextLengths lengths) {
  if (lengths == TextLengths::kLeftOut) return Pieces(schema, std::nullopt, path);
  TRY(const Sizes sizes, ReadSizes(schema, "Length", path));
  std::optional<Error> problem;
  for (const bool shorten : {false, true}) {
    if (shorten && (lengths == TextLengths::kExact || !sizes.most)) break;
    // Formats are shortened at once: what they count is no standard's but ours.
    if (!shorten && lengths == TextLengths::kShortened && sizes.most && schema.contains("format")) {
      continue;
    }
    TRY(Language all, Pieces(schema, shorten ? sizes.most : std::nullopt, path));
    const auto [least, most] = all.Lengths();
    const bool shorter = least < sizes.least, longer = sizes.most && (!most || *most > *sizes.most);
    if (all.empty() || (!shorter && !longer)) return all;
    auto sized = all.WithLength(shorter ? sizes.least : 0, longer ? sizes.most : std::nullopt,
                                options_.meter);
    if (sized) return sized;
    problem = FailKeyword(path, longer ? "maxLength" : "minLength", sized.error().message).value();
  }
  return tl::unexpected<Error>(*std::move(problem));
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
                          keyword == "type" || keyword == "nullable" ||
                          (known != nullptr && !known->type.empty());
    if (!is_known) {
      return FailKeyword(path, keyword,
                         fmt::format("keyword {} is not supported", Quoted(keyword)));
    }
  }
  if (names.contains("type") && !IsOneOf("", names["type"])) return Language({});
  TRY(Language all, TextLanguage(names, path, TextLengths::kShortened));
  Json values = names.value("enum", Json::array());
  if (names.contains("const")) values.push_back(names["const"]);
  if (names.contains("enum") || names.contains("const")) {
    std::vector<std::string> words;
    for (const Json& value : values) {
      if (value.is_string()) words.push_back(value.get<std::string>());
    }
    TRY(all, all.And(Language::Words(std::move(words)), options_.meter));
  }
  ++depth_;
  for (const char* keyword : {"allOf", "anyOf", "oneOf"}) {
    if (!names.contains(keyword)) continue;
    const Result<Language> joined = NameChoice(names, keyword, path);
    if (!joined) return FailKeyword(path, keyword, joined.error().message);
    TRY(all, all.And(*joined, options_.meter));
  }
  --depth_;
  return all;
}

// By De Morgan's law, a union is the complement of what is outside of either.
Result<Language> SchemaReader::NameChoice(const Json& names, const std::string& keyword,
                                          const std::string& path) {
  const auto either = [this](const Language& a, const Language& b) -> Result<Language> {
    TRY(const Language neither, a.Not().And(b.Not(), options_.meter));
    return neither.Not();
  };
  const bool all_of = keyword == "allOf", one_of = keyword == "oneOf";
  Language all = Language::Any(), some({}), several({});
  for (const Json& part : names[keyword]) {
    TRY(const Language language, NameLanguage(part, path));
    if (all_of) {
      TRY(all, all.And(language, options_.meter));
      continue;
    }
    if (one_of) {
      TRY(const Language again, some.And(language, options_.meter));
      TRY(several, either(several, again));
    }
    TRY(some, either(some, language));
  }
  if (all_of) return all;
  return one_of ? some.And(several.Not(), options_.meter) : some;
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
  if (format != nullptr && SaysNothing(*format, schema)) format = nullptr;
  TRY(const Sizes sizes, ReadSizes(schema, "Length", path));
  if (sizes.none()) return Nothing(path, "maxLength", "no length is allowed");
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
    if (known && !node && format != nullptr && sizes.most) {
      node = Shortened(parsed->node, *sizes.most);
      if (node) node = WithLengths(*node, sizes.least, sizes.most);
    }
    if (node) {
      return Define(fmt::format("\"\\\"\" {} \"\\\"\"", PatternToGbnf(*node, "json-char")));
    }
  }
  TRY(const Language texts, TextLanguage(schema, path, TextLengths::kShortened));
  if (texts.empty()) {
    return Nothing(schema, {"pattern", "format", "not", "maxLength"}, path,
                   "no string is all that the keywords say");
  }
  return Define(fmt::format("\"\\\"\" {} \"\\\"\"", texts.Define(&rules_)));
}

}  // namespace lockstep
