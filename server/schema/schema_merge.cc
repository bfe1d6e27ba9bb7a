#include "server/schema/schema_merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr std::array<std::string_view, 28> kAssertions = {
    "type",      "enum",      "const",         "properties",
    "required",  "items",     "prefixItems",   "additionalProperties",
    "minItems",  "maxItems",  "uniqueItems",   "additionalItems",
    "minLength", "maxLength", "pattern",       "format",
    "minimum",   "maximum",   "multipleOf",    "exclusiveMinimum",
    "anyOf",     "oneOf",     "allOf",         "exclusiveMaximum",
    "$ref",      "nullable",  "minProperties", "maxProperties"};
constexpr std::array<std::string_view, 18> kAnnotations = {
    "title", "description", "default",       "examples",   "example",  "$schema",
    "$id",   "id",          "$comment",      "deprecated", "readOnly", "writeOnly",
    "$defs", "definitions", "discriminator", "strict",     "$anchor",  "contentMediaType"};

bool Has(const Json& list, const Json& value) {
  return std::ranges::find(list, value) != list.end();
}

Json AsList(const Json& value) { return value.is_array() ? value : Json::array({value}); }

// Of two lists of types, where an integer is a number.
Json CommonTypes(const Json& a, const Json& b) {
  Json out = Json::array();
  const Json left = AsList(a), right = AsList(b);
  for (const auto& [from, other] : {std::pair(&left, &right), std::pair(&right, &left)}) {
    for (const Json& type : *from) {
      const bool common = Has(*other, type) || (type == "integer" && Has(*other, "number"));
      if (common && !Has(out, type)) out.push_back(type);
    }
  }
  return out;
}

tl::unexpected<Error> CannotJoin(std::string_view keyword) {
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("keyword {} stands in two schemas that must hold together, which is not "
                          "supported; write it once",
                          Quoted(keyword)));
}

Status MergeProperties(const Json& from, Json* into) {
  if (!from.is_object() || !into->is_object()) return CannotJoin("properties");
  for (const auto& [name, schema] : from.items()) {
    const auto same = into->find(name);
    if (same == into->end()) {
      (*into)[name] = schema;
    } else if (*same != schema) {
      *same = {{"allOf", Json::array({*same, schema})}};
    }
  }
  return {};
}

// Whether `schema` forbids properties that only `other` names.
bool Closes(const Json& schema, const Json& other) {
  const auto more = schema.find("additionalProperties"), named = other.find("properties");
  if (more == schema.end() || *more == true || named == other.end()) return false;
  const auto own = schema.find("properties");
  return std::ranges::any_of(named->items(), [&](const auto& property) {
    return own == schema.end() || !own->contains(property.key());
  });
}

bool IsLarge(const Json& a, const Json& b) {
  return a.size() > kMaxJoined || b.size() > kMaxJoined;
}

Status MergeKeyword(const std::string& keyword, const Json& from, Json* into) {
  if (*into == from) return {};
  if (IsLarge(*into, from)) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("keyword {} has more than {} entries, too many to join with another's",
                            Quoted(keyword), kMaxJoined));
  }
  if (keyword == "properties") return MergeProperties(from, into);
  const bool is_number = from.is_number() && into->is_number();
  if (is_number && (keyword.starts_with("min") || keyword == "exclusiveMinimum")) {
    if (from > *into) *into = from;
  } else if (is_number && (keyword.starts_with("max") || keyword == "exclusiveMaximum")) {
    if (from < *into) *into = from;
  } else if (keyword == "type") {
    *into = CommonTypes(*into, from);
  } else if (keyword == "required" && from.is_array() && into->is_array()) {
    for (const Json& name : from) {
      if (!Has(*into, name)) into->push_back(name);
    }
  } else if (keyword == "enum" && from.is_array() && into->is_array()) {
    Json common = Json::array();
    for (const Json& value : *into) {
      if (Has(from, value)) common.push_back(value);
    }
    *into = std::move(common);
  } else if (keyword == "allOf" && from.is_array() && into->is_array()) {
    into->insert(into->end(), from.begin(), from.end());
  } else if (keyword == "additionalProperties" && (from == false || *into == true)) {
    *into = from;
  } else if (keyword == "additionalProperties" && (*into == false || from == true)) {
    return {};
  } else {
    return CannotJoin(keyword);
  }
  return {};
}

// A pointer's part: ~1 is a slash, ~0 a tilde, %HH a byte.
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

SchemaKeyword FindSchemaKeyword(std::string_view keyword) {
  if (std::ranges::find(kAssertions, keyword) != kAssertions.end()) {
    return SchemaKeyword::kAssertion;
  }
  const bool annotates =
      std::ranges::find(kAnnotations, keyword) != kAnnotations.end() || keyword.starts_with("x-");
  return annotates ? SchemaKeyword::kAnnotation : SchemaKeyword::kUnknown;
}

Result<Json> MergeSchemas(const Json& a, const Json& b) {
  if (a == true || b == true) return a == true ? b : a;
  if (!a.is_object() || !b.is_object()) {
    return Fail(ErrorKind::kInvalidArgument, "a schema that allows nothing must hold as well");
  }
  if (Closes(a, b) || Closes(b, a)) {
    return Fail(ErrorKind::kInvalidArgument,
                "additionalProperties of one schema is about properties that another names, which "
                "is not supported; list all properties in one schema");
  }
  Json out = Json::object();
  for (const auto& [keyword, value] : a.items()) {
    if (FindSchemaKeyword(keyword) != SchemaKeyword::kAnnotation) out[keyword] = value;
  }
  for (const auto& [keyword, value] : b.items()) {
    if (FindSchemaKeyword(keyword) == SchemaKeyword::kAnnotation) continue;
    const auto same = out.find(keyword);
    if (same == out.end()) {
      out[keyword] = value;
    } else if (keyword == "$ref" && *same != value) {
      out["allOf"].push_back({{"$ref", value}});
    } else if (FindSchemaKeyword(keyword) == SchemaKeyword::kAssertion) {
      if (Status ok = MergeKeyword(keyword, value, &*same); !ok) return tl::unexpected(ok.error());
    }
  }
  return out;
}

std::string ChildPointer(const std::string& path, std::string_view child) {
  std::string out = path + "/";
  for (const char c : child) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

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
