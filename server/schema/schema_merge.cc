// All that is known of a keyword in general stands in one table: whether it is known, what values
// it is about, and how two of it are joined. What it makes of a grammar stands in
// schema_numbers.cc, schema_texts.cc, schema_arrays.cc and schema_objects.cc.
//
// Joining is how combinations become grammars, for grammars have no intersection: allOf, a $ref
// beside other keywords, and each alternative of an anyOf that has something beside it are joined
// into one schema. Where two of a keyword cannot be one, the second waits in allOf until the first
// is resolved: an anyOf beside an anyOf is the choice of a choice.
#include "server/schema/schema_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/base/quoted.h"
#include "server/json/json_set.h"
#include "server/schema/json_number.h"

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
    {"minProperties", "object", kLarger},
    {"maxProperties", "object", kSmaller},
    {"dependentRequired", "object", kLater},
    {"dependentSchemas", "object", kLater},
    {"dependencies", "object", kLater},
    {"items", "array", kBoth},
    {"prefixItems", "array", kOnce},
    {"additionalItems", "array", kBoth},
    {"unevaluatedItems", "array", kBoth},
    {"contains", "array", kOnce},
    {"minContains", "array", kOnce},
    {"maxContains", "array", kOnce},
    {"minItems", "array", kLarger},
    {"maxItems", "array", kSmaller},
    {"uniqueItems", "array", kEither},
    {"minLength", "string", kLarger},
    {"maxLength", "string", kSmaller},
    {"pattern", "string", kUnion},
    {"format", "string", kUnion},
    {"minimum", "number", kLarger},
    {"maximum", "number", kSmaller},
    {"exclusiveMinimum", "number", kLarger},
    {"exclusiveMaximum", "number", kSmaller},
    {"multipleOf", "number", kOnce},
};

// These are keywords of JSON Schema that assert nothing (titles, identifiers, definitions that only
// a $ref brings in), of OpenAPI (xml, externalDocs, discriminator), of editors
// (markdownDescription, defaultSnippets), and what generators of schemas leave behind.
constexpr std::array<std::string_view, 38> kAnnotations = {"title",
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

Json AsList(const Json& value) { return value.is_array() ? value : Json::array({value}); }

// Returns the types in both lists, where an integer is a number: integer and number have integer in
// common. Both directions are gone through, since either list may have the narrower word.
Json CommonTypes(const Json& a, const Json& b) {
  const Json left = AsList(a), right = AsList(b);
  const JsonSet in_left(left), in_right(right);
  JsonSet known;
  Json out = Json::array();
  for (const auto& [from, other] : {std::pair(&left, &in_right), std::pair(&right, &in_left)}) {
    for (const Json& type : *from) {
      const bool common = other->Contains(type) || (type == "integer" && other->Contains("number"));
      if (common && known.Add(type)) out.push_back(type);
    }
  }
  return out;
}

tl::unexpected<Error> CannotJoin(std::string_view keyword) {
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("keyword {} stands in two schemas that must hold together, which is not "
                          "supported; write it once",
                          Quoted(keyword)),
              std::string(keyword));
}

Json AllOf(Json a, Json b) { return {{"allOf", Json::array({std::move(a), std::move(b)})}}; }
Json AnyOf(Json a, Json b) { return {{"anyOf", Json::array({std::move(a), std::move(b)})}}; }

// Whether `schema` forbids properties that only `other` names. additionalProperties looks at the
// properties of its own schema alone: {"properties": {"a": {}}, "additionalProperties": false}
// forbids b, but would allow it once it is joined with a schema that names b.
bool Closes(const Json& schema, const Json& other) {
  const auto more = schema.find("additionalProperties"), named = other.find("properties");
  if (more == schema.end() || *more == true || named == other.end()) return false;
  const auto own = schema.find("properties");
  return std::ranges::any_of(named->items(), [&](const auto& property) {
    return own == schema.end() || !own->contains(property.key());
  });
}

Status JoinLists(SchemaJoin join, const Json& from, Json* into) {
  const Json left = AsList(*into), right = AsList(from);
  const JsonSet in_left(left), in_right(right);
  Json out = Json::array();
  for (const Json& value : left) {
    if (join == kUnion || in_right.Contains(value)) out.push_back(value);
  }
  for (const Json& value : right) {
    if (join == kUnion && !in_left.Contains(value)) out.push_back(value);
  }
  *into = std::move(out);
  return {};
}

Status JoinMembers(const Json& from, Json* into) {
  for (const auto& [name, schema] : from.items()) {
    const auto same = into->find(name);
    if (same == into->end()) {
      (*into)[name] = schema;
    } else if (*same == false || schema == false) {
      *same = false;
    } else if (*same != schema) {
      *same = AllOf(*same, schema);
    }
  }
  return {};
}

Status JoinKeyword(const SchemaKeyword& keyword, const Json& from, Json* into) {
  if (*into == from) return {};
  const bool lists = from.is_array() && into->is_array();
  switch (keyword.join) {
    case kLarger:
    case kSmaller:
      if (!IsNumber(from) || !IsNumber(*into)) break;
      if (const int order = Compare(ParseDecimal(Dump(from)), ParseDecimal(Dump(*into)));
          keyword.join == kLarger ? order > 0 : order < 0) {
        *into = from;
      }
      return {};
    case kTypes:
      *into = CommonTypes(*into, from);
      return {};
    case kCommon:
      if (lists) return JoinLists(kCommon, from, into);
      break;
    case kUnion:
      return JoinLists(kUnion, from, into);
    case kMembers:
      if (from.is_object() && into->is_object()) return JoinMembers(from, into);
      break;
    case kBoth:
      if (from.is_array() || into->is_array()) break;  // items of older drafts
      if (*into == true || from == false) *into = from;
      if (*into != false && from != true && *into != from) *into = AllOf(*into, from);
      return {};
    case kNeither:
      *into = AnyOf(*into, from);
      return {};
    case kEither:
    case kEvery:
      if (!from.is_boolean() || !into->is_boolean()) break;
      *into = keyword.join == kEither;  // they differ
      return {};
    case kOnce:
    case kLater:
      break;
  }
  return CannotJoin(keyword.name);
}

// if, then and else are about each other, so that they wait together.
constexpr std::string_view kConditional[] = {"if", "then", "else"};

// A part of a JSON pointer (RFC 6901) in the fragment of a URI: ~1 is a slash, ~0 a tilde, %HH a
// byte. ~1 comes first, so that ~01 is the text ~1 and no slash.
std::string Unescape(std::string_view part) {
  std::string out;
  for (size_t i = 0; i < part.size(); ++i) {
    const std::string_view rest = part.substr(i);
    unsigned byte = 0;
    if (rest.size() >= 3 && rest[0] == '%' &&
        std::from_chars(rest.data() + 1, rest.data() + 3, byte, 16).ptr == rest.data() + 3) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += rest[0];
    }
  }
  for (const auto& [escape, character] : {std::pair("~1", "/"), std::pair("~0", "~")}) {
    for (size_t at = 0; (at = out.find(escape, at)) != out.npos; ++at) {
      out.replace(at, 2, character);
    }
  }
  return out;
}

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
  return std::ranges::find(kAnnotations, keyword) != kAnnotations.end() ||
         keyword.starts_with("x-");
}

bool Asserts(const Json& schema) {
  return std::ranges::any_of(schema.items(),
                             [](const auto& item) { return !IsAnnotation(item.key()); });
}

Json Without(const Json& schema, std::string_view keyword) {
  Json out = schema;
  out.erase(std::string(keyword));
  return out;
}

// {"anyOf": [A, B]} and {"anyOf": [C, D]} become {"anyOf": [A, B], "allOf": [{"anyOf": [C, D]}]}. A
// keyword that is not known stays, for the reader to refuse by its name.
Result<Json> MergeSchemas(const Json& a, const Json& b) {
  if (a == true || b == true) return a == true ? b : a;
  if (a == false || b == false) return Json(false);
  if (!a.is_object() || !b.is_object()) {
    return Fail(ErrorKind::kInvalidArgument, "a schema must be an object or a boolean");
  }
  if (a.contains("const") && b.contains("const") && a["const"] != b["const"]) return Json(false);
  if (Closes(a, b) || Closes(b, a)) {
    return Fail(ErrorKind::kInvalidArgument,
                "additionalProperties of one schema is about properties that another names, which "
                "is not supported; list all properties in one schema",
                "additionalProperties");
  }
  Json out = Json::object(), later = Json::object();
  for (const auto& [keyword, value] : a.items()) {
    if (!IsAnnotation(keyword)) out[keyword] = value;
  }
  // if, then and else mean nothing without each other: the three of `b` are taken together, or wait
  // together.
  const bool both_conditional = a.contains("if") && b.contains("if") && a["if"] != b["if"];
  for (const auto& [keyword, value] : b.items()) {
    if (IsAnnotation(keyword)) continue;
    const SchemaKeyword* const known = FindSchemaKeyword(keyword);
    const auto same = out.find(keyword);
    const bool waits =
        std::ranges::count(kConditional, keyword) > 0
            ? both_conditional
            : known != nullptr && known->join == kLater && same != out.end() && *same != value;
    if (waits) {
      later[keyword] = value;
    } else if (same == out.end()) {
      out[keyword] = value;
    } else if (known != nullptr) {
      TRY_OK(JoinKeyword(*known, value, &*same));
    }
  }
  if (!later.empty()) out["allOf"].push_back(std::move(later));
  return out;
}

std::string ChildPointer(const std::string& path, std::string_view child) {
  std::string out = path + "/";
  for (const char c : child) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

// Anchors, and references to other documents, are not looked up: a server that loads what its
// clients name could be sent anywhere.
const Json* FindReference(const Json& root, std::string_view reference) {
  if (!reference.starts_with('#')) return nullptr;
  reference.remove_prefix(1);
  const Json* at = &root;
  while (!reference.empty()) {
    if (reference[0] != '/') return nullptr;
    const size_t end = std::min(reference.find('/', 1), reference.size());
    const std::string part = Unescape(reference.substr(1, end - 1));
    reference.remove_prefix(end);
    if (at->is_object()) {
      const auto found = at->find(part);
      if (found == at->end()) return nullptr;
      at = &*found;
    } else if (at->is_array()) {
      size_t index = 0;
      const auto [last, error] = std::from_chars(part.data(), part.data() + part.size(), index);
      if (error != std::errc() || last != part.data() + part.size() || index >= at->size()) {
        return nullptr;
      }
      at = &(*at)[index];
    } else {
      return nullptr;
    }
  }
  return at;
}

}  // namespace lockstep
