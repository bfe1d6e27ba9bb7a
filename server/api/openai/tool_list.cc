// Templates and grammars know functions only, so that the other forms become functions here, and
// the form of the answer remembers what they were.
#include "server/api/openai/tool_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace lockstep {
namespace {

constexpr char kToolForm[] = R"(must be an object such as {"type": "function", "function": {...}})";

// Client libraries write null for what is not set, and a template would print it.
Json WithoutNulls(const Json& object) {
  Json out = Json::object();
  for (const auto& [name, value] : object.items()) {
    if (!value.is_null()) out[name] = value;
  }
  return out;
}

void ReadName(FieldReader& tool, std::set<std::string>* names, std::string* name) {
  if (!tool.Text("name", name) && tool.ok()) tool.Fail("name", "is missing");
  if (!tool.ok()) return;
  if (!IsToolName(*name)) {
    tool.Fail("name", fmt::format("must be 1 to {} letters, digits or one of _-.:/", kMaxToolName));
  } else if (!names->insert(*name).second) {
    tool.Fail("name", "is that of another tool, too");
  }
}

// What a custom tool's format says of a grammar, which chats have one level deeper.
const Json& GrammarOf(const Json& format) {
  const Json* const grammar = FindField(format, "grammar");
  return grammar != nullptr ? *grammar : format;
}

// The expression as one of a schema, where it is for the whole text only if it is anchored.
std::string WholeTextPattern(std::string_view expression) {
  if (expression.starts_with('^')) expression.remove_prefix(1);
  if (expression.ends_with('$') && !expression.ends_with("\\$")) expression.remove_suffix(1);
  return fmt::format("^(?:{})$", expression);
}

}  // namespace

bool IsToolName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxToolName && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-.:/").find(c) != std::string_view::npos;
  });
}

void ReadFunctionTool(FieldReader& function, std::set<std::string>* names) {
  std::string text;
  bool strict = false;
  ReadName(function, names, &text);
  function.Text("description", &text);
  function.Bool("strict", &strict);
  if (const Json* const schema = function.Take("parameters"); schema && !schema->is_object()) {
    function.Fail("parameters", "must be a JSON schema");
  }
}

bool TakesKnownText(const Json& tool) {
  const Json* const inner = FindField(tool, "custom");
  const Json* const format = FindField(inner != nullptr ? *inner : tool, "format");
  if (format == nullptr || TextField(*format, "type", "text") == "text") return true;
  return TextField(GrammarOf(*format), "syntax") == "regex";
}

Json ReadFlatFunction(FieldReader& fields, const Json& value, std::set<std::string>* names) {
  ReadFunctionTool(fields, names);
  Json function = Json::object();
  for (const char* field : {"name", "description", "parameters"}) {
    if (const Json* const sent = FindField(value, field)) function[field] = *sent;
  }
  const Json* const strict = FindField(value, "strict");
  if (strict != nullptr && *strict == true) function["strict"] = true;
  return function;
}

Json ReadCustomTool(FieldReader& custom, ReadContext& context, std::set<std::string>* names) {
  std::string name, description;
  Json input{{"type", "string"}};
  ReadName(custom, names, &name);
  custom.Text("description", &description);
  custom.Object("format", "must be an object", context.unknown(), [&](FieldReader& format) {
    std::string type;
    format.Text("type", &type);
    if (type != "grammar") return;
    const auto read = [&input](FieldReader& grammar) {
      std::string text;
      grammar.Text("syntax", &text);
      if (!grammar.Text("definition", &text) && grammar.ok()) {
        grammar.Fail("definition", "is missing: a regular expression");
      }
      input["pattern"] = WholeTextPattern(text);
    };
    // Chat's form has both one level deeper.
    if (!format.Object("grammar", "must be an object", context.unknown(), read)) read(format);
  });
  Json function{{"name", name}};
  if (!description.empty()) function["description"] = description;
  function["parameters"] = {{"type", "object"},
                            {"properties", {{"input", std::move(input)}}},
                            {"required", {"input"}},
                            {"additionalProperties", false}};
  return function;
}

namespace {

// One of "tools", in the form of chats or in that of /v1/responses, which is flat.
void ReadTool(const Json& value, const std::string& where, FieldReader& fields,
              ReadContext& context, std::set<std::string>* names, ToolList* list) {
  if (!value.is_object()) return fields.Fail(where, kToolForm);
  const std::string type = TextField(value, "type", "function");
  const bool custom = type == "custom";
  const auto has = [&value](const char* name) {
    const Json* const inner = FindField(value, name);
    return inner != nullptr && inner->is_object();
  };
  const bool deeper = has(type.c_str());
  if (!custom && type != "function" && (has("function") || has("custom"))) {
    return fields.Fail(where + ".type", "must be \"function\" or \"custom\"");
  }
  if (custom ? !TakesKnownText(value) : type != "function") {
    context.ignored.push_back(fmt::format("{}: {}", fields.Full(where), type));
    return;
  }
  fields.Nested(value, where, kToolForm, context.unknown(), [&](FieldReader& tool) {
    std::string text;
    tool.Text("type", &text);
    const auto read = [&](FieldReader& reader) {
      Json out{{"type", "function"}};
      if (custom) {
        out["function"] = ReadCustomTool(reader, context, names);
      } else if (deeper) {
        // The tool is handed on whole, since templates print fields that are not read here.
        ReadFunctionTool(reader, names);
        out = WithoutNulls(value);
        out["function"] = WithoutNulls(value["function"]);
      } else {
        out["function"] = ReadFlatFunction(reader, value, names);
      }
      if (!reader.ok()) return;
      if (custom) list->custom.insert(out["function"]["name"].get<std::string>());
      list->tools.push_back(std::move(out));
      list->where.push_back(reader.Full(custom ? "format" : "parameters"));
    };
    if (!deeper) return read(tool);
    tool.Object(type, kToolForm, context.unknown(), read);
  });
}

}  // namespace

ToolList ReadTools(FieldReader& fields, ReadContext& context) {
  ToolList list;
  const Json* tools = fields.Take("tools");
  const Json* functions = fields.Take("functions");
  if (tools != nullptr && functions != nullptr) {
    // An empty list beside the other one is none.
    if (*functions == Json::array()) {
      functions = nullptr;
    } else if (*tools == Json::array()) {
      tools = nullptr;
    }
  }
  if (tools != nullptr && functions != nullptr) {
    fields.Fail("functions", "is the older form of tools, which are there too: send one of them");
  }
  const char* const name = tools != nullptr ? "tools" : "functions";
  const Json* const values = tools != nullptr ? tools : functions;
  if (values == nullptr || !fields.ok()) return list;
  if (!values->is_array() || values->size() > kMaxTools) {
    fields.Fail(name, fmt::format("must be a list of at most {} tools", kMaxTools));
    return list;
  }
  std::set<std::string> names;
  for (size_t i = 0; i < values->size() && fields.ok(); ++i) {
    const Json& value = (*values)[i];
    const std::string where = fmt::format("{}[{}]", name, i);
    if (tools != nullptr) {
      ReadTool(value, where, fields, context, &names, &list);
      continue;
    }
    fields.Nested(value, where, "must be an object with a name", context.unknown(),
                  [&names](FieldReader& function) { ReadFunctionTool(function, &names); });
    if (!fields.ok()) break;
    list.tools.push_back({{"type", "function"}, {"function", WithoutNulls(value)}});
    list.where.push_back(where + ".parameters");
  }
  list.legacy = functions != nullptr;
  return list;
}

}  // namespace lockstep
