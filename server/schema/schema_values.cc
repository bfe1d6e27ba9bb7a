// The part of SchemaReader that is about values that a schema lists. There may be thousands, so
// that what the other keywords say is found out once for all of them.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "server/json/json_set.h"
#include "server/schema/schema_keywords.h"
#include "server/schema/schema_merge.h"
#include "server/schema/schema_reader.h"

namespace lockstep {
namespace {

std::string_view TypeName(const Json& value) {
  return IsNumber(value) ? "number" : value.type_name();
}

// 1.0 and 1e2 are integers too: JSON Schema asks for a number without a fraction, not for a way of
// writing it.
bool IsOfType(const Json& value, std::string_view type) {
  if (type == "integer") return IsNumber(value) && ParseDecimal(Dump(value)).IsInteger();
  return type == TypeName(value);
}

size_t Characters(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); text.remove_prefix(CharacterLength(text))) ++count;
  return count;
}

}  // namespace

bool SchemaReader::IsOneOf(const Json& value, const Json& types) {
  if (types.is_string()) return IsOfType(value, types.get_ref<const std::string&>());
  return types.is_array() && types.size() <= kMaxTypes &&
         std::ranges::any_of(types, [&](const Json& type) {
           return type.is_string() && IsOfType(value, type.get_ref<const std::string&>());
         });
}

SchemaReader::Rule SchemaReader::Values(const Json& schema, const std::string& path) {
  Json values = Json::array();
  if (schema.contains("enum")) {
    values = schema["enum"];
    if (!values.is_array()) return FailKeyword(path, "enum", "must be a list of values");
  }
  if (const auto only = schema.find("const"); only != schema.end()) {
    const bool listed = !schema.contains("enum") || std::ranges::count(values, *only) > 0;
    values = Json::array();
    if (listed) values.push_back(*only);
  }
  std::vector<std::string> texts;
  Admission admission = AdmissionTo(schema);
  for (const Json& value : values) {
    TRY(const bool fits, Admits(schema, value, path, &admission));
    if (fits) texts.push_back(Dump(value));
  }
  if (texts.empty()) {
    const char* const lists = schema.contains("const") ? "const" : "enum";
    return Nothing(path, lists, "none of the listed values is allowed");
  }
  return rules_.DefineTexts(std::move(texts));
}

SchemaReader::Admission SchemaReader::AdmissionTo(const Json& schema) {
  Admission out;
  for (const auto& [keyword, given] : schema.items()) {
    const SchemaKeyword* const known = FindSchemaKeyword(keyword);
    if (known == nullptr) continue;
    out.asks.try_emplace(known->name == "not" ? "string" : known->type, known->name);
  }
  const auto forbidden = schema.find("not");
  if (forbidden != schema.end() && forbidden->contains("enum")) {
    out.forbidden = JsonSet((*forbidden)["enum"]);
  }
  return out;
}

// All keywords of a type are one language, so that the first one that is found asks for all of
// them. A text's length is counted, which takes no automaton.
Result<bool> SchemaReader::Admits(const Json& schema, const Json& value, const std::string& path,
                                  Admission* admission) {
  if (schema.contains("type") && !IsOneOf(value, schema["type"])) return false;
  if (admission->forbidden.Contains(value)) return false;
  if (!value.is_string() && ForbidsTexts(schema)) return false;
  const std::string_view type = TypeName(value);
  const auto asked = admission->asks.find(type);
  if (asked == admission->asks.end()) return true;
  if (type == "string") {
    if (!admission->texts) {
      TRY(admission->texts, TextLanguage(schema, path, TextLengths::kLeftOut));
      TRY(admission->lengths, ReadSizes(schema, "Length", path));
    }
    const auto& text = value.get_ref<const std::string&>();
    const size_t length = Characters(text);
    return length >= admission->lengths.least &&
           (!admission->lengths.most || length <= *admission->lengths.most) &&
           admission->texts->Contains(text);
  }
  if (type == "number") {
    if (!admission->numbers) {
      TRY(admission->numbers, ReadRange(schema, false, path));
    }
    TRY_OK(Pay(Characters(Dump(value))));
    auto fits = IsInRange(ParseDecimal(Dump(value)), *admission->numbers);
    if (!fits) return FailKeyword(path, "multipleOf", fits.error().message);
    return *fits;
  }
  return FailKeyword(path, asked->second,
                     fmt::format("keyword {} beside enum or const is not supported; leave out the "
                                 "values that it forbids",
                                 Quoted(asked->second)));
}

// Returns each of the values once if the schema lists them all, and nothing where other keywords
// would have to be asked about each.
std::optional<std::vector<Json>> SchemaReader::Listed(const Json& schema) const {
  const Json& resolved = Resolved(schema);
  if (!resolved.is_object()) return std::nullopt;
  for (const auto& [keyword, value] : resolved.items()) {
    const bool lists = keyword == "enum" || keyword == "const" || keyword == "type";
    if (!lists && !IsAnnotation(keyword)) return std::nullopt;
  }
  Json values = Json::array();
  if (resolved.contains("const")) {
    values.push_back(resolved["const"]);
  } else if (resolved.contains("enum")) {
    values = resolved["enum"];
  } else if (resolved.value("type", Json()) == "boolean") {
    values = {false, true};
  } else {
    return std::nullopt;
  }
  std::vector<Json> out;
  JsonSet known;
  for (const Json& value : values) {
    const bool fits = !resolved.contains("type") || IsOneOf(value, resolved["type"]);
    if (fits && known.Add(value)) out.push_back(value);
  }
  return out;
}

}  // namespace lockstep
