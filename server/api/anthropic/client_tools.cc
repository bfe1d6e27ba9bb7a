// Tools are told apart by their type: without one, or as "custom", a tool has a schema and is run
// by the client, as a function of OpenAI's is, which is what templates know.
#include "server/api/anthropic/client_tools.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/quoted.h"

namespace lockstep {
namespace {

constexpr char kToolForm[] = "must be an object with a name and an input_schema";

// Empty for one that the client runs.
std::string ForeignType(const Json& tool) {
  if (!tool.is_object() || !tool.contains("type") || !tool["type"].is_string()) return "";
  const auto type = tool["type"].get<std::string>();
  return type == "custom" ? "" : type;
}

struct ClientTool {
  Json function;
  bool deferred = false;
};

ClientTool ReadTool(FieldReader& tool, ReadContext& context, std::set<std::string>* names) {
  std::string name, description;
  if (!tool.Text("name", &name) && tool.ok()) tool.Fail("name", "is missing");
  if (tool.ok() && (name.empty() || name.size() > kMaxToolName)) {
    tool.Fail("name", fmt::format("must have 1 to {} bytes", kMaxToolName));
  }
  if (tool.ok() && !names->insert(name).second) {
    tool.Fail("name", fmt::format("is {}, as that of another tool", Quoted(name)));
  }
  ClientTool read{{{"name", name}}};
  if (tool.Text("description", &description)) read.function["description"] = description;
  const Json* const schema = tool.Take("input_schema");
  if (schema != nullptr && !schema->is_object()) tool.Fail("input_schema", "must be an object");
  read.function["parameters"] =
      schema != nullptr ? *schema : Json{{"type", "object"}, {"properties", Json::object()}};
  if (bool strict = false; tool.Bool("strict", &strict)) read.function["strict"] = strict;
  tool.Bool("defer_loading", &read.deferred);
  for (const char* other : {"type", "cache_control", "allowed_callers", "eager_input_streaming"}) {
    tool.Take(other);
  }
  if (tool.Has("input_examples")) context.ignored.push_back(tool.Full("input_examples"));
  return read;
}

}  // namespace

ToolList ReadClientTools(FieldReader& fields, ReadContext& context,
                         const std::set<std::string>& loaded) {
  ToolList list;
  const Json* const tools = fields.Take("tools");
  if (tools == nullptr) return list;
  if (!tools->is_array() || tools->size() > kMaxTools) {
    fields.Fail("tools", fmt::format("must be a list of at most {} tools", kMaxTools));
    return list;
  }
  std::set<std::string> names;
  for (size_t i = 0; i < tools->size() && fields.ok(); ++i) {
    const std::string where = fmt::format("tools[{}]", i);
    if (const std::string type = ForeignType((*tools)[i]); !type.empty()) {
      context.ignored.push_back(fmt::format("{}: {}", where, type));
      continue;
    }
    fields.Nested((*tools)[i], where, kToolForm, context.unknown(), [&](FieldReader& tool) {
      ClientTool read = ReadTool(tool, context, &names);
      if (!tool.ok() || (read.deferred && !loaded.contains(read.function["name"]))) return;
      list.tools.push_back({{"type", "function"}, {"function", std::move(read.function)}});
      list.where.push_back(tool.Full("input_schema"));
    });
  }
  return list;
}

ToolChoice ReadClientToolChoice(FieldReader& fields, ReadContext& context) {
  ToolChoice choice;
  fields.Object("tool_choice", "must be an object with a type", context.unknown(),
                [&choice](FieldReader& reader) {
                  std::string type, name;
                  bool single = false;
                  reader.Text("type", &type);
                  reader.Text("name", &name);
                  reader.Bool("disable_parallel_tool_use", &single);
                  choice.parallel = !single;
                  if (type == "none" || type == "auto") {
                    choice.word = type;
                  } else if (type == "any" || type == "required" || type == "tool") {
                    choice.word = "required";
                  } else {
                    reader.Fail("type", "must be auto, any, tool or none");
                  }
                  if (type != "tool") return;
                  if (name.empty()) reader.Fail("name", "is missing: which tool is to be called");
                  choice.names = {name};
                  choice.named = true;
                });
  return choice;
}

}  // namespace lockstep
