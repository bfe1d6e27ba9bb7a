// The part of SchemaReader that reads oneOf. A value must be of exactly one of its schemas, and a
// grammar has only choices, so that oneOf is anyOf of schemas that exclude each other. Those of
// clients mostly do: they have different types, or a member with a value of its own in each. Where
// two of them do not, the one loses what the other allows:
//
//   {"kind": {"const": "a"}} and {"kind": {"const": "b"}}, not required   kind is required in both
//   {"maxLength": 5} and {"minLength": 3}      {"maxLength": 2} and {"minLength": 6}, by negation
//
// A schema that is written counts as the grammar reads it, which is narrower than the schema: no
// members that are not listed, the type that its keywords are for. That reading is known where the
// schema is `whole`: where nothing else is said of the same value, which may list more members. So
// it is joined with what stands beside oneOf before it is looked at. The other one counts as it
// stands.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "server/schema/schema_keywords.h"
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
  static const Json kEmpty = Json::object();
  const auto found = schema.find(name);
  return found == schema.end() || !found->is_object() ? kEmpty : *found;
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

// Whether other schemas in this one say more of the same value.
bool Opens(const Json& schema) {
  if (AppliesInPlace(schema) || schema.contains("dependentRequired")) return true;
  const auto other = schema.find("not");  // an enum there lists no members, negated or not
  return other != schema.end() && !(other->contains("enum") && other->size() == 1);
}

// Whether the grammar leaves a member out.
bool LeavesOut(const Json& schema, const std::string& name, bool whole) {
  if (Forbids(schema, name)) return true;
  const Json& properties = ObjectIn(schema, "properties");
  return whole && !Opens(schema) && !properties.empty() && !properties.contains(name) &&
         !HasPatterns(schema) && !Requires(schema, name) &&
         !schema.contains("additionalProperties") && !schema.contains("unevaluatedProperties");
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

Result<Json> SchemaReader::ToldApart(const Json& parts, const Json& rest, const std::string& path) {
  if (AreDifferentConstants(parts)) return parts;
  const auto fault = fault_;  // what is looked at here by trial is no fault
  Json out = Json::array();
  for (size_t i = 0; i < parts.size(); ++i) {
    auto one = Apart(parts, i, rest, path);
    if (!one && !options_.strict) {
      TRY_OK(Pay(0));  // the meter's end is no fault of the schema
      if (lost_.emplace(path, "oneOf, read as anyOf").second) {
        dropped_.push_back(fmt::format("{}{}: oneOf", where_, path));
      }
      fault_ = fault;
      return parts;
    }
    if (!one) return one;
    out.push_back(*std::move(one));
  }
  fault_ = fault;
  return out;
}

// A negation may list members, so that with one of them the schema is whole no more, and all others
// are looked at again.
Result<Json> SchemaReader::Apart(const Json& parts, size_t i, const Json& rest,
                                 const std::string& path) {
  const bool alone = !Asserts(rest);
  TRY_OK(Pay(alone ? kLookCost : Weight(rest) + Weight(parts[i])));
  const Result<Json> joined = alone ? parts[i] : MergeSchemas(rest, Resolved(parts[i]));
  const Json& written = joined ? *joined : parts[i];
  for (bool whole = joined.has_value();; whole = false) {
    Json all = Json::array({parts[i]});
    bool negated = false;
    for (size_t k = 0; k < parts.size(); ++k) {
      TRY_OK(Pay(kLookCost));
      if (i == k || Excludes(parts[k], written, whole)) continue;
      if (!alone && Excludes(parts[k], parts[i], false)) continue;
      if (const std::string* const name = Discriminator(parts[k], parts[i], whole && alone)) {
        all.push_back({{"required", Json::array({*name})}});
        continue;
      }
      auto others = NegateSchema(Resolved(parts[k]), rest);
      if (!others) {
        return FailKeyword(path, "oneOf",
                           fmt::format("the schemas {} and {} cannot be told apart: {}; if a value "
                                       "may be of both, write anyOf",
                                       i, k, others.error().message));
      }
      all.push_back(*std::move(others));
      negated = true;
    }
    if (negated && whole) continue;
    return all.size() == 1 ? parts[i] : Json{{"allOf", std::move(all)}};
  }
}

bool SchemaReader::Excludes(const Json& other, const Json& written, bool whole, size_t depth) {
  const Json &a = Resolved(written), &b = Resolved(other);
  if (a == false || b == false) return true;
  if (!a.is_object() || !b.is_object() || depth > kMaxLooks || !Pay(kLookCost)) return false;
  for (const std::string_view choice : {"anyOf", "oneOf", "allOf"}) {
    const bool every = choice != "allOf";
    // A part is whole only where nothing else is said of it, either: where oneOf takes a part that
    // overlaps away from it, something is.
    const auto is_whole = [&](const Json& part) {
      const auto overlaps = [&](const Json& beside) {
        return &beside != &part && !Excludes(beside, part, true, depth + 1);
      };
      return whole && every && !Asserts(Without(a, choice)) &&
             (choice == "anyOf" || std::ranges::none_of(a["oneOf"], overlaps));
    };
    const auto holds = [&](const Json& schema, const auto& excludes) {
      const auto list = schema.find(choice);
      if (list == schema.end() || !list->is_array() || list->empty()) return false;
      return every ? std::ranges::all_of(*list, excludes) : std::ranges::any_of(*list, excludes);
    };
    const auto part_excludes = [&](const Json& part) {
      return Excludes(b, part, false, depth + 1) ||
             (is_whole(part) && Excludes(b, part, true, depth + 1));
    };
    if (holds(a, part_excludes) ||
        holds(b, [&](const Json& part) { return Excludes(part, a, whole, depth + 1); })) {
      return true;
    }
  }
  if (const auto values = MostValues(a)) return ExcludesValues(b, *values);
  if (const auto values = MostValues(b)) return ExcludesValues(a, *values);
  const auto written_types = Types(a, "");
  const bool any =
      !written_types || written_types->empty() || (!a.contains("type") && (!whole || Opens(a)));
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
    if (shared && !ExcludesType(type, b, a, whole, depth)) return false;
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
                                bool whole, size_t depth) {
  if (type == "string") return ExcludesTexts(other, written);
  if (type == "number") return ExcludesNumbers(other, written);
  if (type == "array") return ExcludesArrays(other, written, whole, depth);
  return type == "object" && ExcludesObjects(other, written, whole, depth);
}

bool SchemaReader::ExcludesTexts(const Json& other, const Json& written) {
  const auto a = TextLanguage(Without(written, "not"), "", TextLengths::kExact);
  const auto b = TextLanguage(Without(other, "not"), "", TextLengths::kExact);
  if (!a || !b) return false;
  const auto both = a->And(*b, options_.meter);
  return both && both->empty();
}

// Numbers have many texts, with exponents and of more digits than a language has. What two have in
// common is looked for between the bounds of both: without integers and steps it is all in between,
// with them it is there if the range has an end missing, and else a number of few digits.
bool SchemaReader::ExcludesNumbers(const Json& other, const Json& written) {
  const auto bounds = [](const Json& schema) {
    Json out = Json::object();
    for (const char* keyword : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}) {
      if (schema.contains(keyword)) out[keyword] = schema[keyword];
    }
    return out;
  };
  const auto joined = MergeSchemas(bounds(written), bounds(other));
  if (!joined) return false;
  Language both = Language::Any();
  for (const Json* schema : {&written, &other}) {
    Json within = *joined;
    if (schema->contains("multipleOf")) within["multipleOf"] = (*schema)["multipleOf"];
    const auto range = ReadRange(within, schema->value("type", Json()) == "integer", "");
    if (!range || !range->low || !range->high) return false;
    const int order = Compare(range->low->value, range->high->value);
    if (order > 0 || (order == 0 && (range->low->exclusive || range->high->exclusive))) return true;
    if (!range->integer && !range->multiple_of) continue;
    const auto numbers = Numbers(*range, "");
    auto left = numbers ? both.And(*numbers, options_.meter) : numbers;
    if (!left) return false;
    both = *std::move(left);
  }
  return both.empty();
}

bool SchemaReader::ExcludesArrays(const Json& other, const Json& written, bool whole,
                                  size_t depth) {
  const auto a = ReadSizes(written, "Items", ""), b = ReadSizes(other, "Items", "");
  if (!a || !b) return false;
  if ((a->most && *a->most < b->least) || (b->most && *b->most < a->least)) return true;
  return std::max(a->least, b->least) > 0 && written.contains("items") && other.contains("items") &&
         !written.contains("prefixItems") && !other.contains("prefixItems") &&
         Excludes(other["items"], written["items"],
                  whole && !Opens(written) && !written.contains("contains"), depth + 1);
}

bool SchemaReader::ExcludesObjects(const Json& other, const Json& written, bool whole,
                                   size_t depth) {
  const std::vector<std::string> written_names = Names(written.value("required", Json()));
  const std::vector<std::string> other_names = Names(other.value("required", Json()));
  const auto forbidden = [&](const std::string& name) { return Forbids(other, name); };
  const auto left_out = [&](const std::string& name) { return LeavesOut(written, name, whole); };
  if (std::ranges::any_of(written_names, forbidden) || std::ranges::any_of(other_names, left_out)) {
    return true;
  }
  const Json &a = ObjectIn(written, "properties"), &b = ObjectIn(other, "properties");
  const bool whole_members = whole && !Opens(written) && !HasPatterns(written);
  const auto disagree = [&](const std::string& name) {
    return a.contains(name) && b.contains(name) &&
           Excludes(b[name], a[name], whole_members, depth + 1);
  };
  return std::ranges::any_of(written_names, disagree) || std::ranges::any_of(other_names, disagree);
}

const std::string* SchemaReader::Discriminator(const Json& other, const Json& written, bool whole) {
  const Json &a = Resolved(written), &b = Resolved(other);
  if (!a.is_object() || !b.is_object()) return nullptr;
  const Json& mine = ObjectIn(a, "properties");
  const Json& theirs = ObjectIn(b, "properties");
  for (auto member = mine.begin(); member != mine.end(); ++member) {
    const auto same = theirs.find(member.key());
    if (same != theirs.end() && *member != false && Excludes(*same, *member, whole)) {
      return &member.key();
    }
  }
  return nullptr;
}

}  // namespace lockstep
