// The part of SchemaReader that is about objects. Members come in the order in which the schema
// names them, then any others: a grammar in which they come in any order would have a rule for each
// set of those that have come.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/quoted.h"
#include "core/grammar/grammar.h"
#include "server/schema/schema_keywords.h"
#include "server/schema/schema_merge.h"
#include "server/schema/schema_reader.h"

namespace lockstep {
namespace {

constexpr size_t kMaxPatterns = 4;     // of patternProperties: sets of them are listed
constexpr size_t kMaxCounts = 20'000;  // places among the members times counts of them

// The keyword about members that are not listed; beside additionalProperties, nothing is left for
// the other one.
const char* MoreKeyword(const Json& schema) {
  return schema.contains("additionalProperties") ? "additionalProperties" : "unevaluatedProperties";
}

}  // namespace

Result<std::vector<std::string>> SchemaReader::RequiredNames(const Json& schema,
                                                             const std::string& path) const {
  std::vector<std::string> names;
  const auto required = schema.find("required");
  if (required == schema.end()) return names;
  if (!required->is_array() || required->size() > kMaxJsonKeys) {
    return FailKeyword(path, "required",
                       fmt::format("must be a list of at most {} names", kMaxJsonKeys));
  }
  for (const Json& name : *required) {
    if (!name.is_string()) return FailKeyword(path, "required", "must be a list of names");
    names.push_back(name.get<std::string>());
  }
  return names;
}

Result<std::vector<SchemaReader::NamePattern>> SchemaReader::NamePatterns(const Json& schema,
                                                                          const std::string& path) {
  std::vector<NamePattern> out;
  const auto patterns = schema.find("patternProperties");
  if (patterns == schema.end()) return out;
  if (!patterns->is_object() || patterns->size() > kMaxPatterns) {
    return FailKeyword(path, "patternProperties",
                       fmt::format("must be an object of at most {} patterns", kMaxPatterns));
  }
  for (const auto& [pattern, value] : patterns->items()) {
    auto names = PatternOf(pattern, "patternProperties", path);
    if (!names) return tl::unexpected(names.error());
    out.push_back({*std::move(names), value});
  }
  return out;
}

// patternProperties binds the members that are named, too: with {"properties": {"ab": A},
// "patternProperties": {"^a": B}} the value of ab must be both. A required name that is not listed
// has the schema that any other member has.
Result<Json> SchemaReader::Properties(const Json& schema, const std::vector<std::string>& required,
                                      const std::string& path) {
  Json properties = schema.value("properties", Json::object());
  TRY(const std::vector<NamePattern> patterns, NamePatterns(schema, path));
  const auto matched = [&](const std::string& name) {
    Json out = true;
    for (const NamePattern& pattern : patterns) {
      if (!pattern.names.Contains(name)) continue;
      out = out == true ? pattern.schema : Json{{"allOf", Json::array({out, pattern.schema})}};
    }
    return out;
  };
  for (auto& [name, property] : properties.items()) {
    const Json also = matched(name);
    if (also != true && property != false) {
      property = property == true ? also : Json{{"allOf", Json::array({property, also})}};
    }
  }
  for (const std::string& name : required) {
    if (properties.contains(name)) continue;
    const char* const more_keyword = MoreKeyword(schema);
    const Json also = matched(name), more = schema.value(more_keyword, Json(true));
    if (also == true && more == false) {
      // Among choices such an object is merely one alternative that has no value.
      if (choices_ == 0) {
        return FailKeyword(path, "required",
                           fmt::format("{} is not among the properties, and {} is false",
                                       Quoted(name), more_keyword));
      }
      properties[name] = false;
      continue;
    }
    properties[name] = also == true ? more : also;
  }
  return properties;
}

SchemaReader::Rule SchemaReader::Object(const Json& schema, const std::string& path) {
  const auto listed = schema.find("properties");
  if (listed != schema.end() && !listed->is_object()) {
    return FailKeyword(path, "properties", "must be an object");
  }
  TRY(const Sizes sizes, ReadSizes(schema, "Properties", path));
  if (sizes.none()) return Nothing(path, "maxProperties", "no number of properties is allowed");
  TRY(const std::vector<std::string> required, RequiredNames(schema, path));
  TRY(const Json properties, Properties(schema, required, path));
  std::optional<Language> allowed;
  if (schema.contains("propertyNames")) {
    auto names = NameLanguage(schema["propertyNames"], path);
    if (!names) return FailKeyword(path, "propertyNames", names.error().message);
    allowed = *std::move(names);
  }
  std::vector<Member> members;
  std::vector<std::string> names;
  const std::set<std::string_view> needed(required.begin(), required.end());
  for (const auto& [name, property] : properties.items()) {
    const bool is_required = needed.contains(name);
    const bool fits = !allowed || allowed->Contains(name);
    names.push_back(name);
    if ((property == false || !fits) && !is_required) continue;
    if (!fits)
      return Nothing(path, "propertyNames", "forbids " + Quoted(name) + ", which is required");
    if (property == false)
      return Nothing(path, "required", "asks for " + Quoted(name) + ", which is forbidden");
    TRY(const std::string rule,
        VisitIf(is_required, property, ChildPointer(ChildPointer(path, "properties"), name)));
    if (rule == JsonRules::Nothing() && !is_required) continue;
    members.push_back({GbnfLiteral(Dump(Json(name)) + ":") + " json-ws " + rule, is_required});
  }
  const char* const more = MoreKeyword(schema);
  // Where a schema names members and says nothing of others, there are none.
  const bool names_members = !properties.empty() || schema.contains("patternProperties");
  const bool closed = schema.contains(more) ? schema[more] == false : names_members;
  TRY(const std::string other, OtherMember(schema, names, closed, path));
  // An object of which nothing is said is the common rule, which all schemas share.
  if (members.empty() && sizes.least == 0 && !sizes.most &&
      other == fmt::format("json-string \":\" json-ws {}", JsonRules::Value())) {
    return std::string(JsonRules::Object());
  }
  TRY(const std::string list,
      Members(members, other.empty() ? other : Define(other), sizes, "\"}\"", path));
  return Define("\"{\" json-ws " + list);
}

// Each name that the schema does not list matches exactly one set of the patterns, so that the sets
// divide the names: for one pattern, the names that match it have its schema, and those that do not
// have additionalProperties. A set's names are one language, an intersection.
SchemaReader::Rule SchemaReader::OtherMember(const Json& schema,
                                             const std::vector<std::string>& names, bool closed,
                                             const std::string& path) {
  const char* const more = MoreKeyword(schema);
  TRY(const std::vector<NamePattern> patterns, NamePatterns(schema, path));
  Language free = Language::Any();
  bool any_name = names.empty() && patterns.empty();
  if (const auto given = schema.find("propertyNames");
      given != schema.end() && *given != true && Asserts(*given)) {
    TRY(free, NameLanguage(*given, path));
    any_name = any_name && *given == Json{{"type", "string"}};
  }
  std::string choices;
  for (size_t set = 0; set < size_t{1} << patterns.size(); ++set) {
    if (set == 0 && closed) continue;
    Json value = set == 0 && schema.contains(more) ? schema[more] : Json(true);
    auto fits = free.And(Language::Words(names).Not(), options_.meter);
    for (size_t i = 0; i < patterns.size() && fits; ++i) {
      const bool in = (set >> i & 1) != 0;
      fits = fits->And(in ? patterns[i].names : patterns[i].names.Not(), options_.meter);
      if (!in) continue;
      value = value == true ? patterns[i].schema
                            : Json{{"allOf", Json::array({value, patterns[i].schema})}};
    }
    if (!fits) {
      return FailKeyword(path, patterns.empty() ? "propertyNames" : "patternProperties",
                         fits.error().message);
    }
    if (fits->empty() || value == false) continue;
    // Without a value, there is no such name.
    TRY(const std::string rule,
        VisitIf(false, value, ChildPointer(path, set == 0 ? more : "patternProperties")));
    if (rule == JsonRules::Nothing()) continue;
    const std::string name =
        any_name ? "json-string" : "\"\\\"\" " + fits->Define(&rules_) + " \"\\\"\"";
    choices += fmt::format("{}{} \":\" json-ws {}", choices.empty() ? "" : " | ", name, rule);
  }
  return choices;
}

// This is dynamic programming from the last member back: next[count] is the rule for all from
// member i on, if `count` members stand in front of it. The count decides whether a comma comes
// first and whether minProperties and maxProperties still hold; it stops at `last`, where it makes
// no more difference. For a required a and an optional b the rules say: "a" and then r1, where r1
// is either a comma, "b" and the end, or the end at once.
SchemaReader::Rule SchemaReader::Members(const std::vector<Member>& members,
                                         const std::string& other, Sizes sizes,
                                         std::string_view end, const std::string& path) {
  const auto required = static_cast<size_t>(std::ranges::count(members, true, &Member::required));
  if (sizes.least <= required) sizes.least = 0;
  if (other.empty() && sizes.most && *sizes.most >= members.size()) sizes.most.reset();
  // A name that the schema does not have may come twice, and would count once.
  if (sizes.least > members.size() + (other.empty() ? 0 : 1)) {
    return FailKeyword(path, "minProperties",
                       "is supported only up to one more than there are properties by name");
  }
  // How many there are so far matters up to here, and no more than that there is one otherwise.
  const size_t last = sizes.most.value_or(std::max<size_t>(sizes.least, 1));
  if ((members.size() + 1) * std::min(last, members.size() + 1) > kMaxCounts) {
    return FailKeyword(path, sizes.most ? "maxProperties" : "minProperties",
                       "is not supported beside so many properties");
  }
  const auto finish = [&](size_t count) -> std::string {
    const size_t least = sizes.least - std::min(sizes.least, count);
    std::optional<size_t> most = sizes.most;
    if (most) *most -= count;
    if (least > (other.empty() ? 0u : 1u) || (most && *most < least)) {
      return std::string(JsonRules::Nothing());
    }
    const bool none = other.empty() || most == size_t{0};
    if (count == 0) return (none ? "" : List(other, least, most) + " ") + std::string(end);
    return (none ? "" : fmt::format("(\",\" json-ws {}){} ", other, Repetition(least, most))) +
           "json-ws " + std::string(end);
  };
  // What comes from a member on, by how many there are in front; from the last member back.
  std::vector<std::string> next;
  for (size_t count = 0; count <= std::min(last, members.size()); ++count) {
    next.push_back(finish(count));
  }
  size_t needed = required;  // of the members in front
  for (size_t i = members.size(); i-- > 0;) {
    needed -= members[i].required ? 1 : 0;
    std::vector<std::string> now(std::min(last, i) + 1);
    for (size_t count = std::min(last, needed); count < now.size(); ++count) {
      const size_t after = sizes.most ? count + 1 : std::min(count + 1, last);
      std::string choices;
      if (after <= last) {
        choices = fmt::format("{}{} {}", count == 0 ? "" : "\",\" json-ws ", members[i].rule,
                              next[after]);
      }
      if (!members[i].required) choices += (choices.empty() ? "" : " | ") + next[count];
      now[count] = Define(choices.empty() ? JsonRules::Nothing() : choices);
    }
    next = std::move(now);
  }
  return next[0];
}

}  // namespace lockstep
