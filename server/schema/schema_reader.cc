// A schema is visited from the outside in, and first rid of what combines schemas: conditions
// become choices, allOf and what stands beside a $ref or an anyOf is joined into one schema, until
// only keywords about values of a type are left, which schema_numbers.cc, schema_texts.cc,
// schema_arrays.cc and schema_objects.cc turn into rules.
//
// References are not followed on the spot but put down, so that neither a ring of definitions nor a
// long chain of them is depth; equal joined schemas are one rule for the same reason.
//
// A schema that is not strict is read by trial: where a keyword fails, its schema is read again
// without it. What fails once is left out at once when a schema around it is read again, so that
// all trials together are no more than keywords times depth.
#include "server/schema/schema_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/quoted.h"
#include "core/grammar/grammar.h"
#include "server/schema/schema_keywords.h"
#include "server/schema/schema_merge.h"

namespace lockstep {
namespace {

constexpr size_t kMaxDepth = 100;  // of schemas inside of schemas
// Bounds the time that one request can take: joining can make many schemas of a few.
constexpr size_t kMaxSchemas = 8000;
constexpr size_t kMaxParts = 100;  // of allOf
// Costs in units of WorkMeter: a schema is copied, joined and looked at several times on its way,
// and names are looked for one by one.
constexpr uint64_t kVisitCost = 512, kValueCost = 32, kByteCost = 2;

bool HasConditions(const Json& schema) {
  return schema.contains("if") || schema.contains("then") || schema.contains("else") ||
         schema.contains("dependentRequired") || schema.contains("dependentSchemas") ||
         schema.contains("dependencies");
}

// Whether `not` forbids only what the readers of values take out by themselves: the values of an
// enum, or the texts of a pattern or a format. All else is negated as a schema.
bool IsPlainNot(const Json& forbidden) {
  return forbidden.is_object() && forbidden.size() == 1 &&
         ((forbidden.contains("enum") && forbidden["enum"].is_array()) ||
          forbidden.contains("pattern") || forbidden.contains("format"));
}

}  // namespace

uint64_t SchemaReader::Weight(const Json& schema) {
  uint64_t weight = kValueCost;
  if (schema.is_string()) return weight + schema.get_ref<const std::string&>().size();
  for (const Json& value : schema) weight += schema.is_structured() ? Weight(value) : 0;
  return weight + (schema.is_object() ? schema.size() * schema.size() / 4 : 0);
}

tl::unexpected<Error> SchemaReader::Fail(const std::string& path, std::string_view problem) const {
  return lockstep::Fail(ErrorKind::kInvalidArgument,
                        fmt::format("{}{}: {}", where_, Escaped(path, 300), problem), where_);
}

tl::unexpected<Error> SchemaReader::FailKeyword(const std::string& path, std::string_view keyword,
                                                std::string_view problem) const {
  fault_ = {path, std::string(keyword)};
  return Fail(ChildPointer(path, keyword), problem);
}

void SchemaReader::Drop(const std::string& path, const std::string& keyword) {
  if (!lost_.emplace(path, keyword).second) return;
  dropped_.push_back(fmt::format("{}{}: {}", where_, path, keyword));
}

Result<Json> SchemaReader::Beside(Json schema, const std::vector<const Json*>& others,
                                  const std::string& path) {
  while (true) {
    auto own = WithOwnUnevaluated(schema, others);
    if (own) return own;
    const std::string keyword = own.error().param;
    if (options_.strict) return FailKeyword(path, keyword, own.error().message);
    Drop(path, keyword);
    schema.erase(keyword);
  }
}

// Each turn leaves out the one keyword of `b`, or else of `a`, at which the last one failed, so
// that this ends.
Result<Json> SchemaReader::Join(Json a, const std::string& a_path, Json b,
                                const std::string& b_path) {
  TRY_OK(Pay(Weight(a) + Weight(b)));
  while (true) {
    auto merged = MergeSchemas(a, b);
    if (merged) return merged;
    const std::string keyword = merged.error().param;
    const auto drop = [&](Json& schema, const std::string& at) {
      if (!schema.is_object() || schema.erase(keyword) == 0) return false;
      Drop(at, keyword);
      return true;
    };
    if (options_.strict || (!drop(b, b_path) && !drop(a, a_path))) {
      return Fail(b_path, merged.error().message);
    }
  }
}

SchemaReader::Rule SchemaReader::Nothing(const std::string& path, std::string_view keyword,
                                         std::string_view problem) const {
  if (choices_ > 0) return std::string(JsonRules::Nothing());
  return FailKeyword(path, keyword, problem);
}

SchemaReader::Rule SchemaReader::Nothing(const Json& schema,
                                         std::initializer_list<const char*> keywords,
                                         const std::string& path, std::string_view problem) const {
  const auto* const found = std::ranges::find_if(
      keywords, [&schema](const char* keyword) { return schema.contains(keyword); });
  return Nothing(path, found == keywords.end() ? "type" : *found, problem);
}

std::string SchemaReader::Define(std::string_view body) {
  std::string name = rules_.NewName();
  rules_.Define(name, body);
  return name;
}

std::string SchemaReader::Later(const std::string& key, const Json& schema,
                                const std::string& path) {
  const auto [known, is_new] = later_.try_emplace(key);
  if (is_new) {
    known->second = rules_.NewName();
    later_keys_.push_back(key);
    pending_.push_back({known->second, schema, path, choices_});
  }
  return known->second;
}

// pending_ is a list of work: visiting one schema may add others behind it.
Result<std::string> SchemaReader::Read() {
  const std::string root = Later(options_.root == nullptr ? "#" : "part", schema_, options_.path);
  for (size_t i = 0; i < pending_.size(); ++i) {
    const Pending next = pending_[i];  // a copy: there may be more
    choices_ = next.choices;
    TRY(const std::string rule, Visit(next.schema, next.path));
    rules_.Define(next.rule, rule);
  }
  return root;
}

SchemaReader::Rule SchemaReader::Visit(const Json& schema, const std::string& path) {
  if (schema == true) return std::string(JsonRules::Value());
  if (schema == false && choices_ == 0) return Fail(path, "the schema false allows no value");
  if (schema == false) return std::string(JsonRules::Nothing());
  if (!schema.is_object()) return Fail(path, "a schema must be an object or a boolean");
  if (depth_ >= kMaxDepth) return Fail(path, "schemas are nested too deeply");
  if (++visits_ > kMaxSchemas) {
    return Fail(path, fmt::format("there are more than {} schemas", kMaxSchemas));
  }
  TRY_OK(Pay(kVisitCost + Weight(schema)));
  if (rules_.text().size() > kMaxGrammarBytes) {
    return Fail(path, "the schemas up to here are too large in all");
  }
  ++depth_;
  const size_t bytes = rules_.text().size();
  Rule rule = options_.strict ? VisitObjectSchema(schema, path) : VisitDropping(schema, path);
  --depth_;
  TRY_OK(Pay(kByteCost * (rules_.text().size() - std::min(bytes, rules_.text().size()))));
  return rule;
}

SchemaReader::Rule SchemaReader::VisitIf(bool required, const Json& schema,
                                         const std::string& path) {
  choices_ += required ? 0 : 1;
  Rule rule = Visit(schema, path);
  choices_ -= required ? 0 : 1;
  return rule;
}

// A fault that names no keyword of this schema is passed on: a schema is visited in several forms
// at one place, such as without its conditions, and an earlier form may have the keyword. A try
// that fails leaves rules, pending schemas and counters behind, which are taken back to where it
// began.
SchemaReader::Rule SchemaReader::VisitDropping(const Json& schema, const std::string& path) {
  Json rest = schema;
  for (const auto& [lost_path, keyword] : lost_) {
    if (lost_path == path) rest.erase(keyword);
  }
  while (true) {
    const size_t bytes = rules_.text().size(), later = later_keys_.size();
    const size_t choices = choices_, depth = depth_;
    fault_ = {};
    Rule rule = VisitObjectSchema(rest, path);
    if (rule || fault_.first != path || !rest.contains(fault_.second)) return rule;
    Drop(path, fault_.second);
    rest.erase(fault_.second);
    rules_.Truncate(bytes);
    for (; later_keys_.size() > later; later_keys_.pop_back(), pending_.pop_back()) {
      later_.erase(later_keys_.back());
    }
    choices_ = choices;
    depth_ = depth;
  }
}

// Each step takes one kind of keyword away and visits what is left, so that their order is what
// makes combinations of them right: references first, then conditions, since they make new entries
// of allOf, then allOf, which may join further choices, then choices, then the types.
SchemaReader::Rule SchemaReader::VisitObjectSchema(const Json& schema, const std::string& path) {
  for (const auto& [keyword, value] : schema.items()) {
    if (FindSchemaKeyword(keyword) != nullptr || IsAnnotation(keyword)) continue;
    fault_ = {path, keyword};
    return Fail(path, fmt::format("keyword {} is not supported", Quoted(keyword)));
  }
  if (schema.contains("$ref")) return Reference(schema, path);
  if (HasConditions(schema)) {
    const auto choices = WithoutConditions(schema);
    if (!choices) return FailKeyword(path, choices.error().param, choices.error().message);
    return Visit(*choices, path);
  }
  const char* const choice = schema.contains("anyOf")   ? "anyOf"
                             : schema.contains("oneOf") ? "oneOf"
                                                        : nullptr;
  if (schema.contains("allOf")) return AllOf(schema, path);
  if (const auto nullable = schema.find("nullable"); nullable != schema.end()) {
    if (!nullable->is_boolean()) return FailKeyword(path, "nullable", "must be a boolean");
    TRY(const std::string rule, Visit(Without(schema, "nullable"), path));
    return *nullable == false ? rule : Define(rule + " | json-null");
  }
  if (choice != nullptr) return AnyOf(schema, choice, path);
  if (schema.contains("not") && !IsPlainNot(schema["not"])) return Not(schema, path);
  TRY(std::vector<std::string> types, Types(schema, path));
  if (ForbidsTexts(schema) &&
      std::erase_if(types, [](const auto& name) { return name != "string"; }) > 0 &&
      types.empty()) {
    return Nothing(path, "not", "forbids all that is no string");
  }
  if (schema.contains("enum") || schema.contains("const")) return Values(schema, path);
  if (types.empty()) return std::string(JsonRules::Value());
  std::string choices;
  for (const std::string& type : types) {
    TRY(const std::string rule, OfType(type, schema, path));
    if (types.size() == 1) return rule;
    choices += (choices.empty() ? "" : " | ") + rule;
  }
  return Define(choices);
}

const Json& SchemaReader::Resolved(const Json& schema) const {
  const Json* at = &schema;
  for (size_t hops = 0; hops < kMaxDepth && at->is_object() && at->contains("$ref"); ++hops) {
    const Json& reference = (*at)["$ref"];
    if (!reference.is_string() || Asserts(Without(*at, "$ref"))) break;
    const Json* const target = FindReference(root_, reference.get<std::string>());
    if (target == nullptr) break;
    at = target;
  }
  return *at;
}

SchemaReader::Rule SchemaReader::Reference(const Json& schema, const std::string& path) {
  if (!schema["$ref"].is_string()) return FailKeyword(path, "$ref", "must be a string");
  const auto reference = schema["$ref"].get<std::string>();
  const Json* target = FindReference(root_, reference);
  if (target == nullptr) {
    return FailKeyword(path, "$ref",
                       fmt::format("{} leads nowhere; only references into this schema are "
                                   "supported, such as #/$defs/name",
                                   Quoted(reference)));
  }
  // Since draft 2019-09 the keywords beside a $ref hold as well; before, they were ignored.
  const Json rest = Without(schema, "$ref");
  if (!Asserts(rest)) return Later(reference, *target, reference.substr(1));
  TRY(Json own, Beside(*target, {&rest}, path));
  TRY(const Json merged, Join(std::move(own), reference.substr(1), rest, path));
  if (merged == false) return Nothing(path, "$ref", "and what stands beside it exclude each other");
  return Later("joined " + Dump(merged), merged, path);
}

SchemaReader::Rule SchemaReader::AllOf(const Json& schema, const std::string& path) {
  const Json& parts = schema["allOf"];
  if (!parts.is_array() || parts.empty()) {
    return FailKeyword(path, "allOf", "must be a list of schemas");
  }
  if (parts.size() > kMaxParts) {
    return FailKeyword(path, "allOf", fmt::format("has more than {} schemas", kMaxParts));
  }
  const Json rest = Without(schema, "allOf");
  Json merged = rest;
  std::vector<const Json*> all;
  for (const Json& part : parts) all.push_back(&Resolved(part));
  for (size_t i = 0; i < parts.size(); ++i) {
    // Alone, a part may be recursive; joined with others it is taken in.
    const bool alone = parts.size() == 1 && !Asserts(merged);
    const std::string at = ChildPointer(ChildPointer(path, "allOf"), std::to_string(i));
    std::vector<const Json*> others = all;
    others[i] = &rest;
    TRY(Json part, Beside(alone ? parts[i] : *all[i], others, at));
    TRY(merged, Join(merged, path, std::move(part), at));
  }
  if (merged == false) return Nothing(path, "allOf", "its schemas exclude each other");
  if (!merged.is_object() || merged.size() <= 1) return Visit(merged, path);
  // What waits in allOf does so for a choice or a condition, which therefore comes first.
  if (merged.contains("allOf") && !HasConditions(merged) && !merged.contains("$ref")) {
    for (const char* choice : {"anyOf", "oneOf"}) {
      if (merged.contains(choice)) return AnyOf(merged, choice, path);
    }
  }
  return Later("joined " + Dump(merged), merged, path);
}

SchemaReader::Rule SchemaReader::AnyOf(const Json& schema, const std::string& keyword,
                                       const std::string& path) {
  const std::string at = ChildPointer(path, keyword);
  Json parts = schema[keyword];
  if (!parts.is_array() || parts.empty()) {
    return FailKeyword(path, keyword, "must be a list of schemas");
  }
  const Json rest = Without(schema, keyword);
  if (keyword == "oneOf") {
    TRY(parts, ToldApart(parts, rest, path));
  }
  const bool joined = Asserts(rest);
  std::string choices;
  ++choices_;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part_path = ChildPointer(at, std::to_string(i));
    Json part = parts[i];
    if (joined) {
      TRY(part, Beside(Resolved(part), {&rest}, part_path));
      TRY(part, Join(rest, path, part, part_path));
    }
    TRY(const std::string rule, Visit(part, part_path));
    if (rule != JsonRules::Nothing()) choices += (choices.empty() ? "" : " | ") + rule;
  }
  --choices_;
  if (choices.empty()) return Nothing(path, keyword, "none of its schemas allows a value");
  return Define(choices);
}

SchemaReader::Rule SchemaReader::Not(const Json& schema, const std::string& path) {
  const auto negated = NegateSchema(Resolved(schema["not"]), schema);
  if (!negated) return FailKeyword(path, "not", negated.error().message);
  TRY(const Json merged, Join(Without(schema, "not"), path, *negated, ChildPointer(path, "not")));
  if (merged == false) return Nothing(path, "not", "leaves no value");
  return Visit(merged, path);
}

// Without a type, the keywords say which type is meant; a schema of nothing but `not` may be of any
// type, and one without either is of no type in particular, which the empty list says.
Result<std::vector<std::string>> SchemaReader::Types(const Json& schema,
                                                     const std::string& path) const {
  constexpr std::string_view kTypes = " null boolean integer number string array object ";
  std::vector<std::string> types;
  const auto type = schema.find("type");
  if (type == schema.end()) {
    if (const auto implied = ImpliedType(schema); !implied.empty()) {
      types.emplace_back(implied);
    } else if (schema.contains("not")) {
      types = {"null", "boolean", "number", "string", "array", "object"};
    }
    return types;
  }
  const Json list = type->is_array() ? *type : Json::array({*type});
  if (list.size() > kMaxTypes) return FailKeyword(path, "type", "has more types than there are");
  for (const Json& name : list) {
    if (!name.is_string() ||
        kTypes.find(fmt::format(" {} ", name.get<std::string>())) == kTypes.npos) {
      return FailKeyword(
          path, "type",
          fmt::format("{} is no type of JSON; there are null, boolean, integer, "
                      "number, string, array and object",
                      name.is_string() ? Quoted(name.get<std::string>()) : Escaped(Dump(name))));
    }
    auto text = name.get<std::string>();
    if (std::ranges::count(types, text) == 0) types.push_back(std::move(text));
  }
  const auto has = [&](std::string_view name) { return std::ranges::count(types, name) > 0; };
  if (has("number")) std::erase(types, "integer");
  if (types.empty() && choices_ == 0) {
    return FailKeyword(path, "type", "no type is left, so no value is allowed");
  }
  if (types.empty()) types.emplace_back("nothing");
  return types;
}

SchemaReader::Rule SchemaReader::OfType(const std::string& type, const Json& schema,
                                        const std::string& path) {
  if (type == "nothing") return Nothing(path, "type", "no value is allowed");
  if (type == "null" || type == "boolean") {
    std::vector<std::string> texts;
    Admission admission = AdmissionTo(schema);
    for (const Json& value : type == "null" ? Json::array({nullptr}) : Json::array({true, false})) {
      TRY(const bool fits, Admits(schema, value, path, &admission));
      if (fits) texts.push_back(Dump(value));
    }
    if (texts.empty()) return Nothing(schema, {"not"}, path, "no value is allowed");
    return texts.size() == (type == "null" ? 1u : 2u) ? "json-" + type
                                                      : rules_.DefineTexts(std::move(texts));
  }
  if (type == "integer" || type == "number") return Number(schema, type == "integer", path);
  if (type == "string") return String(schema, path);
  if (const auto other = schema.find("not"); other != schema.end() && other->contains("enum")) {
    for (const Json& value : (*other)["enum"]) {
      if (value.type_name() != type) continue;
      return FailKeyword(path, "not", fmt::format("one {} alone cannot be left out", type));
    }
  }
  return type == "array" ? Array(schema, path) : Object(schema, path);
}

}  // namespace lockstep
