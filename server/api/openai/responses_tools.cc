// A client may offer tools that only OpenAI's servers have, such as a search of the web, and goes
// on without them: these are left out and named, since refusing them would refuse the client.
#include "server/api/openai/responses_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "core/base/quoted.h"
#include "server/api/openai/tool_choice.h"
#include "server/api/openai/tool_list.h"

namespace lockstep {
namespace {

constexpr char kToolForm[] = R"(must be an object such as {"type": "function", "name": ...})";
constexpr char kChoiceForms[] =
    R"(must be none, auto, required, a tool's name, {"type": "function", "name": ...} or {"type": "allowed_tools", "mode": ..., "tools": [...]})";

std::string NameForm() {
  return fmt::format("must be of letters, digits or _-.:/, at most {}", kMaxToolName);
}

class ToolReader {
 public:
  ToolReader(bool again, ReadContext& context, ResponsesTools* tools)
      : again_(again), context_(context), tools_(tools) {
    if (tools->list.tools.is_null()) return;
    for (const Json& tool : tools->list.tools) names_.insert(TextField(tool["function"], "name"));
  }

  void ReadList(const Json& list, std::string_view name, const std::string& space,
                FieldReader& fields) {
    if (!list.is_array()) return fields.Fail(name, "must be a list of tools");
    for (size_t i = 0; i < list.size() && fields.ok(); ++i) {
      ReadTool(list[i], fmt::format("{}[{}]", name, i), space, fields);
    }
  }

 private:
  void ReadTool(const Json& value, const std::string& where, const std::string& space,
                FieldReader& fields) {
    if (!value.is_object()) return fields.Fail(where, kToolForm);
    const std::string type = TextField(value, "type", "function");
    if (type == "namespace" && space.empty()) {
      fields.Nested(value, where, kToolForm, context_.unknown(),
                    [this](FieldReader& tool) { ReadNamespace(tool); });
    } else if (type == "function" || (type == "custom" && TakesKnownText(value))) {
      fields.Nested(value, where, kToolForm, context_.unknown(),
                    [&](FieldReader& tool) { ReadCallable(tool, value, type, space); });
    } else {
      context_.ignored.push_back(fmt::format("{}: {}", fields.Full(where), type));
    }
  }

  void ReadNamespace(FieldReader& tool) {
    std::string name, text;
    tool.Take("type");
    tool.Text("description", &text);
    if (!tool.Text("name", &name) && tool.ok()) tool.Fail("name", "is missing");
    if (!IsToolName(name)) tool.Fail("name", NameForm());
    const Json* const list = tool.Take("tools");
    if (list != nullptr) ReadList(*list, "tools", name, tool);
  }

  void ReadCallable(FieldReader& tool, const Json& value, const std::string& type,
                    const std::string& space) {
    std::string text;
    tool.Text("type", &text);
    for (const char* name : {"async", "allowed_callers", "defer_loading", "output_schema"}) {
      tool.Take(name);
    }
    // Chat's form has a tool's fields one level deeper, under the name of its type.
    const bool deeper = value.contains(type) && value[type].is_object();
    const auto read = [&](FieldReader& fields) {
      std::set<std::string> name;
      Json function = type == "custom"
                          ? ReadCustomTool(fields, context_, &name)
                          : ReadFlatFunction(fields, deeper ? value[type] : value, &name);
      Add(std::move(function), type == "custom", space, fields);
    };
    if (!deeper) return read(tool);
    tool.Object(type, kToolForm, context_.unknown(), read);
  }

  void Add(Json function, bool custom, const std::string& space, FieldReader& tool) {
    if (!tool.ok()) return;
    const auto own = function["name"].get<std::string>();
    const std::string name = space.empty() ? own : NameInPrompt(space, own);
    if (!names_.insert(name).second) {
      if (!again_) tool.Fail("name", "is that of another tool, too");
      return;
    }
    if (names_.size() > kMaxTools) {
      return tool.Fail("name", fmt::format("is one too many: send at most {} tools", kMaxTools));
    }
    if (!IsToolName(name)) {
      return tool.Fail("name", fmt::format("and its namespace {} in all", NameForm()));
    }
    function["name"] = name;
    if (!space.empty()) tools_->spaced[name] = {space, own};
    if (custom) tools_->list.custom.insert(name);
    if (tools_->list.tools.is_null()) tools_->list.tools = Json::array();
    tools_->list.tools.push_back({{"type", "function"}, {"function", std::move(function)}});
    tools_->list.where.push_back(tool.Full(custom ? "format" : "parameters"));
  }

  const bool again_;
  ReadContext& context_;
  ResponsesTools* const tools_;
  std::set<std::string> names_;
};

// A named tool must be called, and once: OpenAI answers such a choice with one call.
ToolChoice OnlyThis(std::string name) { return {"required", {std::move(name)}, true, true}; }

class ChoiceReader {
 public:
  ChoiceReader(ReadContext& context, const ResponsesTools& tools)
      : context_(context), tools_(tools) {}

  ToolChoice Read(FieldReader& fields) {
    if (auto word = ReadChoiceWord(fields, "tool_choice", context_, tools_.list.tools)) {
      return *std::move(word);
    }
    const Json* const value = fields.Take("tool_choice");
    if (value->is_string()) {
      const auto word = value->get<std::string>();
      if (!IsTool(tools_.list.tools, word)) fields.Fail("tool_choice", kChoiceForms);
      return OnlyThis(word);
    }
    ToolChoice choice;
    fields.Nested(*value, "tool_choice", kChoiceForms, context_.unknown(),
                  [&](FieldReader& reader) {
                    if (TextField(*value, "type") == "allowed_tools") {
                      ReadAllowed(reader, &choice);
                    } else {
                      choice = ReadNamed(*value, reader);
                    }
                  });
    return choice;
  }

 private:
  // The names in the prompt of what {"type", "name"} means; none where it is a tool that cannot be
  // called here. A function of a namespace may come with the namespace's name, before a dot or in a
  // field of its own, or without.
  std::vector<std::string> NamesOf(const Json& tool) const {
    const std::string type = TextField(tool, "type", "function");
    // Chat's form has the name one level deeper.
    const std::string name = TextField(
        tool, "name", tool.contains(type) ? TextField(tool[type], "name") : std::string());
    const std::string space = TextField(tool, "namespace");
    std::vector<std::string> names;
    for (const auto& [flat, parts] : tools_.spaced) {
      const bool all = type == "namespace" && parts.space == name;
      const bool one = parts.name == name && (space.empty() || parts.space == space);
      if (all || one || parts.space + "." + parts.name == name) names.push_back(flat);
    }
    if (IsTool(tools_.list.tools, name)) names = {name};
    return names;
  }

  ToolChoice ReadNamed(const Json& value, FieldReader& choice) {
    std::string type = "function";
    choice.Text("type", &type);
    for (const char* name : {"name", "namespace", "function", "custom"}) choice.Take(name);
    const std::vector<std::string> names = NamesOf(value);
    if (names.size() == 1) return OnlyThis(names[0]);
    if (type == "namespace" && !names.empty()) return {"required", names, false, true};
    if (type != "function" && type != "custom" && type != "namespace") {
      choice.Fail("type", fmt::format("is {}, which cannot be called here: the server has no tools "
                                      "but those that the client runs",
                                      Quoted(type)));
    }
    choice.Fail("name", names.empty() ? "is that of none of the tools"
                                      : "is that of several tools: send the namespace, too");
    return {};
  }

  void ReadAllowed(FieldReader& allowed, ToolChoice* choice) {
    allowed.Take("type");
    // Chat's form has the two one level deeper.
    if (allowed.Object("allowed_tools", "must be an object", context_.unknown(),
                       [&](FieldReader& inner) { ReadAllowedTools(inner, choice); })) {
      return;
    }
    ReadAllowedTools(allowed, choice);
  }

  void ReadAllowedTools(FieldReader& allowed, ToolChoice* choice) {
    allowed.Text("mode", &choice->word);
    if (choice->word != "auto" && choice->word != "required") {
      allowed.Fail("mode", "must be auto or required");
    }
    const Json* const tools = allowed.Take("tools");
    if (tools == nullptr || !tools->is_array()) {
      return allowed.Fail("tools", "must be a list of tools");
    }
    for (size_t i = 0; i < tools->size(); ++i) {
      if (!(*tools)[i].is_object()) allowed.Fail(fmt::format("tools[{}]", i), "must be an object");
      const std::vector<std::string> names = NamesOf((*tools)[i]);
      choice->names.insert(choice->names.end(), names.begin(), names.end());
      if (!names.empty()) continue;
      context_.ignored.push_back(
          fmt::format("{}: none of the tools", allowed.Full(fmt::format("tools[{}]", i))));
    }
    if (!choice->names.empty()) return;
    if (choice->word == "required") allowed.Fail("tools", "has none of the tools");
    choice->word = "none";
  }

  ReadContext& context_;
  const ResponsesTools& tools_;
};

}  // namespace

std::string NameInPrompt(std::string_view space, std::string_view name) {
  return fmt::format("{}{}{}", space, space.ends_with("__") ? "" : "__", name);
}

void AddResponsesTools(const Json& list, std::string_view where, bool again, FieldReader& fields,
                       ReadContext& context, ResponsesTools* tools) {
  ToolReader(again, context, tools).ReadList(list, where, {}, fields);
}

ToolChoice ReadResponsesToolChoice(FieldReader& fields, ReadContext& context,
                                   const ResponsesTools& tools) {
  ToolChoice choice = ChoiceReader(context, tools).Read(fields);
  fields.Bool("parallel_tool_calls", &choice.parallel);
  return choice;
}

}  // namespace lockstep
