// All that is known of a keyword in general stands in one table: whether it is known, what values
// it is about, how two of it are joined, and what breaks it. What it makes of a grammar stands in
// schema_numbers.cc, schema_texts.cc, schema_arrays.cc and schema_objects.cc.
#include "server/schema/schema_keywords.h"

#include <algorithm>
#include <iterator>

namespace lockstep {
namespace {

using enum SchemaJoin;

// nullable is OpenAPI 3.0's. dependencies, additionalItems and a list as items are of the drafts
// before 2020-12, which schemas in use still have.
constexpr SchemaKeyword kKeywords[] = {
    {"$ref", "", kLater},
    {"type", "", kTypes},
    {"enum", "", kCommon},
    {"const", "", kOnce},
    {"allOf", "", kUnion},
    {"anyOf", "", kLater},
    {"oneOf", "", kLater},
    {"not", "", kNeither},
    {"if", "", kLater},
    {"then", "", kLater},
    {"else", "", kLater},
    {"nullable", "", kEvery},
    {"properties", "object", kMembers},
    {"patternProperties", "object", kMembers},
    {"additionalProperties", "object", kBoth},
    {"unevaluatedProperties", "object", kBoth},
    {"propertyNames", "object", kBoth},
    {"required", "object", kUnion},
    {"minProperties", "object", kLarger, "maxProperties", -1},
    {"maxProperties", "object", kSmaller, "minProperties", 1},
    {"dependentRequired", "object", kLater},
    {"dependentSchemas", "object", kLater},
    {"dependencies", "object", kLater},
    {"items", "array", kBoth},
    {"prefixItems", "array", kPlaces},
    {"additionalItems", "array", kBoth},
    {"unevaluatedItems", "array", kBoth},
    {"contains", "array", kOnce},
    {"minContains", "array", kOnce},
    {"maxContains", "array", kOnce},
    {"minItems", "array", kLarger, "maxItems", -1},
    {"maxItems", "array", kSmaller, "minItems", 1},
    {"uniqueItems", "array", kEither},
    {"minLength", "string", kLarger, "maxLength", -1},
    {"maxLength", "string", kSmaller, "minLength", 1},
    {"pattern", "string", kUnion},
    {"format", "string", kUnion},
    {"minimum", "number", kLarger, "exclusiveMaximum"},
    {"maximum", "number", kSmaller, "exclusiveMinimum"},
    {"exclusiveMinimum", "number", kLarger, "maximum"},
    {"exclusiveMaximum", "number", kSmaller, "minimum"},
    {"multipleOf", "number", kOnce},
};

// These are keywords of JSON Schema that assert nothing (titles, identifiers, definitions that only
// a $ref brings in), of OpenAPI (xml, externalDocs, discriminator), of editors
// (markdownDescription, defaultSnippets), and what generators of schemas leave behind.
constexpr std::string_view kAnnotations[] = {"title",
                                             "description",
                                             "default",
                                             "examples",
                                             "example",
                                             "$schema",
                                             "$id",
                                             "id",
                                             "$comment",
                                             "deprecated",
                                             "readOnly",
                                             "writeOnly",
                                             "$defs",
                                             "definitions",
                                             "discriminator",
                                             "strict",
                                             "$anchor",
                                             "$dynamicAnchor",
                                             "$recursiveAnchor",
                                             "$vocabulary",
                                             "contentMediaType",
                                             "contentEncoding",
                                             "contentSchema",
                                             "markdownDescription",
                                             "xml",
                                             "externalDocs",
                                             "propertyOrdering",
                                             "enumNames",
                                             "enumDescriptions",
                                             "markdownEnumDescriptions",
                                             "deprecationMessage",
                                             "doNotSuggest",
                                             "defaultSnippets",
                                             "errorMessage",
                                             "order",
                                             "optional",
                                             "name",
                                             "meta"};

constexpr const char* kInPlace[] = {
    "$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "dependencies"};

}  // namespace

const SchemaKeyword* FindSchemaKeyword(std::string_view keyword) {
  const auto found = std::ranges::find(kKeywords, keyword, &SchemaKeyword::name);
  return found == std::end(kKeywords) ? nullptr : found;
}

std::string_view ImpliedType(const Json& schema) {
  for (const std::string_view type : {"object", "array", "string", "number"}) {
    for (const auto& [keyword, value] : schema.items()) {
      const SchemaKeyword* const known = FindSchemaKeyword(keyword);
      if (known != nullptr && known->type == type) return type;
    }
  }
  return {};
}

bool IsAnnotation(std::string_view keyword) {
  return std::ranges::find(kAnnotations, keyword) != std::end(kAnnotations) ||
         keyword.starts_with("x-");
}

bool Asserts(const Json& schema) {
  return std::ranges::any_of(schema.items(),
                             [](const auto& item) { return !IsAnnotation(item.key()); });
}

bool AppliesInPlace(const Json& schema) {
  return std::ranges::any_of(kInPlace,
                             [&](const char* keyword) { return schema.contains(keyword); });
}

bool ListsMore(const Json& schema, const Json& other, const char* by) {
  const auto listed = schema.find(by), known = other.find(by);
  return listed != schema.end() && std::ranges::any_of(listed->items(), [&](const auto& member) {
           return member.value() != false &&
                  (known == other.end() || !known->contains(member.key()));
         });
}

Json Without(const Json& schema, std::string_view keyword) {
  Json out = schema;
  out.erase(std::string(keyword));
  return out;
}

}  // namespace lockstep
