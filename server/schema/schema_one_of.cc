// The part of SchemaReader that reads oneOf. A value must be of exactly one of its schemas, and a
// grammar has only choices, so that oneOf is anyOf of schemas that exclude each other. Those of
// clients mostly do: they have different types, or a member with a value of its own in each. Where
// two of them do not, the one loses what the other allows:
//
//   {"kind": {"const": "a"}} and {"kind": {"const": "b"}}, not required   kind is required in both
//   {"maxLength": 5} and {"minLength": 3}      {"maxLength": 2} and {"minLength": 6}, by negation
//
// Of a schema that is written, the grammar's reading counts, which is narrower than the schema: no
// members that are not listed, the type that its keywords are for. Of the other one counts what it
// says.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/schema/schema_merge.h"
#include "server/schema/schema_reader.h"

namespace lockstep {
namespace {

constexpr size_t kMaxLooks = 8;  // into members of members
constexpr uint64_t kLookCost = 64;

// All values that a schema with an enum or a const may allow; nothing if it has neither.
std::optional<std::vector<Json>> MostValues(const Json& schema) {
  if (const auto only = schema.find("const"); only != schema.end()) return std::vector{*only};
  const auto listed = schema.find("enum");
  if (listed == schema.end() || !listed->is_array()) return std::nullopt;
  return std::vector<Json>(listed->begin(), listed->end());
}

// The member of `schema` that is an object, or an empty one.
const Json& ObjectIn(const Json& schema, const char* name) {
  static const Json empty = Json::object();
  const auto found = schema.find(name);
  return found == schema.end() || !found->is_object() ? empty : *found;
}

bool Requires(const Json& schema, const std::string& name) {
  const auto required = schema.find("required");
  return required != schema.end() && required->is_array() &&
         std::ranges::find(*required, Json(name)) != required->end();
}

bool HasPatterns(const Json& schema) { return schema.contains("patternProperties"); }

// Whether the schema says that a member is not there.
bool Forbids(const Json& schema, const std::string& name) {
  const Json& properties = ObjectIn(schema, "properties");
  if (properties.contains(name)) return properties[name] == false;
  return !HasPatterns(schema) && schema.value("additionalProperties", Json(true)) == false;
}

// Whether the grammar leaves a member out.
bool LeavesOut(const Json& schema, const std::string& name) {
  if (Forbids(schema, name)) return true;
  const Json& properties = ObjectIn(schema, "properties");
  return !properties.empty() && !properties.contains(name) && !HasPatterns(schema) &&
         !Requires(schema, name) && !schema.contains("additionalProperties") &&
         !schema.contains("unevaluatedProperties");
}

std::vector<std::string> Names(const Json& required) {
  std::vector<std::string> names;
  for (const Json& name : required.is_array() ? required : Json::array()) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  return names;
}

// An enumeration with a title for each value is often written as oneOf of constants.
bool AreDifferentConstants(const Json& parts) {
  JsonSet constants;
  return std::ranges::all_of(parts, [&](const Json& part) {
    return part.is_object() && part.contains("const") && constants.Add(part["const"]);
  });
}

}  // namespace

Result<Json> SchemaReader::ToldApart(const Json& parts, const std::string& path) {
  if (AreDifferentConstants(parts)) return parts;
  const auto fault = fault_;  // what is looked at here by trial is no fault
  Json out = Json::array();
  for (size_t i = 0; i < parts.size(); ++i) {
    Json all = Json::array({parts[i]});
    for (size_t k = 0; k < parts.size(); ++k) {
      TRY_OK(Pay(kLookCost));
      if (i == k || Excludes(parts[k], parts[i])) continue;
      if (const std::string* const name = Discriminator(parts[k], parts[i])) {
        all.push_back({{"required", Json::array({*name})}});
        continue;
      }
      auto others = NegateSchema(Resolved(parts[k]));
      if (!others && !options_.strict) {
        if (lost_.emplace(path, "oneOf, read as anyOf").second) {
          dropped_.push_back(fmt::format("{}{}: oneOf", where_, path));
        }
        fault_ = fault;
        return parts;
      }
      if (!others) {
        return FailKeyword(path, "oneOf",
                           fmt::format("the schemas {} and {} cannot be told apart: {}; if a value "
                                       "may be of both, write anyOf",
                                       i, k, others.error().message));
      }
      all.push_back(*std::move(others));
    }
    out.push_back(all.size() == 1 ? parts[i] : Json{{"allOf", std::move(all)}});
  }
  fault_ = fault;
  return out;
}

bool SchemaReader::Excludes(const Json& other, const Json& written, size_t depth) {
  const Json &a = Resolved(written), &b = Resolved(other);
  if (a == false || b == false) return true;
  if (!a.is_object() || !b.is_object() || depth > kMaxLooks || !Pay(kLookCost)) return false;
  for (const char* choice : {"anyOf", "oneOf", "allOf"}) {
    const bool every = choice != std::string_view("allOf");
    const auto holds = [&](const Json& schema, const auto& excludes) {
      const auto list = schema.find(choice);
      if (list == schema.end() || !list->is_array() || list->empty()) return false;
      return every ? std::ranges::all_of(*list, excludes) : std::ranges::any_of(*list, excludes);
    };
    if (holds(a, [&](const Json& part) { return Excludes(b, part, depth + 1); }) ||
        holds(b, [&](const Json& part) { return Excludes(part, a, depth + 1); })) {
      return true;
    }
  }
  if (const auto values = MostValues(a)) return ExcludesValues(b, *values);
  if (const auto values = MostValues(b)) return ExcludesValues(a, *values);
  const auto written_types = Types(a, "");
  const bool any = !written_types || written_types->empty();
  for (const std::string type : {"null", "boolean", "number", "string", "array", "object"}) {
    const auto has = [&type](const std::string& name) {
      return name == type || (name == "integer" && type == "number");
    };
    const Json types = b.value("type", Json());
    const bool shared =
        (any || std::ranges::any_of(*written_types, has)) &&
        (types.is_null() ||
         std::ranges::any_of(
             types.is_array() ? types : Json::array({types}),
             [&](const Json& name) { return name.is_string() && has(name.get<std::string>()); }));
    if (shared && !ExcludesType(type, b, a, depth)) return false;
  }
  return true;
}

bool SchemaReader::ExcludesValues(const Json& other, const std::vector<Json>& written) {
  if (const auto listed = MostValues(other)) {
    const Json list = *listed;
    const JsonSet set(list);
    return std::ranges::none_of(written, [&](const Json& value) { return set.Contains(value); });
  }
  const Json more = Without(other, "not");  // what it forbids, of a few forms, is known elsewhere
  Admission admission = AdmissionTo(more);
  return std::ranges::none_of(written, [&](const Json& value) {
    const auto fits = Admits(more, value, "", &admission);
    return !fits || *fits;  // where it is not known, it may fit
  });
}

bool SchemaReader::ExcludesType(std::string_view type, const Json& other, const Json& written,
                                size_t depth) {
  if (type == "string") return ExcludesTexts(other, written);
  if (type == "number") return ExcludesNumbers(other, written);
  if (type == "array") return ExcludesArrays(other, written, depth);
  return type == "object" && ExcludesObjects(other, written, depth);
}

bool SchemaReader::ExcludesTexts(const Json& other, const Json& written) {
  const auto a = TextLanguage(Without(written, "not"), "", TextLengths::kExact);
  const auto b = TextLanguage(Without(other, "not"), "", TextLengths::kExact);
  if (!a || !b) return false;
  const auto both = a->And(*b, options_.meter);
  return both && both->empty();
}

bool SchemaReader::ExcludesNumbers(const Json& other, const Json& written) {
  const auto numbers = [this](const Json& schema) -> Result<Language> {
    TRY(const NumberRange range, ReadRange(schema, schema.value("type", Json()) == "integer", ""));
    return Numbers(range, "");
  };
  const auto a = numbers(written), b = numbers(other);
  if (!a || !b) return false;
  const auto both = a->And(*b, options_.meter);
  return both && both->empty();
}

bool SchemaReader::ExcludesArrays(const Json& other, const Json& written, size_t depth) {
  const auto a = ReadSizes(written, "Items", ""), b = ReadSizes(other, "Items", "");
  if (!a || !b) return false;
  if ((a->most && *a->most < b->least) || (b->most && *b->most < a->least)) return true;
  return std::max(a->least, b->least) > 0 && written.contains("items") && other.contains("items") &&
         !written.contains("prefixItems") && !other.contains("prefixItems") &&
         Excludes(other["items"], written["items"], depth + 1);
}

bool SchemaReader::ExcludesObjects(const Json& other, const Json& written, size_t depth) {
  const std::vector<std::string> written_names = Names(written.value("required", Json()));
  const std::vector<std::string> other_names = Names(other.value("required", Json()));
  const auto forbidden = [&](const std::string& name) { return Forbids(other, name); };
  const auto left_out = [&](const std::string& name) { return LeavesOut(written, name); };
  if (std::ranges::any_of(written_names, forbidden) || std::ranges::any_of(other_names, left_out)) {
    return true;
  }
  const Json &a = ObjectIn(written, "properties"), &b = ObjectIn(other, "properties");
  const auto disagree = [&](const std::string& name) {
    return a.contains(name) && b.contains(name) && Excludes(b[name], a[name], depth + 1);
  };
  return std::ranges::any_of(written_names, disagree) || std::ranges::any_of(other_names, disagree);
}

const std::string* SchemaReader::Discriminator(const Json& other, const Json& written) {
  const Json &a = Resolved(written), &b = Resolved(other);
  if (!a.is_object() || !b.is_object()) return nullptr;
  const Json& mine = ObjectIn(a, "properties");
  const Json& theirs = ObjectIn(b, "properties");
  for (auto member = mine.begin(); member != mine.end(); ++member) {
    const auto same = theirs.find(member.key());
    if (same != theirs.end() && *member != false && Excludes(*same, *member)) return &member.key();
  }
  return nullptr;
}

}  // namespace lockstep
