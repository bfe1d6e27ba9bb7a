// The part of SchemaReader that is about strings without quotes, as some models write the arguments
// of calls: any text up to a closing tag. What a schema says of them is what it would say of names,
// one language, without the texts in which the tag would be found too early.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/utf8.h"
#include "core/grammar/grammar.h"
#include "server/schema/json_pattern.h"
#include "server/schema/schema_keywords.h"
#include "server/schema/schema_reader.h"

namespace lockstep {
namespace {

// The most characters of a length that an automaton counts, with about a state for each of them and
// of the tag's: beyond, the grammar counts them. And the most states of the automaton of all
// keywords: beyond, they are lost.
constexpr size_t kMaxCounted = 512, kMaxStates = 2048;

std::string PatternLiteral(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(R"(^$\.*+?()[]{}|/)").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

// The texts of which, followed by `end`, the first `end` is that one: it is not in them, and where
// it ends as it begins, they do not stop where its second beginning would complete a first one.
Result<Language> TextsBefore(std::string_view end, WorkMeter* meter) {
  std::string wrong = PatternLiteral(end);
  for (size_t size = 1; size < end.size(); ++size) {
    if (end.substr(0, size) != end.substr(end.size() - size)) continue;
    wrong += "|" + PatternLiteral(end.substr(0, end.size() - size)) + "$";
  }
  TRY(const Pattern pattern, ParsePattern(wrong));
  TRY(const Language early, PatternLanguage(pattern, meter));
  return early.Not();
}

// Whether the schema says nothing but lengths.
bool IsSizedOnly(const Json& schema) {
  return std::ranges::all_of(schema.items(), [](const auto& item) {
    const std::string& keyword = item.key();
    return keyword == "type" || keyword == "nullable" || keyword == "minLength" ||
           keyword == "maxLength" || IsAnnotation(keyword);
  });
}

}  // namespace

Result<std::string> SchemaReader::ReadBareText(std::string_view end) {
  Json rest = schema_;
  while (true) {
    fault_ = {};
    Rule rule = BareText(rest, end);
    if (rule || options_.strict || fault_.first != options_.path || !rest.contains(fault_.second)) {
      return rule;
    }
    Drop(options_.path, fault_.second);
    rest.erase(fault_.second);
  }
}

SchemaReader::Rule SchemaReader::BareText(const Json& schema, std::string_view end) {
  TRY(const Sizes sizes, ReadSizes(schema, "Length", options_.path));
  if (sizes.none()) return Nothing(options_.path, "maxLength", "no length is allowed");
  const size_t counted = sizes.most.value_or(sizes.least);
  if (counted * end.size() > kMaxCounted && IsSizedOnly(schema)) {
    const size_t at = end.find_first_not_of(" \n");
    const uint32_t mark = FirstCodePoint(end.substr(at == end.npos ? 0 : at));
    return Define(fmt::format("{}{}", BareCharsToGbnf(Complement({{mark, mark}})),
                              Repetition(sizes.least, sizes.most)));
  }
  TRY(const Language texts, BareLanguage(schema, end));
  if (texts.empty()) {
    return Nothing(schema, {"enum", "const", "pattern", "format", "not", "maxLength"},
                   options_.path, "no text is all that the keywords say");
  }
  return texts.Define(&rules_, BareCharsToGbnf);
}

Result<Language> SchemaReader::BareLanguage(const Json& schema, std::string_view end) {
  TRY(const Language allowed, NameLanguage(schema, options_.path));
  TRY(const Language before, TextsBefore(end, options_.meter));
  auto both = allowed.And(before, options_.meter);
  if (both && both->states() <= kMaxStates) return both;
  const std::string problem =
      both ? "is too much beside the tag that ends the text" : both.error().message;
  // The more a keyword multiplies the states, the earlier it stands here.
  for (const char* keyword :
       {"maxLength", "minLength", "pattern", "format", "anyOf", "oneOf", "allOf", "enum"}) {
    if (schema.contains(keyword)) return FailKeyword(options_.path, keyword, problem);
  }
  return Fail(options_.path, problem);
}

}  // namespace lockstep
