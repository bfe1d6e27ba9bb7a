// JSON's grammar is the schema's own. The other forms name arguments one by one, in the schema's
// order, and each value is JSON again but for strings, which have no quotes or others: of these
// what the schema says beyond a list of values cannot be bound, and is named as dropped.
#include "server/api/chat/argument_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/quoted.h"
#include "core/grammar/grammar.h"
#include "server/generation/text_rules.h"

namespace lockstep {
namespace {

using Form = CallForm::Arguments;

constexpr char kQuote[] = "<|\"|>";
// What rules are made of, and what binds nothing.
constexpr std::string_view kKept[] = {
    "type",     "properties", "required",    "additionalProperties",
    "items",    "enum",       "const",       "anyOf",
    "oneOf",    "$ref",       "$defs",       "definitions",
    "$schema",  "$id",        "description", "title",
    "default",  "examples",   "nullable",    "deprecated",
    "$comment", "readOnly",   "writeOnly"};
// How deep Gemma's values may lie in each other before they become any value.
constexpr size_t kMaxGemmaDepth = 16;

bool IsOfType(const Json& schema, const char* type) {
  return schema.is_object() && schema.contains("type") && schema["type"] == type;
}

// The values that the schema lists, null if it lists none.
Json Listed(const Json& schema) {
  if (!schema.is_object()) return nullptr;
  if (schema.contains("const")) return Json::array({schema["const"]});
  return schema.contains("enum") && schema["enum"].is_array() ? schema["enum"] : Json(nullptr);
}

bool AreTexts(const Json& values) {
  return values.is_array() && !values.empty() &&
         std::ranges::all_of(values, [](const Json& value) { return value.is_string(); });
}

// Whether a value is written bare where strings are.
bool IsString(const Json& schema) {
  const Json listed = Listed(schema);
  return listed.is_null() ? IsOfType(schema, "string") : AreTexts(listed);
}

std::string Alternatives(const Json& texts, std::string_view before, std::string_view behind) {
  std::string body;
  for (const Json& text : texts) {
    body += (body.empty() ? "" : " | ") +
            GbnfLiteral(std::string(before) + text.get<std::string>() + std::string(behind));
  }
  return "(" + body + ")";
}

bool IsRequired(const Json& schema, const std::string& key) {
  return schema.contains("required") && schema["required"].is_array() &&
         std::ranges::count(schema["required"], Json(key)) > 0;
}

// What a reference within the document points to, null if it points elsewhere.
const Json* Resolve(const Json& root, const std::string& reference) {
  if (!reference.starts_with("#/")) return nullptr;
  const Json* at = &root;
  for (size_t begin = 2; begin <= reference.size();) {
    const size_t end = std::min(reference.find('/', begin), reference.size());
    const std::string key = reference.substr(begin, end - begin);
    if (!at->is_object() || !at->contains(key)) return nullptr;
    at = &(*at)[key];
    begin = end + 1;
  }
  return at;
}

}  // namespace

std::string ArgumentRules::Define(const std::string& body) {
  std::string name = fmt::format("argument{}", names_++);
  rules_ += name + " ::= " + body + "\n";
  return name;
}

void ArgumentRules::DefineOnce(const std::string& name, const std::string& rules) {
  if (defined_.insert(name).second) rules_ += rules;
}

Result<std::string> ArgumentRules::Add(const Json& function, const std::string& where) {
  const auto name = function["name"].get<std::string>();
  const bool any = !function.contains("parameters") || function["parameters"].empty();
  if (any && form_.arguments != Form::kJson) return AnyArguments();
  if (any) return std::string(JsonGrammar::Object());
  Json schema = WithoutBigIntegers(function["parameters"]);
  // Calls name their arguments, so that a schema without a type can only mean an object.
  if (!schema.contains("type")) schema["type"] = "object";
  if (schema["type"] != "object") {
    return Fail(ErrorKind::kInvalidArgument,
                where + "/type: must be \"object\": the arguments of a function are named", where);
  }
  const Place place{schema, where, function.value("strict", false)};
  auto rule =
      form_.arguments == Form::kJson ? JsonValue(schema, place) : Named(schema, place, name);
  if (!rule) rule.error().message += " (the tool is " + Quoted(name) + ")";
  return rule;
}

Result<std::string> ArgumentRules::JsonValue(const Json& schema, const Place& place) {
  // A part of a schema takes the definitions of the whole along, to which its references point.
  Json part = schema;
  for (const char* name : {"$defs", "definitions"}) {
    if (part.is_object() && place.root.contains(name) && !part.contains(name)) {
      part[name] = place.root[name];
    }
  }
  return json_.Add(part, place.where, {place.strict, meter_});
}

Result<std::string> ArgumentRules::Named(const Json& schema, const Place& place,
                                         const std::string& tool) {
  TRY_OK(Drop(schema, place));
  const bool known = schema.contains("properties") && schema["properties"].is_object() &&
                     !schema["properties"].empty();
  if (known) {
    return Chain(schema, place,
                 form_.arguments == Form::kTagged  ? ""
                 : form_.arguments == Form::kGemma ? ","
                                                   : ", ",
                 tool);
  }
  const bool none =
      schema.contains("additionalProperties") && schema["additionalProperties"] == false;
  return none ? Define("\"\"") : AnyArguments();
}

// Each argument in its turn, those that are not required or not. A separator stands before each but
// the first that is there: rule `first` is for who has had none, and `next` for who has.
Result<std::string> ArgumentRules::Chain(const Json& schema, const Place& place,
                                         std::string_view separator, const std::string& tool) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : schema["properties"].items()) keys.push_back(key);
  // Gemma's template sorts them.
  if (form_.arguments == Form::kGemma) std::ranges::sort(keys);
  std::string first = Define("\"\""), next = first;
  for (size_t i = keys.size(); i > 0; --i) {
    const std::string& key = keys[i - 1];
    const Place at{place.root, place.where + "/properties/" + key, place.strict};
    TRY(const std::string argument, Argument(key, schema["properties"][key], at, tool));
    const bool required = IsRequired(schema, key);
    const std::string between = separator.empty() ? "" : GbnfLiteral(separator) + " ";
    const std::string here = fmt::format("{} {}", argument, next);
    first = Define(here + (required ? "" : " | " + first));
    next = Define(between + here + (required ? "" : " | " + next));
  }
  return first;
}

Result<std::string> ArgumentRules::Argument(const std::string& key, const Json& schema,
                                            const Place& place, const std::string& tool) {
  if (form_.arguments == Form::kTagged) {
    if (IsString(schema) && !tool.empty()) strings_[tool].insert(key);
    TRY(const std::string value, Tagged(schema, place));
    const std::string& assign = IsString(schema) ? form_.key_after : form_.key_after_other;
    return Define(GbnfLiteral(form_.key_before + key + assign) + " " + value);
  }
  if (form_.arguments == Form::kGemma) {
    TRY(const std::string value, Gemma(schema, place, 0));
    return Define(GbnfLiteral(key + ":") + " " + value);
  }
  TRY(std::string value, JsonValue(schema, place));
  // Python's other quotes, which templates teach.
  if (IsOfType(schema, "string") && schema.size() <= 1 + schema.count("description")) {
    DefineOnce("python-text", "python-text ::= \"'\" ([^'\\\\\\n] | \"\\\\\" [^\\n])* \"'\"\n");
    value = "(" + value + " | python-text)";
  }
  return Define(GbnfLiteral(key + "=") + " " + value);
}

// A value and what ends it.
Result<std::string> ArgumentRules::Tagged(const Json& schema, const Place& place) {
  if (!IsString(schema)) {
    TRY(const std::string value, JsonValue(schema, place));
    return value + " " + GbnfLiteral(form_.value_after);
  }
  if (const Json listed = Listed(schema); !listed.is_null()) {
    return Alternatives(listed, "", form_.value_after);
  }
  TRY_OK(Drop(schema, place));
  DefineOnce("tagged", TextUntil("tagged", form_.value_after, "\"\"", false));
  return std::string("tagged0");
}

// What a schema says that is neither bound here nor an annotation.
Status ArgumentRules::Drop(const Json& schema, const Place& place) {
  for (const auto& [keyword, value] : schema.items()) {
    if (std::ranges::find(kKept, keyword) != std::end(kKept)) continue;
    if (place.strict) {
      return Fail(ErrorKind::kInvalidArgument,
                  fmt::format("{}/{}: cannot be kept in the form in which this model writes calls; "
                              "leave it out, or \"strict\"",
                              place.where, keyword),
                  place.where.substr(0, place.where.find('/')));
    }
    dropped_.push_back(fmt::format("{}: {}", place.where, keyword));
  }
  return {};
}

Result<std::string> ArgumentRules::Gemma(const Json& schema, const Place& place, size_t depth) {
  if (const Json listed = Listed(schema); AreTexts(listed)) {
    return Alternatives(listed, kQuote, kQuote);
  }
  DefineOnce("gemma-text", fmt::format("gemma-text ::= {} gemma-quoted0\n", GbnfLiteral(kQuote)) +
                               TextUntil("gemma-quoted", kQuote, "\"\"", false));
  TRY(const std::string number, json_.Add({{"type", "number"}}, place.where));
  DefineOnce("gemma-value",
             fmt::format("gemma-value ::= gemma-text | {} | \"true\" | \"false\" | \"null\" | "
                         "\"[\" (gemma-value (\",\" gemma-value)*)? \"]\" | gemma-object\n"
                         "gemma-object ::= \"{{\" (gemma-entry (\",\" gemma-entry)*)? \"}}\"\n"
                         "gemma-entry ::= [a-zA-Z0-9_]+ \":\" gemma-value\n",
                         number));
  if (!schema.is_object() || depth > kMaxGemmaDepth) return std::string("gemma-value");
  if (schema.contains("$ref") && schema["$ref"].is_string()) {
    const Json* const target = Resolve(place.root, schema["$ref"].get<std::string>());
    return target == nullptr ? std::string("gemma-value") : Gemma(*target, place, depth + 1);
  }
  Json choices = Json::array();
  for (const char* name : {"anyOf", "oneOf"}) {
    if (schema.contains(name) && schema[name].is_array()) choices = schema[name];
  }
  std::string any;
  for (const Json& choice : choices) {
    TRY(const std::string rule, Gemma(choice, place, depth + 1));
    any += (any.empty() ? "" : " | ") + rule;
  }
  if (!any.empty()) return Define(any);
  const Json types = schema.contains("type") ? schema["type"] : Json("");
  for (const Json& type : types.is_array() ? types : Json::array({types})) {
    if (!type.is_string()) return std::string("gemma-value");
    TRY(const std::string rule, GemmaOfType(type.get<std::string>(), schema, place, depth));
    any += (any.empty() ? "" : " | ") + rule;
  }
  return any.empty() ? std::string("gemma-value") : Define(any);
}

Result<std::string> ArgumentRules::GemmaOfType(const std::string& type, const Json& schema,
                                               const Place& place, size_t depth) {
  if (type == "string") {
    TRY_OK(Drop(schema, place));
    return std::string("gemma-text");
  }
  if (type == "array" || type == "object") TRY_OK(Drop(schema, place));
  if (type == "array") {
    const Json items = schema.contains("items") ? schema["items"] : Json::object();
    TRY(const std::string item, Gemma(items, place, depth + 1));
    return Define(fmt::format("\"[\" ({0} (\",\" {0})*)? \"]\"", item));
  }
  if (type == "object") {
    if (!schema.contains("properties") || !schema["properties"].is_object() ||
        schema["properties"].empty()) {
      return std::string("gemma-object");
    }
    TRY(const std::string entries, Chain(schema, place, ",", {}));
    return Define("\"{\" " + entries + " \"}\"");
  }
  if (type.empty()) return std::string("gemma-value");
  Json value = schema;
  value["type"] = type;
  return JsonValue(value, place);
}

// Any arguments of the form.
std::string ArgumentRules::AnyArguments() {
  constexpr char kKey[] = "[a-zA-Z_] [a-zA-Z0-9_-]*";
  if (form_.arguments == Form::kTagged) {
    DefineOnce("tagged", TextUntil("tagged", form_.value_after, "\"\"", false));
    return Define(fmt::format("({} {} {} tagged0)*", GbnfLiteral(form_.key_before), kKey,
                              GbnfLiteral(form_.key_after)));
  }
  const bool gemma = form_.arguments == Form::kGemma;
  const std::string argument =
      Define(fmt::format("{} \"{}\" {}", kKey, gemma ? ":" : "=", JsonGrammar::Value()));
  return Define(fmt::format("({0} (\"{1}\" {0})*)?", argument, gemma ? "," : ", "));
}

}  // namespace lockstep
