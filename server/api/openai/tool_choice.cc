// The choice has grown: a word, a name, an object in one of three forms. All of them end in one
// ToolChoice.
#include "server/api/openai/tool_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

namespace lockstep {
namespace {

constexpr char kForms[] =
    R"(must be none, auto, required, a tool's name or {"type": "function", "function": {"name": ...}})";

// A named tool must be called, and once: OpenAI answers such a choice with one call.
ToolChoice OnlyThis(std::string name) { return {"required", {std::move(name)}, true, true}; }

// {"name"}, alone or as "function" or "custom" of an object with a type.
std::string ReadName(FieldReader& tool, ReadContext& context) {
  std::string name, type;
  tool.Text("type", &type);
  if (tool.Text("name", &name)) return name;
  const auto read = [&name](FieldReader& inner) {
    if (!inner.Text("name", &name) && inner.ok()) inner.Fail("name", "is missing");
  };
  const char* const field = type == "custom" ? "custom" : "function";
  if (type != "custom" && type != "function") tool.Fail("type", "must be \"function\"");
  if (!tool.Object(field, kForms, context.unknown(), read) && tool.ok()) tool.Fail(field, kForms);
  return name;
}

// {"mode", "tools"}. What is left out of the tools, such as a search of the web that OpenAI's own
// servers would run, is left out here, too: the choice is among the others.
void ReadAllowedTools(FieldReader& allowed, ReadContext& context, const ToolList& list,
                      ToolChoice* choice) {
  allowed.Text("mode", &choice->word);
  if (choice->word != "auto" && choice->word != "required") {
    allowed.Fail("mode", "must be auto or required");
  }
  const Json* const tools = allowed.Take("tools");
  if (tools == nullptr || !tools->is_array() || tools->empty()) {
    return allowed.Fail("tools", "must be a list of at least one tool");
  }
  for (size_t i = 0; i < tools->size() && allowed.ok(); ++i) {
    const Json& tool = (*tools)[i];
    const std::string where = fmt::format("tools[{}]", i);
    const std::string type = tool.is_object() ? TextField(tool, "type", "function") : "function";
    std::string name;
    if (type == "function" || type == "custom") {
      allowed.Nested(tool, where, kForms, context.unknown(),
                     [&](FieldReader& reader) { name = ReadName(reader, context); });
    }
    if (type == "function" || IsTool(list.tools, name)) {
      choice->names.push_back(std::move(name));
    } else {
      context.ignored.push_back(fmt::format("{}: {}", allowed.Full(where), type));
    }
  }
  if (!choice->names.empty()) return;
  if (choice->word == "required") allowed.Fail("tools", "has no tool that can be called here");
  choice->word = "none";
}

ToolChoice ReadChoice(FieldReader& fields, ReadContext& context, const ToolList& tools) {
  const char* const name = tools.legacy ? "function_call" : "tool_choice";
  if (!tools.legacy) fields.Refuse("function_call", "is of functions: send tool_choice");
  if (auto word = ReadChoiceWord(fields, name, context, tools.tools)) return *std::move(word);
  const Json* const value = fields.Take(name);
  if (value->is_string()) {
    const auto word = value->get<std::string>();
    if (!IsTool(tools.tools, word)) fields.Fail(name, kForms);
    return OnlyThis(word);
  }
  if (value->empty()) fields.Fail(name, kForms);
  ToolChoice choice;
  fields.Nested(*value, name, kForms, context.unknown(), [&](FieldReader& reader) {
    if (value->contains("type") && (*value)["type"] == "allowed_tools") {
      reader.Take("type");
      if (!reader.Object(
              "allowed_tools", "must be an object", context.unknown(),
              [&](FieldReader& inner) { ReadAllowedTools(inner, context, tools, &choice); })) {
        ReadAllowedTools(reader, context, tools, &choice);  // as /v1/responses has it
      }
      return;
    }
    choice = OnlyThis(ReadName(reader, context));
  });
  return choice;
}

}  // namespace

bool IsTool(const Json& tools, std::string_view name) {
  return std::ranges::any_of(tools,
                             [name](const Json& tool) { return tool["function"]["name"] == name; });
}

std::optional<ToolChoice> ReadChoiceWord(FieldReader& fields, std::string_view name,
                                         ReadContext& context, const Json& tools) {
  const Json* const value = fields.Take(name);
  if (value == nullptr) return ToolChoice();
  const bool object = value->is_object();
  std::string word =
      value->is_string() ? value->get<std::string>() : TextField(*value, "type", std::string());
  if (word == "any" && (object || !IsTool(tools, word))) word = "required";
  if (word != "none" && word != "auto" && word != "required") return std::nullopt;
  if (object) {
    fields.Nested(*value, name, "must be an object", context.unknown(),
                  [](FieldReader& choice) { choice.Take("type"); });
  }
  return ToolChoice{std::move(word), {}, false, true};
}

ToolChoice ReadToolChoice(FieldReader& fields, ReadContext& context, const ToolList& tools) {
  ToolChoice choice = ReadChoice(fields, context, tools);
  fields.Bool("parallel_tool_calls", &choice.parallel);
  return choice;
}

}  // namespace lockstep
