// The part of SchemaReader that is about values of one type.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "core/grammar/grammar.h"
#include "core/grammar/utf8_ranges.h"
#include "server/schema/json_number.h"
#include "server/schema/json_pattern.h"
#include "server/schema/schema_merge.h"
#include "server/schema/schema_reader.h"

namespace lockstep {
namespace {

std::string Repetition(size_t least, std::optional<size_t> most) {
  return most ? fmt::format("{{{},{}}}", least, *most) : fmt::format("{{{},}}", least);
}

// `item`, from least to most times, with commas between; then space.
std::string List(std::string_view item, size_t least, std::optional<size_t> most) {
  if (most == 0u) return "\"\"";
  std::optional<size_t> rest = most;
  if (rest) --*rest;
  const std::string list = fmt::format("{0} (\",\" json-ws {0}){1} json-ws", item,
                                       Repetition(std::max<size_t>(least, 1) - 1, rest));
  return least == 0 ? "(" + list + ")?" : list;
}

}  // namespace

Result<std::optional<SchemaReader::Bound>> SchemaReader::ReadBound(const Json& schema, bool lower,
                                                                   const std::string& path) const {
  std::optional<Bound> bound;
  for (const bool exclusive : {false, true}) {
    const char* keyword = lower ? (exclusive ? "exclusiveMinimum" : "minimum")
                                : (exclusive ? "exclusiveMaximum" : "maximum");
    const auto value = schema.find(keyword);
    if (value == schema.end()) continue;
    const double number = value->is_number() ? value->get<double>() : NAN;
    if (!(std::abs(number) <= static_cast<double>(kLargestInteger))) {
      return Refuse(ChildPointer(path, keyword), "must be a number of at most 15 digits");
    }
    const bool narrower = !bound || (lower ? number >= bound->value : number <= bound->value);
    if (narrower) bound = {number, exclusive};
  }
  return bound;
}

SchemaReader::Rule SchemaReader::Integer(const Json& schema, const std::string& path) {
  if (const auto step = schema.find("multipleOf"); step != schema.end() && *step != 1) {
    return Refuse(ChildPointer(path, "multipleOf"), "is not supported, but for integers of 1");
  }
  const auto low = ReadBound(schema, true, path), high = ReadBound(schema, false, path);
  if (!low) return tl::unexpected(low.error());
  if (!high) return tl::unexpected(high.error());
  if (!*low && !*high) return std::string("json-integer");
  int64_t least = -kLargestInteger, most = kLargestInteger;
  if (*low) {
    least = static_cast<int64_t>(std::ceil((*low)->value));
    if ((*low)->exclusive && static_cast<double>(least) == (*low)->value) ++least;
  }
  if (*high) {
    most = static_cast<int64_t>(std::floor((*high)->value));
    if ((*high)->exclusive && static_cast<double>(most) == (*high)->value) --most;
  }
  if (least > most || least > kLargestInteger || most < -kLargestInteger) {
    return Refuse(path, "no integer is between the bounds");
  }
  return Define(IntegerRange(least, most));
}

SchemaReader::Rule SchemaReader::Number(const Json& schema, const std::string& path) {
  if (schema.contains("multipleOf")) {
    return Refuse(ChildPointer(path, "multipleOf"), "is not supported");
  }
  std::optional<DecimalBound> bounds[2];
  for (const bool lower : {true, false}) {
    const auto bound = ReadBound(schema, lower, path);
    if (!bound) return tl::unexpected(bound.error());
    if (!*bound) continue;
    bounds[lower ? 0 : 1] = ToDecimal((*bound)->value, (*bound)->exclusive);
    if (!bounds[lower ? 0 : 1]) {
      return Refuse(path, "a bound has more than 15 digits behind the point");
    }
  }
  if (!bounds[0] && !bounds[1]) return std::string("json-number");
  const auto range = DecimalRange(bounds[0], bounds[1]);
  if (!range) return Refuse(path, "no number is between the bounds");
  return Define(*range);
}

SchemaReader::Rule SchemaReader::String(const Json& schema, const std::string& path) {
  const auto sizes = ReadSizes(schema, "Length", path);
  if (!sizes) return tl::unexpected(sizes.error());
  const bool sized = sizes->least > 0 || sizes->most;
  const auto pattern = schema.find("pattern"), format = schema.find("format");
  if (pattern == schema.end() && format == schema.end()) {
    if (!sized) return std::string("json-string");
    return Define(
        fmt::format("\"\\\"\" json-char{} \"\\\"\"", Repetition(sizes->least, sizes->most)));
  }
  if (sized || (pattern != schema.end() && format != schema.end())) {
    return Refuse(path,
                  "of pattern, format and minLength or maxLength only one is supported at a "
                  "time; say the length in the pattern");
  }
  const std::string keyword = pattern != schema.end() ? "pattern" : "format";
  const Json& value = schema[keyword];
  if (!value.is_string()) return Refuse(ChildPointer(path, keyword), "must be a string");
  auto text = value.get<std::string>();
  if (keyword == "format") {
    const std::string_view known = FormatPattern(text);
    if (known.empty()) {
      return Refuse(ChildPointer(path, keyword),
                    fmt::format("{} is not supported; there are {}", Quoted(text), FormatNames()));
    }
    text = known;
  }
  const auto body = PatternToGbnf(text, "json-char");
  if (!body) {
    return Refuse(ChildPointer(path, keyword), fmt::format("the pattern {} is not acceptable: {}",
                                                           Quoted(text), body.error().message));
  }
  return Define(fmt::format("\"\\\"\" {} \"\\\"\"", *body));
}

SchemaReader::Rule SchemaReader::Array(const Json& schema, const std::string& path) {
  if (schema.value("uniqueItems", Json(false)) != false) {
    return Refuse(ChildPointer(path, "uniqueItems"),
                  "is not supported; leave it out or set it to false");
  }
  const auto sizes = ReadSizes(schema, "Items", path);
  if (!sizes) return tl::unexpected(sizes.error());
  // In older drafts `items` may be the list that is now called prefixItems.
  const bool old_list = schema.contains("items") && schema["items"].is_array();
  const char* prefix_keyword = old_list ? "items" : "prefixItems";
  const char* items_keyword = old_list ? "additionalItems" : "items";
  const Json prefix = schema.value(prefix_keyword, Json::array());
  if (!prefix.is_array())
    return Refuse(ChildPointer(path, prefix_keyword), "must be a list of schemas");
  const auto items = schema.find(items_keyword);
  std::string item;  // empty: there are no others than those of the prefix
  if (items != schema.end() ? *items != false : prefix.empty()) {
    const Rule rule = items == schema.end() ? Rule(std::string(JsonRules::Value()))
                                            : Visit(*items, ChildPointer(path, items_keyword));
    if (!rule) return rule;
    item = *rule;
  }
  const size_t prefixed = std::min(prefix.size(), sizes->most.value_or(prefix.size()));
  if (item.empty() && sizes->least > prefixed) {
    return Refuse(path, "minItems asks for more items than there are schemas");
  }
  if (prefixed == 0) {
    return Define("\"[\" json-ws " + (item.empty() ? "" : List(item, sizes->least, sizes->most)) +
                  " \"]\"");
  }
  std::string tail = "\"\"";  // what comes after the prefix
  if (!item.empty()) {
    std::optional<size_t> most = sizes->most;
    if (most) *most -= prefixed;
    tail = fmt::format("(\",\" json-ws {}){}", item,
                       Repetition(sizes->least - std::min(sizes->least, prefixed), most));
  }
  for (size_t i = prefixed; i-- > 0;) {
    const Rule rule =
        Visit(prefix[i], ChildPointer(ChildPointer(path, prefix_keyword), std::to_string(i)));
    if (!rule) return rule;
    tail = fmt::format("{} {} {}", i > 0 ? "\",\" json-ws" : "", *rule, tail);
    if (i == 0) tail += " json-ws";
    if (i >= sizes->least) tail = Define(tail) + "?";
  }
  return Define("\"[\" json-ws " + tail + " \"]\"");
}

Result<std::vector<std::string>> SchemaReader::RequiredNames(const Json& schema,
                                                             const std::string& path) const {
  std::vector<std::string> names;
  const auto required = schema.find("required");
  if (required == schema.end()) return names;
  if (!required->is_array() || required->size() > kMaxJsonKeys) {
    return Refuse(ChildPointer(path, "required"),
                  fmt::format("must be a list of at most {} names", kMaxJsonKeys));
  }
  for (const Json& name : *required) {
    if (!name.is_string()) return Refuse(ChildPointer(path, "required"), "must be a list of names");
    names.push_back(name.get<std::string>());
  }
  return names;
}

SchemaReader::Rule SchemaReader::Object(const Json& schema, const std::string& path) {
  const auto properties = schema.find("properties");
  if (properties != schema.end() && !properties->is_object()) {
    return Refuse(ChildPointer(path, "properties"), "must be an object");
  }
  const bool lists = (properties != schema.end() && !properties->empty()) ||
                     (schema.contains("required") && !schema["required"].empty());
  const auto additional = schema.find("additionalProperties");
  std::string more;  // empty: there are no others than those listed
  if (additional == schema.end() ? !lists : *additional != false) {
    const Rule rule = additional == schema.end()
                          ? Rule(std::string(JsonRules::Value()))
                          : Visit(*additional, ChildPointer(path, "additionalProperties"));
    if (!rule) return rule;
    more = *rule;
  }
  return lists ? Members(schema, more, path) : Map(schema, more, path);
}

SchemaReader::Rule SchemaReader::Map(const Json& schema, const std::string& more,
                                     const std::string& path) {
  const auto sizes = ReadSizes(schema, "Properties", path);
  if (!sizes) return tl::unexpected(sizes.error());
  if (sizes->least > 1 || (sizes->most && *sizes->most > 0 && sizes->least > 1)) {
    // Names may come twice, and would count once.
    return Refuse(ChildPointer(path, "minProperties"), "is supported only up to 1");
  }
  if (more.empty()) {
    if (sizes->least > 0)
      return Refuse(path, "minProperties asks for properties that are forbidden");
    return Define("\"{\" json-ws \"}\"");
  }
  if (more == JsonRules::Value() && sizes->least == 0 && !sizes->most) {
    return std::string(JsonRules::Object());
  }
  const std::string member = Define("json-string \":\" json-ws " + more);
  return Define("\"{\" json-ws " + List(member, sizes->least, sizes->most) + " \"}\"");
}

SchemaReader::Rule SchemaReader::Members(const Json& schema, const std::string& more,
                                         const std::string& path) {
  for (const char* keyword : {"minProperties", "maxProperties"}) {
    if (schema.contains(keyword)) {
      return Refuse(ChildPointer(path, keyword), "is not supported beside properties or required");
    }
  }
  const auto required = RequiredNames(schema, path);
  if (!required) return tl::unexpected(required.error());
  Json properties = schema.value("properties", Json::object());
  for (const std::string& name : *required) {
    if (properties.contains(name)) continue;
    if (schema.value("additionalProperties", Json(true)) == false) {
      return Refuse(ChildPointer(path, "required"),
                    fmt::format("{} is not among the properties, and additionalProperties is false",
                                Quoted(name)));
    }
    properties[name] = schema.value("additionalProperties", Json(true));
  }

  struct Member {
    std::string rule;
    bool required;
  };
  std::vector<Member> members;
  std::vector<std::string> names;
  for (const auto& [name, property] : properties.items()) {
    const bool is_required = std::ranges::count(*required, name) > 0;
    names.push_back(name);
    if (property == false && !is_required) continue;
    const Rule rule = Visit(property, ChildPointer(ChildPointer(path, "properties"), name));
    if (!rule) return rule;
    members.push_back({GbnfLiteral(Dump(Json(name)) + ":") + " json-ws " + *rule, is_required});
  }
  // after: what may follow the members so far, the next one's comma first.
  // first: the same where there is none so far.
  std::string after = "json-ws \"}\"", first = "\"}\"";
  if (!more.empty()) {
    const std::string other =
        Define(fmt::format("{} \":\" json-ws {}", OtherName(std::move(names)), more));
    first = Define(fmt::format("{} | {} (\",\" json-ws {})* {}", first, other, other, after));
    after = fmt::format("(\",\" json-ws {})* {}", other, after);
  }
  for (size_t i = members.size(); i-- > 0;) {
    const bool could_be_first = std::ranges::none_of(
        members.begin(), members.begin() + static_cast<std::ptrdiff_t>(i), &Member::required);
    if (could_be_first) {
      after = Define(after);
      first = members[i].required
                  ? members[i].rule + " " + after
                  : Define(fmt::format("{} {} | {}", members[i].rule, after, first));
    }
    after = fmt::format("{}\",\" json-ws {}{} {}", members[i].required ? "" : "(", members[i].rule,
                        members[i].required ? "" : ")?", after);
  }
  return Define("\"{\" json-ws " + first);
}

std::string SchemaReader::OtherName(std::vector<std::string> names) {
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  // A walk along the names' characters that leaves them somewhere, or ends too early; without
  // escapes, so that there is only one way to write a name.
  struct Part {
    size_t begin, end, at;  // names that have the same `at` bytes in front
    std::string rule;
  };
  const std::string rest = "[^\"\\\\\\x00-\\x1F]*";
  const std::string root = rules_.NewName();
  std::vector<Part> parts = {{0, names.size(), 0, root}};
  while (!parts.empty()) {
    const Part part = parts.back();
    parts.pop_back();
    std::string choices, known;
    const bool is_name = names[part.begin].size() == part.at;
    if (!is_name) choices = "\"\"";
    for (size_t i = part.begin + (is_name ? 1 : 0); i < part.end;) {
      const std::string_view rest_of_name = std::string_view(names[i]).substr(part.at);
      const uint32_t code = FirstCodePoint(rest_of_name);
      const size_t length = CharacterLength(rest_of_name);
      const std::string character = names[i].substr(part.at, length);
      size_t end = i;
      while (end < part.end && names[end].compare(part.at, length, character) == 0) ++end;
      known += GbnfClassChar(code);
      if (code >= 0x20 && code != '"' && code != '\\') {
        Part next{i, end, part.at + length, rules_.NewName()};
        choices += (choices.empty() ? "" : " | ") + GbnfLiteral(character) + " " + next.rule;
        parts.push_back(std::move(next));
      }
      i = end;
    }
    choices +=
        fmt::format("{}[^\"\\\\\\x00-\\x1F{}] {}", choices.empty() ? "" : " | ", known, rest);
    rules_.Define(part.rule, choices);
  }
  return "\"\\\"\" " + root + " \"\\\"\"";
}

}  // namespace lockstep
