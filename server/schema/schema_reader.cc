#include "server/schema/schema_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/quoted.h"
#include "core/grammar/grammar.h"
#include "server/schema/schema_merge.h"

namespace lockstep {
namespace {

constexpr size_t kMaxDepth = 100;  // of schemas inside of schemas, references followed
constexpr size_t kMaxSchemas = 8000;
constexpr size_t kMaxParts = 100;  // of allOf

Json Without(const Json& schema, std::string_view keyword) {
  Json out = Json::object();
  for (const auto& [name, value] : schema.items()) {
    if (name != keyword) out[name] = value;
  }
  return out;
}

bool Asserts(const Json& schema) {
  return std::ranges::any_of(schema.items(), [](const auto& item) {
    return FindSchemaKeyword(item.key()) != SchemaKeyword::kAnnotation;
  });
}

bool IsOfType(const Json& value, std::string_view type) {
  if (type == "integer") {
    return value.is_number_integer() ||
           (value.is_number() && value.get<double>() == std::floor(value.get<double>()));
  }
  return type == "null"      ? value.is_null()
         : type == "boolean" ? value.is_boolean()
         : type == "string"  ? value.is_string()
         : type == "array"   ? value.is_array()
         : type == "object"  ? value.is_object()
                             : value.is_number();
}

// What a schema without a type is about, by its keywords.
std::string_view ImpliedType(const Json& schema) {
  constexpr struct {
    std::string_view type, keywords;
  } kTypes[] = {
      {"object", " properties required additionalProperties minProperties maxProperties "},
      {"array", " items prefixItems additionalItems minItems maxItems uniqueItems "},
      {"string", " minLength maxLength pattern format "},
      {"number", " minimum maximum exclusiveMinimum exclusiveMaximum multipleOf "}};
  for (const auto& [type, keywords] : kTypes) {
    for (const auto& [keyword, value] : schema.items()) {
      if (keywords.find(fmt::format(" {} ", keyword)) != keywords.npos) return type;
    }
  }
  return {};
}

}  // namespace

tl::unexpected<Error> SchemaReader::Refuse(const std::string& path,
                                           std::string_view problem) const {
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("{}{}: {}", where_, Escaped(path, 300), problem), where_);
}

std::string SchemaReader::Define(std::string_view body) {
  std::string name = rules_.NewName();
  rules_.Define(name, body);
  return name;
}

Result<std::string> SchemaReader::Read() { return Visit(root_, ""); }

Status SchemaReader::CheckKeywords(const Json& schema, const std::string& path) {
  for (const auto& [keyword, value] : schema.items()) {
    if (FindSchemaKeyword(keyword) != SchemaKeyword::kUnknown) continue;
    if (options_.strict) {
      return Refuse(path, fmt::format("keyword {} is not supported", Quoted(keyword)));
    }
    std::string dropped = fmt::format("{}{}: {}", where_, path, keyword);
    if (std::ranges::count(dropped_, dropped) == 0) dropped_.push_back(std::move(dropped));
  }
  return {};
}

SchemaReader::Rule SchemaReader::Visit(const Json& schema, const std::string& path) {
  if (schema == true) return std::string(JsonRules::Value());
  if (schema == false) return Refuse(path, "the schema false allows no value");
  if (!schema.is_object()) return Refuse(path, "a schema must be an object or a boolean");
  if (depth_ >= kMaxDepth) {
    return Refuse(path,
                  "schemas are nested too deeply, or a $ref beside other keywords leads back "
                  "to itself");
  }
  if (++visits_ > kMaxSchemas) {
    return Refuse(path, fmt::format("there are more than {} schemas", kMaxSchemas));
  }
  if (options_.stopped && options_.stopped()) {
    return lockstep::Fail(ErrorKind::kCancelled, "the schema is no longer wanted", where_);
  }
  if (rules_.text().size() > kMaxGrammarBytes) {
    return Refuse(path, "the schemas up to here are too large in all");
  }
  ++depth_;
  Rule rule = VisitObjectSchema(schema, path);
  --depth_;
  return rule;
}

SchemaReader::Rule SchemaReader::VisitObjectSchema(const Json& schema, const std::string& path) {
  if (Status ok = CheckKeywords(schema, path); !ok) return tl::unexpected(ok.error());
  if (schema.contains("$ref")) return Reference(schema, path);
  if (schema.contains("allOf")) return AllOf(schema, path);
  if (const auto nullable = schema.find("nullable"); nullable != schema.end()) {
    if (!nullable->is_boolean()) return Refuse(ChildPointer(path, "nullable"), "must be a boolean");
    const Rule rule = Visit(Without(schema, "nullable"), path);
    if (!rule || *nullable == false) return rule;
    return Define(*rule + " | json-null");
  }
  if (schema.contains("anyOf")) return AnyOf(schema, "anyOf", path);
  if (schema.contains("oneOf")) return AnyOf(schema, "oneOf", path);
  const auto types = Types(schema, path);
  if (!types) return tl::unexpected(types.error());
  if (schema.contains("enum") || schema.contains("const")) return Values(schema, path);
  if (types->empty()) return std::string(JsonRules::Value());
  std::string choices;
  for (const std::string& type : *types) {
    const Rule rule = OfType(type, schema, path);
    if (!rule || types->size() == 1) return rule;
    choices += (choices.empty() ? "" : " | ") + *rule;
  }
  return Define(choices);
}

SchemaReader::Rule SchemaReader::Reference(const Json& schema, const std::string& path) {
  const std::string at = ChildPointer(path, "$ref");
  if (!schema["$ref"].is_string()) return Refuse(at, "must be a string");
  const auto reference = schema["$ref"].get<std::string>();
  const Json* target = FindReference(root_, reference);
  if (target == nullptr) {
    return Refuse(at, fmt::format("{} leads nowhere; only references into this schema are "
                                  "supported, such as #/$defs/name",
                                  Quoted(reference)));
  }
  const Json rest = Without(schema, "$ref");
  if (Asserts(rest)) {
    const auto merged = MergeSchemas(*target, rest);
    if (!merged) return Refuse(at, merged.error().message);
    return Visit(*merged, path);
  }
  const auto [known, is_new] = references_.try_emplace(reference);
  if (is_new) {
    known->second = rules_.NewName();  // before what it refers to, which may refer back
    const Rule rule = Visit(*target, reference.substr(1));
    if (!rule) return rule;
    rules_.Define(references_[reference], *rule);
  }
  return references_[reference];
}

SchemaReader::Rule SchemaReader::AllOf(const Json& schema, const std::string& path) {
  const std::string at = ChildPointer(path, "allOf");
  const Json& parts = schema["allOf"];
  if (!parts.is_array() || parts.empty()) return Refuse(at, "must be a list of schemas");
  if (parts.size() > kMaxParts) {
    return Refuse(at, fmt::format("has more than {} schemas", kMaxParts));
  }
  Json merged = Without(schema, "allOf");
  for (size_t i = 0; i < parts.size(); ++i) {
    const Json* part = &parts[i];
    // Alone, it may be recursive; joined with others it is taken in.
    for (size_t hops = 0; part->is_object() && part->contains("$ref") && hops < kMaxDepth; ++hops) {
      if (Asserts(Without(*part, "$ref")) || (parts.size() == 1 && !Asserts(merged))) break;
      const Json& reference = (*part)["$ref"];
      const Json* target =
          reference.is_string() ? FindReference(root_, reference.get<std::string>()) : nullptr;
      if (target == nullptr) break;  // to be refused when it is visited
      part = target;
    }
    auto next = MergeSchemas(merged, *part);
    if (!next) return Refuse(ChildPointer(at, std::to_string(i)), next.error().message);
    merged = *std::move(next);
  }
  return Visit(merged, path);
}

SchemaReader::Rule SchemaReader::AnyOf(const Json& schema, const std::string& keyword,
                                       const std::string& path) {
  const std::string at = ChildPointer(path, keyword);
  const Json& parts = schema[keyword];
  if (!parts.is_array() || parts.empty()) return Refuse(at, "must be a list of schemas");
  const Json rest = Without(schema, keyword);
  const bool joined = Asserts(rest);
  std::string choices;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = ChildPointer(at, std::to_string(i));
    Rule rule;
    if (joined) {
      const Json* part = &parts[i];
      if (part->is_object() && part->contains("$ref") && !Asserts(Without(*part, "$ref")) &&
          (*part)["$ref"].is_string()) {
        const Json* target = FindReference(root_, (*part)["$ref"].get<std::string>());
        if (target != nullptr) part = target;
      }
      const auto merged = MergeSchemas(rest, *part);
      if (!merged) return Refuse(part_path, merged.error().message);
      rule = Visit(*merged, part_path);
    } else {
      rule = Visit(parts[i], part_path);
    }
    if (!rule) return rule;
    choices += (choices.empty() ? "" : " | ") + *rule;
  }
  return Define(choices);
}

Result<std::vector<std::string>> SchemaReader::Types(const Json& schema,
                                                     const std::string& path) const {
  constexpr std::string_view kTypes = " null boolean integer number string array object ";
  std::vector<std::string> types;
  const auto type = schema.find("type");
  if (type == schema.end()) {
    if (const auto implied = ImpliedType(schema); !implied.empty()) types.emplace_back(implied);
    return types;
  }
  const std::string at = ChildPointer(path, "type");
  const Json list = type->is_array() ? *type : Json::array({*type});
  for (const Json& name : list) {
    if (!name.is_string() ||
        kTypes.find(fmt::format(" {} ", name.get<std::string>())) == kTypes.npos) {
      return Refuse(at, fmt::format("{} is no type of JSON; there are null, boolean, integer, "
                                    "number, string, array and object",
                                    Escaped(Dump(name))));
    }
    auto text = name.get<std::string>();
    if (std::ranges::count(types, text) == 0) types.push_back(std::move(text));
  }
  if (types.empty()) return Refuse(at, "no type is left, so no value is allowed");
  const auto has = [&](std::string_view name) { return std::ranges::count(types, name) > 0; };
  if (has("number")) std::erase(types, "integer");
  return types;
}

SchemaReader::Rule SchemaReader::Values(const Json& schema, const std::string& path) {
  for (const auto& [keyword, value] : schema.items()) {
    if (FindSchemaKeyword(keyword) == SchemaKeyword::kAssertion && keyword != "enum" &&
        keyword != "const" && keyword != "type") {
      return Refuse(path, fmt::format("keyword {} beside enum or const is not supported; leave out "
                                      "the values that it forbids",
                                      Quoted(keyword)));
    }
  }
  Json values = Json::array();
  if (schema.contains("enum")) {
    values = schema["enum"];
    if (!values.is_array()) return Refuse(ChildPointer(path, "enum"), "must be a list of values");
  }
  if (const auto only = schema.find("const"); only != schema.end()) {
    const bool listed = !schema.contains("enum") || std::ranges::count(values, *only) > 0;
    values = Json::array();
    if (listed) values.push_back(*only);
  }
  const auto types = Types(schema, path);
  std::string choices;
  for (const Json& value : values) {
    const bool fits = types->empty() || std::ranges::any_of(*types, [&](const auto& type) {
                        return IsOfType(value, type);
                      });
    if (!fits) continue;
    choices += (choices.empty() ? "" : " | ") + GbnfLiteral(Dump(value));
  }
  if (choices.empty()) return Refuse(path, "none of the listed values is allowed");
  return Define(choices);
}

SchemaReader::Rule SchemaReader::OfType(const std::string& type, const Json& schema,
                                        const std::string& path) {
  if (type == "null") return std::string("json-null");
  if (type == "boolean") return std::string("json-boolean");
  if (type == "integer") return Integer(schema, path);
  if (type == "number") return Number(schema, path);
  if (type == "string") return String(schema, path);
  return type == "array" ? Array(schema, path) : Object(schema, path);
}

Result<SchemaReader::Sizes> SchemaReader::ReadSizes(const Json& schema, const std::string& what,
                                                    const std::string& path) const {
  Sizes sizes;
  for (const bool least : {true, false}) {
    const std::string keyword = (least ? "min" : "max") + what;
    const auto value = schema.find(keyword);
    if (value == schema.end()) continue;
    const double size = value->is_number() ? value->get<double>() : -1;
    if (size != std::floor(size) || size < 0 || size > 1e9) {
      return Refuse(ChildPointer(path, keyword), "must be a whole number from 0 to 1000000000");
    }
    if (least) {
      sizes.least = static_cast<size_t>(size);
    } else {
      sizes.most = static_cast<size_t>(size);
    }
  }
  if (sizes.most && *sizes.most < sizes.least) {
    return Refuse(path, fmt::format("max{0} is below min{0}, so no value is allowed", what));
  }
  return sizes;
}

}  // namespace lockstep
