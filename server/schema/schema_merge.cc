// Joining is how combinations become grammars, for grammars have no intersection: allOf, a $ref
// beside other keywords, and each alternative of an anyOf that has something beside it are joined
// into one schema. Where two of a keyword cannot be one, the second waits in allOf until the first
// is resolved: an anyOf beside an anyOf is the choice of a choice.
#include "server/schema/schema_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "core/base/quoted.h"
#include "server/json/json_set.h"
#include "server/schema/json_number.h"
#include "server/schema/schema_keywords.h"

namespace lockstep {
namespace {

using enum SchemaJoin;

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

tl::unexpected<Error> CannotClose(std::string_view keyword) {
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("{} of one schema is about properties that another names, which is not "
                          "supported; list all properties in one schema",
                          keyword),
              std::string(keyword));
}

Json AllOf(Json a, Json b) { return {{"allOf", Json::array({std::move(a), std::move(b)})}}; }
Json AnyOf(Json a, Json b) { return {{"anyOf", Json::array({std::move(a), std::move(b)})}}; }

Json Both(const Json& a, const Json& b) {
  if (a == true || b == false || a == b) return b;
  return a == false || b == true ? a : AllOf(a, b);
}

// Whether `schema` binds properties that only `other` names, one by one or by a pattern.
// additionalProperties looks at the properties of its own schema alone: {"properties": {"a": {}},
// "additionalProperties": false} forbids b, but would allow it once it is joined with a schema that
// names b.
bool Closes(const Json& schema, const Json& other) {
  const auto more = schema.find("additionalProperties");
  if (more == schema.end() || *more == true) return false;
  return ListsMore(other, schema, "properties") || ListsMore(other, schema, "patternProperties");
}

// Before draft 2020-12, a list of items was called items, and what comes behind it additionalItems.
bool HasOldList(const Json& schema) {
  return schema.contains("items") && schema["items"].is_array();
}

Json WithPrefixItems(Json schema) {
  if (!HasOldList(schema)) return schema;
  schema["prefixItems"] = schema["items"];
  schema.erase("items");
  if (schema.contains("additionalItems")) schema["items"] = schema["additionalItems"];
  schema.erase("additionalItems");
  return schema;
}

Result<Json> JoinPlaces(const Json& a, const Json& b) {
  const Json none = Json::array();
  std::array<const Json*, 2> lists = {&none, &none};
  for (size_t i = 0; i < 2; ++i) {
    const Json& schema = i == 0 ? a : b;
    if (const auto list = schema.find("prefixItems"); list != schema.end()) lists[i] = &*list;
    if (!lists[i]->is_array()) return CannotJoin("prefixItems");
  }
  const auto item = [](const Json& list, const Json& schema, size_t place) {
    return place < list.size() ? list[place] : schema.value("items", Json(true));
  };
  const size_t places = std::max(lists[0]->size(), lists[1]->size());
  Json joined = Json::array();
  for (size_t i = 0; i < places; ++i) {
    joined.push_back(Both(item(*lists[0], a, i), item(*lists[1], b, i)));
  }
  return joined;
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

// Whether a schema is nothing but an enum.
bool IsList(const Json& schema) {
  return schema.is_object() && schema.size() == 1 && schema.contains("enum") &&
         schema["enum"].is_array();
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
      *into = Both(*into, from);
      return {};
    case kPlaces:
      return {};  // needs more of the schemas, which MergeSchemas has
    case kNeither:
      if (IsList(*into) && IsList(from)) return JoinLists(kUnion, from["enum"], &(*into)["enum"]);
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

// Keywords that are about each other: each says nothing without the first, and they are joined, or
// wait, together.
constexpr std::string_view kConditional[] = {"if", "then", "else"};
constexpr std::string_view kContained[] = {"contains", "minContains", "maxContains"};

bool SaysNothing(const Json& schema, std::string_view keyword) {
  for (const std::span<const std::string_view> group :
       {std::span(kConditional), std::span(kContained)}) {
    if (std::ranges::count(group, keyword) > 0) return !schema.contains(group[0]);
  }
  return IsAnnotation(keyword);
}

// Whether both have the keywords of a group, and not the same.
bool Differ(const Json& a, const Json& b, std::span<const std::string_view> group) {
  return a.contains(group[0]) && b.contains(group[0]) &&
         std::ranges::any_of(group, [&](std::string_view keyword) {
           return a.value(keyword, Json()) != b.value(keyword, Json());
         });
}

constexpr std::string_view kUnevaluated[] = {"unevaluatedProperties", "unevaluatedItems"};
constexpr std::string_view kListing[] = {
    "properties", "patternProperties", "additionalProperties", "unevaluatedProperties",
    "items",      "prefixItems",       "additionalItems",      "unevaluatedItems",
    "contains"};

// Whether schemas in this one say something of the same value.
bool HasOthers(const Json& schema) { return AppliesInPlace(schema) || schema.contains("not"); }

bool HasAny(const Json& schema, std::span<const std::string_view> keywords) {
  return schema.is_object() && std::ranges::any_of(keywords, [&](std::string_view keyword) {
           return schema.contains(keyword);
         });
}

}  // namespace

bool ForbidsTexts(const Json& schema) {
  const auto forbidden = schema.find("not");
  return forbidden != schema.end() &&
         (forbidden->contains("pattern") || forbidden->contains("format"));
}

// What `contains` has found counts as evaluated, too.
Result<Json> WithOwnUnevaluated(Json schema, const std::vector<const Json*>& others) {
  const auto lists = [](const Json* other) {
    return HasOthers(*other) || HasAny(*other, kListing);
  };
  if (!HasAny(schema, kUnevaluated) || std::ranges::none_of(others, lists)) return schema;
  schema = WithPrefixItems(std::move(schema));
  for (const auto& [keyword, own] :
       {std::pair(kUnevaluated[0], "additionalProperties"), std::pair(kUnevaluated[1], "items")}) {
    const auto given = schema.find(keyword);
    if (given == schema.end()) continue;
    const Json more = *given;
    const bool found = keyword == kUnevaluated[1] && schema.contains("contains");
    if (more != true && (found || HasOthers(schema))) return CannotJoin(keyword);
    schema.erase(std::string(keyword));
    if (schema.contains(own)) continue;
    schema[own] = more;
    const auto closes = [&](const Json* other) { return Closes(schema, *other); };
    if (std::ranges::any_of(others, closes)) return CannotClose(keyword);
  }
  return schema;
}

// {"anyOf": [A, B]} and {"anyOf": [C, D]} become {"anyOf": [A, B], "allOf": [{"anyOf": [C, D]}]}. A
// keyword that is not known stays, for the reader to refuse by its name.
Result<Json> MergeSchemas(const Json& a, const Json& b) {
  if (a == true || b == true) return a == true ? b : a;
  if (a == false || b == false) return Json(false);
  if (!a.is_object() || !b.is_object()) {
    return Fail(ErrorKind::kInvalidArgument, "a schema must be an object or a boolean");
  }
  if (HasOldList(a) || HasOldList(b)) return MergeSchemas(WithPrefixItems(a), WithPrefixItems(b));
  if (a.contains("const") && b.contains("const") && a["const"] != b["const"]) return Json(false);
  if (Closes(a, b) || Closes(b, a)) return CannotClose("additionalProperties");
  if (Differ(a, b, kContained)) return CannotJoin("contains");
  Json out = Json::object(), later = Json::object();
  for (const auto& [keyword, value] : a.items()) {
    if (!SaysNothing(a, keyword)) out[keyword] = value;
  }
  const bool both_conditional = Differ(a, b, kConditional);
  for (const auto& [keyword, value] : b.items()) {
    if (SaysNothing(b, keyword)) continue;
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
  if (out.contains("prefixItems")) {
    TRY(out["prefixItems"], JoinPlaces(a, b));
  }
  if (!later.empty()) out["allOf"].push_back(std::move(later));
  return out;
}

}  // namespace lockstep
