// Grammars have no complement and no conditions, but schemas have choices: "if A then B" is "A and
// B, or not A", and what is not A is found keyword by keyword. {"properties": {"k": {"const": 1}},
// "required": ["k"]} is negated to: no object, or an object without k, or one whose k is something
// else.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/base/quoted.h"
#include "server/schema/schema_keywords.h"
#include "server/schema/schema_merge.h"

namespace lockstep {
namespace {

constexpr size_t kMaxDepth = 20;
constexpr int kMaxSize = 1'000'000'000;
// These types exclude each other. integer is not among them, since it is a part of number, and what
// is left of number has no name.
constexpr const char* kTypes[] = {"null", "boolean", "number", "string", "array", "object"};

Result<Json> Negate(const Json& schema, size_t depth);

tl::unexpected<Error> CannotNegate(std::string_view what) {
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("what is not allowed by {} cannot be written as a grammar", what));
}

Result<Json> OtherTypes(const Json& types) {
  const Json list = types.is_array() ? types : Json::array({types});
  const auto has = [&list](const char* type) { return std::ranges::count(list, type) > 0; };
  if (has("integer") && !has("number")) return CannotNegate("the type integer: fractions alone");
  Json out = Json::array();
  for (const char* type : kTypes) {
    if (std::ranges::find(list, type) == list.end()) out.push_back(type);
  }
  return out;
}

// An object breaks `properties` if one of the named members is there and breaks its own schema. A
// schema that no value breaks gives no choice.
Result<Json> NegateProperties(const Json& properties, size_t depth) {
  Json choices = Json::array();
  for (const auto& [name, schema] : properties.items()) {
    TRY(Json other, Negate(schema, depth + 1));
    if (other == false) continue;
    Json choice = {{"type", "object"}, {"required", Json::array({name})}};
    choice["properties"][name] = std::move(other);
    choices.push_back(std::move(choice));
  }
  return Json{{"anyOf", std::move(choices)}};
}

// De Morgan's laws turn "not all" into "any not" and "not any" into "all not", which is `joined`.
Result<Json> NegateEach(const Json& schemas, const char* joined, size_t depth) {
  Json parts = Json::array();
  for (const Json& schema : schemas) {
    TRY(Json part, Negate(schema, depth + 1));
    parts.push_back(std::move(part));
  }
  return Json{{joined, std::move(parts)}};
}

// Values of another type pass a keyword, so that they are not among what it forbids. No size is
// below 0, so that nothing breaks the demand of so many.
Result<Json> NegateBound(const SchemaKeyword& keyword, const Json& value) {
  Json bound = value;
  if (keyword.more != 0) {
    if (!value.is_number_integer() || value < 0 || value > kMaxSize) {
      return CannotNegate(Quoted(keyword.name));
    }
    const int64_t size = value.get<int64_t>() + keyword.more;
    if (size < 0) return Json(false);
    bound = size;
  }
  return Json{{"type", keyword.type}, {std::string(keyword.broken_by), std::move(bound)}};
}

// Returns the schema of what breaks one keyword, whatever the others say: minLength 3 is broken by
// a string of at most 2 characters.
Result<Json> NegateKeyword(const std::string& keyword, const Json& value, size_t depth) {
  if (keyword == "type") {
    TRY(Json others, OtherTypes(value));
    return Json{{"type", std::move(others)}};
  }
  if (keyword == "enum") return Json{{"not", {{"enum", value}}}};
  if (keyword == "const") return Json{{"not", {{"enum", Json::array({value})}}}};
  if (keyword == "not") return value;
  if (keyword == "allOf" && value.is_array()) return NegateEach(value, "anyOf", depth);
  if (keyword == "anyOf" && value.is_array()) return NegateEach(value, "allOf", depth);
  if (keyword == "properties" && value.is_object()) return NegateProperties(value, depth);
  // An object breaks it without the first name, or without the second, and so on; a property that
  // is false may not be there.
  if (keyword == "required" && value.is_array()) {
    Json choices = Json::array();
    for (const Json& name : value) {
      if (!name.is_string()) return CannotNegate(Quoted(keyword));
      Json choice = {{"type", "object"}};
      choice["properties"][name.get<std::string>()] = false;
      choices.push_back(std::move(choice));
    }
    return Json{{"anyOf", std::move(choices)}};
  }
  if (keyword == "pattern" || keyword == "format") {
    return Json{{"type", "string"}, {"not", {{keyword, value}}}};
  }
  const SchemaKeyword* const known = FindSchemaKeyword(keyword);
  if (known != nullptr && !known->broken_by.empty()) return NegateBound(*known, value);
  return CannotNegate(Quoted(keyword));
}

// A schema is broken where any one of its keywords is, so that its negation is a choice. A keyword
// that itself gives a choice adds its alternatives to that.
Result<Json> Negate(const Json& schema, size_t depth) {
  if (schema.is_boolean()) return Json(schema == false);
  if (!schema.is_object()) return CannotNegate("what is no schema");
  if (depth > kMaxDepth) return CannotNegate("schemas inside of so many others");
  Json choices = Json::array();
  for (const auto& [keyword, value] : schema.items()) {
    if (IsAnnotation(keyword)) continue;
    TRY(Json choice, NegateKeyword(keyword, value, depth));
    const bool is_choice = choice.is_object() && choice.size() == 1 && choice.contains("anyOf");
    if (is_choice) {
      choices.insert(choices.end(), choice["anyOf"].begin(), choice["anyOf"].end());
    } else {
      choices.push_back(std::move(choice));
    }
  }
  if (choices.empty()) return Json(false);
  if (choices.size() == 1) return choices[0];
  return Json{{"anyOf", std::move(choices)}};
}

// Whether `negated`, or a schema in it, lists a member that `schema` does not.
bool ListsAnywhere(const Json& negated, const Json& schema) {
  if (!negated.is_object()) return false;
  if (ListsMore(negated, schema, "properties")) return true;
  return std::ranges::any_of(std::array{"allOf", "anyOf"}, [&](const char* choice) {
    const Json parts = negated.value(choice, Json::array());
    return std::ranges::any_of(parts,
                               [&](const Json& part) { return ListsAnywhere(part, schema); });
  });
}

Json AllOf(Json a, Json b) { return {{"allOf", Json::array({std::move(a), std::move(b)})}}; }

// Allows what has no member of that name, and what `schema` allows.
Json OrWithout(const std::string& name, Json schema) {
  Json without = Json::object();
  without["properties"][name] = false;
  return {{"anyOf", Json::array({std::move(without), std::move(schema)})}};
}

// {"dependentRequired": {"a": ["b"]}} becomes: no a, or a and b. Before draft 2019-09 both forms
// were called dependencies, and a list or a schema told them apart.
Status AddDependencies(const std::string& keyword, const Json& value, Json* conditions) {
  const auto fail = [&](const char* problem) {
    return Fail(ErrorKind::kInvalidArgument, problem, keyword);
  };
  if (!value.is_object()) return fail("must be an object");
  for (const auto& [name, needs] : value.items()) {
    Json schema = needs;
    if (needs.is_array()) {
      schema = {{"required", needs}};
    } else if (keyword == "dependentRequired" || (!needs.is_object() && !needs.is_boolean())) {
      return fail("has an entry that is not of the expected kind");
    }
    if (schema == true) continue;
    Json present = {{"required", Json::array({name})}};
    conditions->push_back(schema == false ? OrWithout(name, false)
                                          : OrWithout(name, AllOf(std::move(present), schema)));
  }
  return {};
}

}  // namespace

// Members that a schema forbids are not evaluated by it, but those of its negation would be.
Result<Json> NegateSchema(const Json& schema, const Json& beside) {
  auto negated = Negate(schema, 0);
  if (negated && beside.is_object() && beside.value("unevaluatedProperties", Json(true)) != true &&
      ListsAnywhere(*negated, beside)) {
    return CannotNegate("members beside unevaluatedProperties");
  }
  return negated;
}

// An `if` without then and else asserts nothing (JSON Schema, 10.2.2), and is left out.
Result<Json> WithoutConditions(const Json& schema) {
  Json rest = Json::object(), conditions = schema.value("allOf", Json::array());
  for (const auto& [keyword, value] : schema.items()) {
    if (keyword == "dependentRequired" || keyword == "dependentSchemas" ||
        keyword == "dependencies") {
      TRY_OK(AddDependencies(keyword, value, &conditions));
    } else if (keyword != "if" && keyword != "then" && keyword != "else" && keyword != "allOf") {
      rest[keyword] = value;
    }
  }
  if (schema.contains("if") && (schema.contains("then") || schema.contains("else"))) {
    auto other = NegateSchema(schema["if"], schema);
    if (!other) return Fail(ErrorKind::kInvalidArgument, other.error().message, "if");
    conditions.push_back(
        {{"anyOf", Json::array({AllOf(schema["if"], schema.value("then", Json(true))),
                                AllOf(*std::move(other), schema.value("else", Json(true)))})}});
  }
  if (!conditions.empty()) rest["allOf"] = std::move(conditions);
  return rest;
}

}  // namespace lockstep
