// Templates and grammars know functions only, so that the other forms become functions here, and
// the form of the answer remembers what they were.
#include "server/api/openai/tool_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace lockstep {
namespace {

constexpr char kToolForm[] = R"(must be {"type": "function", "function": {...}})";

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

Json ReadCustomTool(FieldReader& custom, ReadContext& context, std::set<std::string>* names) {
  std::string name, description;
  ReadName(custom, names, &name);
  custom.Text("description", &description);
  custom.Object("format", "must be an object", context.unknown(), [](FieldReader& format) {
    std::string type;
    format.Text("type", &type);
    if (type != "text") format.Fail("type", "must be \"text\": others are not supported");
  });
  Json function{{"name", name}};
  if (!description.empty()) function["description"] = description;
  function["parameters"] = {{"type", "object"},
                            {"properties", {{"input", {{"type", "string"}}}}},
                            {"required", {"input"}},
                            {"additionalProperties", false}};
  return function;
}

namespace {

Json ReadTool(const Json& value, const std::string& where, FieldReader& fields,
              ReadContext& context, std::set<std::string>* names, ToolList* list) {
  const auto has = [&value](const char* name) {
    return value.is_object() && value.contains(name) && value[name].is_object();
  };
  if (!has("function") && !has("custom")) {
    fields.Fail(where, kToolForm);
    return {};
  }
  Json out;
  fields.Nested(value, where, kToolForm, context.unknown(), [&](FieldReader& tool) {
    std::string type;
    tool.Text("type", &type);
    if (type == "custom" && has("custom")) {
      tool.Object("custom", kToolForm, context.unknown(), [&](FieldReader& custom) {
        Json function = ReadCustomTool(custom, context, names);
        list->custom.insert(function["name"].get<std::string>());
        out = {{"type", "function"}, {"function", std::move(function)}};
      });
      return;
    }
    if (type != "function" || !has("function")) tool.Fail("type", "must be \"function\"");
    tool.Object("function", kToolForm, context.unknown(),
                [&](FieldReader& function) { ReadFunctionTool(function, names); });
    if (!tool.ok()) return;
    // The tool is handed on whole, since templates print fields that are not read here.
    out = WithoutNulls(value);
    out["function"] = WithoutNulls(value["function"]);
  });
  return out;
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
  Json read = Json::array();
  std::set<std::string> names;
  for (size_t i = 0; i < values->size() && fields.ok(); ++i) {
    const Json& value = (*values)[i];
    const std::string where = fmt::format("{}[{}]", name, i);
    list.where.push_back(where + (tools != nullptr ? ".function.parameters" : ".parameters"));
    if (tools != nullptr) {
      read.push_back(ReadTool(value, where, fields, context, &names, &list));
      continue;
    }
    fields.Nested(value, where, "must be an object with a name", context.unknown(),
                  [&names](FieldReader& function) { ReadFunctionTool(function, &names); });
    if (fields.ok()) read.push_back({{"type", "function"}, {"function", WithoutNulls(value)}});
  }
  list.legacy = functions != nullptr;
  if (!read.empty()) list.tools = std::move(read);
  return list;
}

}  // namespace lockstep
