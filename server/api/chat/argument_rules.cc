// JSON's grammar is the schema's own. The other forms name arguments one by one, in the schema's
// order, and each value is JSON again but for strings, which have no quotes or others. What a
// schema says of several arguments together, and in Gemma's form of the parts of a value, beyond
// what is read here, cannot be bound and is named as dropped.
#include "server/api/chat/argument_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/base/quoted.h"
#include "core/grammar/grammar.h"
#include "server/generation/text_rules.h"
#include "server/schema/schema_dialects.h"
#include "server/schema/schema_keywords.h"

namespace lockstep {
namespace {

using Form = CallForm::Arguments;

constexpr char kQuote[] = "<|\"|>";
constexpr size_t kMaxItems = 10000;  // that a bound of Gemma's lists counts
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

// A value in Gemma's form: strings in its own quotes, names without any.
std::string GemmaText(const Json& value) {
  if (value.is_string()) return kQuote + value.get<std::string>() + kQuote;
  if (!value.is_structured()) return Dump(value);
  std::string out;
  for (const auto& [key, item] : value.items()) {
    out += (out.empty() ? "" : ",") + (value.is_object() ? key + ":" : "") + GemmaText(item);
  }
  return value.is_object() ? "{" + out + "}" : "[" + out + "]";
}

// Whether the schema's type allows a value that it lists.
bool HasType(const Json& schema, const Json& value) {
  return !schema.contains("type") ||
         JsonGrammar().Add({{"type", schema["type"]}, {"const", value}}, "").has_value();
}

bool IsRequired(const Json& schema, const std::string& key) {
  return schema.contains("required") && schema["required"].is_array() &&
         std::ranges::count(schema["required"], Json(key)) > 0;
}

// Whether it is the schema of a function without parameters, as libraries write it: the properties
// are listed, and there are none. Without a list, an object is any.
bool HasNoMembers(const Json& schema) {
  if (!schema.contains("properties") || schema["properties"] != Json::object()) return false;
  return std::ranges::all_of(schema.items(), [](const auto& item) {
    const std::string& keyword = item.key();
    return keyword == "type" || keyword == "properties" || IsAnnotation(keyword) ||
           (keyword == "required" && item.value().empty());
  });
}

// Adds the names that are required, but not listed, to the properties.
Json WithRequired(Json schema) {
  const Json required = schema.value("required", Json::array());
  if (!schema.contains("properties") || !schema["properties"].is_object()) {
    schema["properties"] = Json::object();
  }
  for (const Json& name : required) {
    if (!name.is_string() || schema["properties"].contains(name.get<std::string>())) continue;
    schema["properties"][name.get<std::string>()] =
        schema.value("additionalProperties", Json(true));
  }
  return schema;
}

// What a schema of several types says about one of them.
Json OfOneType(const Json& schema, const std::string& type) {
  Json part = {{"type", type}};
  for (const auto& [keyword, value] : schema.items()) {
    const SchemaKeyword* const known = FindSchemaKeyword(keyword);
    const bool other = known != nullptr && !known->type.empty() && known->type != type &&
                       !(known->type == "number" && type == "integer");
    if (keyword != "type" && !other) part[keyword] = value;
  }
  return part;
}

std::optional<size_t> Count(const Json& schema, const char* keyword) {
  const auto given = schema.find(keyword);
  const bool counted = given != schema.end() && given->is_number_unsigned() && *given <= kMaxItems;
  return counted ? std::optional(given->get<size_t>()) : std::nullopt;
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
  references_.clear();
  Json schema = InOneDialect(function.value("parameters", Json(nullptr)));
  // OpenAI's: a function of which nothing is said has no parameters.
  if (schema.is_null() || schema.empty()) schema = {{"properties", Json::object()}};
  const Json root = schema;
  if (schema.contains("$ref") && !Asserts(Without(schema, "$ref")) && schema["$ref"].is_string()) {
    const Json* const target = FindReference(root, schema["$ref"].get<std::string>());
    if (target != nullptr && target->is_object()) schema = *target;
  }
  // Calls name their arguments, so that a schema without a type can only mean an object.
  if (!schema.contains("type")) schema["type"] = "object";
  if (HasNoMembers(schema)) schema["additionalProperties"] = false;
  if (schema["type"] != "object") {
    return Fail(ErrorKind::kInvalidArgument,
                where + "/type: must be \"object\": the arguments of a function are named", where);
  }
  const Place place{root, where, "", function.value("strict", false)};
  auto rule =
      form_.arguments == Form::kJson ? JsonValue(schema, place) : Named(schema, place, name);
  if (!rule) rule.error().message += " (the tool is " + Quoted(name) + ")";
  return rule;
}

Result<std::string> ArgumentRules::JsonValue(const Json& schema, const Place& place) {
  return json_.Add(schema, place.where, Options(place));
}

Result<std::string> ArgumentRules::Named(const Json& given, const Place& place,
                                         const std::string& tool) {
  const Json schema = WithRequired(given);
  TRY_OK(
      Drop(schema, place, {"type", "nullable", "properties", "required", "additionalProperties"}));
  if (!schema["properties"].empty()) {
    return Chain(schema, place,
                 form_.arguments == Form::kTagged  ? ""
                 : form_.arguments == Form::kGemma ? ","
                                                   : ", ",
                 tool);
  }
  const Json others = schema.value("additionalProperties", Json(true));
  if (others == false) return Define("\"\"");
  if (others.is_object() && Asserts(others)) TRY_OK(Lose("additionalProperties", place));
  return AnyArguments();
}

// Each argument in its turn, those that are not required or not. A separator stands before each but
// the first that is there: rule `first` is for who has had none, and `next` for who has.
Result<std::string> ArgumentRules::Chain(const Json& schema, const Place& place,
                                         std::string_view separator, const std::string& tool) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : schema["properties"].items()) {
    if (value != false || IsRequired(schema, key)) keys.push_back(key);
  }
  // Gemma's template sorts them.
  if (form_.arguments == Form::kGemma) std::ranges::sort(keys);
  std::string first = Define("\"\""), next = first;
  for (size_t i = keys.size(); i > 0; --i) {
    const std::string& key = keys[i - 1];
    const bool required = IsRequired(schema, key);
    Place at = Child(Child(place, "properties"), key);
    at.optional |= !required;
    TRY(const std::string argument, Argument(key, schema["properties"][key], at, tool));
    const std::string between = separator.empty() ? "" : GbnfLiteral(separator) + " ";
    const std::string here = fmt::format("{} {}", argument, next);
    const std::string_view otherwise = required ? "" : " | ";
    first = Define(fmt::format("{}{}{}", here, otherwise, required ? "" : first));
    next = Define(fmt::format("{}{}{}{}", between, here, otherwise, required ? "" : next));
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
    TRY(const std::string value, Gemma(schema, place));
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

// The rule for a value in a tag, and the text that ends it.
Result<std::string> ArgumentRules::Tagged(const Json& schema, const Place& place) {
  if (IsString(schema)) return Text(schema, place, "tagged", form_.value_after);
  TRY(const std::string value, JsonValue(schema, place));
  return value + " " + GbnfLiteral(form_.value_after);
}

// Many parameters say the same, such as a minLength of 1, and share one rule, unless what is said
// is to be named.
Result<std::string> ArgumentRules::Text(const Json& schema, const Place& place,
                                        const std::string& name, const std::string& end) {
  Json said = Json::object();
  for (const auto& [keyword, value] : schema.items()) {
    if (!IsAnnotation(keyword) && keyword != "nullable") said[keyword] = value;
  }
  if (said == Json{{"type", "string"}}) {
    DefineOnce(name, TextUntil(name, end, "\"\"", false));
    return name + "0";
  }
  const std::string key = Dump(said);
  if (const auto known = texts_.find(key); known != texts_.end()) return known->second;
  const size_t dropped = json_.dropped().size();
  TRY(std::string text, json_.AddBareText(said, place.where, end, Options(place)));
  if (text == JsonGrammar::Nothing()) return text;
  text += " " + GbnfLiteral(end);
  if (dropped == json_.dropped().size() && key.find("\"$ref\"") == std::string::npos) {
    texts_.emplace(key, text);
  }
  return text;
}

Status ArgumentRules::Lose(const std::string& keyword, const Place& place) {
  if (place.strict) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("{}{}/{}: cannot be kept in the form in which this model writes calls; "
                            "leave it out, or \"strict\"",
                            place.where, place.path, keyword),
                place.where);
  }
  dropped_.push_back(fmt::format("{}{}: {}", place.where, place.path, keyword));
  return {};
}

// What a schema says beyond `kept`.
Status ArgumentRules::Drop(const Json& schema, const Place& place,
                           std::initializer_list<std::string_view> kept) {
  for (const auto& [keyword, value] : schema.items()) {
    if (IsAnnotation(keyword) || std::ranges::count(kept, keyword) > 0) continue;
    TRY_OK(Lose(keyword, place));
  }
  return {};
}

// The order is that of the readers of JSON's schemas: references, lists of values, choices, types.
Result<std::string> ArgumentRules::Gemma(const Json& schema, const Place& place) {
  if (schema == false) return JsonValue(schema, place);  // an error
  TRY(const std::string number, json_.Add({{"type", "number"}}, place.where));
  DefineOnce("gemma-quoted", TextUntil("gemma-quoted", kQuote, "\"\"", false));
  DefineOnce("gemma-text", fmt::format("gemma-text ::= {} gemma-quoted0\n", GbnfLiteral(kQuote)));
  DefineOnce("gemma-value",
             fmt::format("gemma-value ::= gemma-text | {} | \"true\" | \"false\" | \"null\" | "
                         "\"[\" (gemma-value (\",\" gemma-value)*)? \"]\" | gemma-object\n"
                         "gemma-object ::= \"{{\" (gemma-entry (\",\" gemma-entry)*)? \"}}\"\n"
                         "gemma-entry ::= [a-zA-Z0-9_]+ \":\" gemma-value\n",
                         number));
  if (!schema.is_object()) return std::string("gemma-value");
  if (schema.contains("$ref")) return GemmaReference(schema, place);
  if (IsString(schema)) return GemmaOfType("string", schema, place);
  if (!Listed(schema).is_null()) return GemmaListed(schema, place);
  for (const char* name : {"anyOf", "oneOf"}) {
    if (schema.contains(name) && schema[name].is_array() && !schema[name].empty()) {
      return GemmaChoice(schema, place, name);
    }
  }
  const Json types = schema.value("type", Json(ImpliedType(schema)));
  std::string any;
  for (const Json& type : types.is_array() ? types : Json::array({types})) {
    if (!type.is_string() || type == "") {
      TRY_OK(Drop(schema, place, {"nullable"}));
      return std::string("gemma-value");
    }
    const auto name = type.get<std::string>();
    TRY(const std::string rule, GemmaOfType(name, OfOneType(schema, name), place));
    any += (any.empty() ? "" : " | ") + rule;
  }
  return Define(any);
}

// A definition has one rule, which it may lead back to.
Result<std::string> ArgumentRules::GemmaReference(const Json& schema, const Place& place) {
  const Json* const target = schema["$ref"].is_string()
                                 ? FindReference(place.root, schema["$ref"].get<std::string>())
                                 : nullptr;
  if (target == nullptr) {
    TRY_OK(Drop(schema, place, {}));
    return std::string("gemma-value");
  }
  TRY_OK(Drop(schema, place, {"$ref"}));
  const auto [known, is_new] = references_.try_emplace(target);
  if (is_new) {
    known->second = fmt::format("argument{}", names_++);
    const std::string name = known->second;
    TRY(const std::string rule, Gemma(*target, place));
    rules_ += name + " ::= " + rule + "\n";
    return name;
  }
  return known->second;
}

Result<std::string> ArgumentRules::GemmaListed(const Json& schema, const Place& place) {
  Json values = Json::array();
  for (const Json& value : Listed(schema)) {
    if (HasType(schema, value)) values.push_back(value);
  }
  if (AreTexts(values)) return GemmaOfType("string", schema, place);
  TRY_OK(Drop(schema, place, {"type", "nullable", "enum", "const"}));
  std::string any;
  for (const Json& value : values)
    any += (any.empty() ? "" : " | ") + GbnfLiteral(GemmaText(value));
  return any.empty() ? JsonValue(schema, place) : Define(any);
}

Result<std::string> ArgumentRules::GemmaChoice(const Json& schema, const Place& place,
                                               const std::string& keyword) {
  TRY_OK(Drop(schema, place, {"nullable", keyword}));
  // What is lost is that no more than one of them holds.
  if (keyword == "oneOf" && schema[keyword].size() > 1) TRY_OK(Lose(keyword, place));
  std::string any;
  for (size_t i = 0; i < schema[keyword].size(); ++i) {
    TRY(const std::string rule,
        Gemma(schema[keyword][i], Child(Child(place, keyword), std::to_string(i))));
    any += (any.empty() ? "" : " | ") + rule;
  }
  return Define(any);
}

Result<std::string> ArgumentRules::GemmaOfType(const std::string& type, const Json& schema,
                                               const Place& place) {
  if (type == "string") {
    TRY(const std::string text, Text(schema, place, "gemma-quoted", kQuote));
    return GbnfLiteral(kQuote) + " " + text;
  }
  if (type == "array") return GemmaList(schema, place);
  if (type != "object") return JsonValue(schema, place);
  TRY_OK(
      Drop(schema, place, {"type", "nullable", "properties", "required", "additionalProperties"}));
  const Json whole = WithRequired(schema);
  const Json others = schema.value("additionalProperties", Json(true));
  if (whole["properties"].empty() && others != false) {
    if (others.is_object() && Asserts(others)) TRY_OK(Lose("additionalProperties", place));
    return std::string("gemma-object");
  }
  TRY(const std::string entries, Chain(whole, place, ",", {}));
  return Define("\"{\" " + entries + " \"}\"");
}

Result<std::string> ArgumentRules::GemmaList(const Json& schema, const Place& place) {
  const auto least = Count(schema, "minItems"), most = Count(schema, "maxItems");
  Json rest = schema;
  if (least) rest.erase("minItems");
  if (most) rest.erase("maxItems");
  const Json items = schema.value("items", Json(true));
  if (items.is_array()) {
    TRY_OK(Lose("items", place));
  }
  TRY_OK(Drop(rest, place, {"type", "nullable", "items"}));
  if (most == 0u) return GbnfLiteral("[]");
  Place at = Child(place, "items");
  at.optional |= least.value_or(0) == 0;
  TRY(const std::string item, Gemma(items.is_array() ? Json(true) : items, at));
  const std::string list = fmt::format("{0} (\",\" {0}){1}", item,
                                       Repetition(std::max<size_t>(least.value_or(0), 1) - 1,
                                                  most ? std::optional(*most - 1) : std::nullopt));
  return Define(fmt::format("\"[\" ({}){} \"]\"", list, least.value_or(0) == 0 ? "?" : ""));
}

// The rule for any arguments, in the form that the model writes them in.
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
