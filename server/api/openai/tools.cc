#include "server/api/openai/tools.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "core/base/quoted.h"
#include "server/generation/grammar_cache.h"
#include "server/schema/json_schema.h"

namespace lockstep {
namespace {

// What tool_choice says: one of its words, or the only function that may be called.
struct Choice {
  std::string word;
  std::string function;
};

Choice ReadChoice(FieldReader& fields, ReadContext& context) {
  const Json* const value = fields.Take("tool_choice");
  if (value == nullptr) return {"auto", {}};
  if (value->is_string() && (*value == "none" || *value == "auto" || *value == "required")) {
    return {value->get<std::string>(), {}};
  }
  Choice choice{"required", {}};
  if (value->is_object() && value->contains("function") && (*value)["function"].is_object()) {
    FieldReader reader(*value, "tool_choice."),
        inner((*value)["function"], "tool_choice.function.");
    std::string type;
    if (!reader.Text("type", &type) || type != "function") {
      reader.Fail("type", "must be \"function\"");
    }
    reader.Take("function");
    if (!inner.Text("name", &choice.function) && inner.ok()) inner.Fail("name", "is missing");
    if (Status status = inner.Finish(context.unknown()); !status) reader.Fail(status.error());
    if (Status status = reader.Finish(context.unknown()); !status) fields.Fail(status.error());
    return choice;
  }
  fields.Fail("tool_choice",
              R"(must be none, auto, required or {"type": "function", "function": {"name": ...}})");
  return choice;
}

// The rule of a tool's arguments: an object of its schema, or any.
Result<std::string> ArgumentsRule(const Json& function, const std::string& where,
                                  JsonGrammar* json) {
  if (!function.contains("parameters") || function["parameters"].empty()) {
    return std::string(JsonGrammar::Object());
  }
  Json schema = function["parameters"];
  if (!schema.contains("type")) schema["type"] = "object";
  if (schema["type"] != "object") {
    return Fail(ErrorKind::kInvalidArgument,
                where + "/type: must be \"object\": the arguments of a function are named", where);
  }
  return json->Add(schema, where);
}

// The rule of an answer that is no call: what response_format says, or empty for any text.
Result<std::string> InsteadRule(FieldReader& fields, const GenerationOptions& options,
                                JsonGrammar* json) {
  if (options.grammar == nullptr) return std::string();
  const Json* const format = fields.Take("response_format");
  const std::string type = format == nullptr ? "text" : format->value("type", "text");
  if (type == "text") {
    return Fail(ErrorKind::kInvalidArgument, "grammar and tools: send one of them", "grammar");
  }
  if (type == "json_object") return std::string(JsonGrammar::Object());
  return json->Add(format->at("json_schema").at("schema"), "response_format.json_schema.schema");
}

Status BindGrammar(FieldReader& fields, ReadContext& context, const Choice& choice, bool parallel,
                   ChatRequest& request) {
  JsonGrammar json;
  ToolGrammarParts parts;
  parts.parallel = parallel && choice.function.empty();  // one named is called once
  const Json& tools = request.variables.at("tools");
  for (size_t i = 0; i < tools.size(); ++i) {
    const Json& function = tools[i].at("function");
    const auto name = function.at("name").get<std::string>();
    if (!choice.function.empty() && choice.function != name) continue;
    auto rule = ArgumentsRule(function, fmt::format("tools[{}].function.parameters", i), &json);
    if (!rule) return tl::unexpected(rule.error());
    parts.tools.push_back({name, *std::move(rule)});
  }
  if (parts.tools.empty()) {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("tool_choice.function.name is {}, which is none of the tools",
                            Quoted(choice.function)),
                "tool_choice");
  }
  parts.instead = std::nullopt;
  GenerationOptions& options = request.generate.options;
  if (choice.word == "auto") {
    auto instead = InsteadRule(fields, options, &json);
    if (!instead) return tl::unexpected(instead.error());
    parts.instead = *std::move(instead);
  }
  auto bound =
      context.service.grammars().ToolCalls(ToolGrammar(*request.tools, parts) + json.rules());
  if (!bound) return tl::unexpected(bound.error());
  options.grammar = *std::move(bound);
  return {};
}

struct ReadCalls {
  std::string content;
  std::vector<Json> calls;
};

ReadCalls ReadText(ToolStyle style, std::string_view text) {
  ToolCallReader reader(style);
  ReadCalls read;
  std::vector<ToolDelta> deltas = reader.Push(text);
  for (ToolDelta& delta : reader.Finish()) deltas.push_back(std::move(delta));
  for (const ToolDelta& delta : deltas) {
    read.content += delta.content;
    if (!delta.call) continue;
    if (delta.name) {
      read.calls.push_back({{"id", NewToolCallId(style)},
                            {"type", "function"},
                            {"function", {{"name", *delta.name}, {"arguments", ""}}}});
    }
    read.calls[*delta.call]["function"]["arguments"].get_ref<std::string&>() += delta.arguments;
  }
  return read;
}

}  // namespace

void ReadToolChoice(FieldReader& fields, ReadContext& context, ChatRequest& request) {
  const Choice choice = ReadChoice(fields, context);
  bool parallel = true;
  fields.Bool("parallel_tool_calls", &parallel);
  if (!fields.ok()) return;
  if (!request.variables.contains("tools")) {
    if (choice.word == "required") fields.Fail("tool_choice", "needs tools");
    return;
  }
  if (choice.word == "none") {
    request.variables.erase("tools");
    return;
  }
  request.tools = context.service.chat()->tools;
  if (!request.tools) {
    return fields.Fail(
        "tools", fmt::format("cannot be used: the model's chat template does not say how to call "
                             "them in one of the ways that are known here, {}; leave them out, or "
                             "send \"tool_choice\": \"none\"",
                             kToolStyles));
  }
  if (Status status = BindGrammar(fields, context, choice, parallel, request); !status) {
    Error error = std::move(status.error());
    if (error.param.empty()) error.param = "tools";
    fields.Fail(std::move(error));
  }
}

Json WithToolCalls(Json message, ToolStyle style, std::string_view text) {
  ReadCalls read = ReadText(style, text);
  message["content"] =
      read.content.empty() && !read.calls.empty() ? Json(nullptr) : Json(read.content);
  if (!read.calls.empty()) message["tool_calls"] = std::move(read.calls);
  return message;
}

bool HasToolCalls(ToolStyle style, std::string_view text) {
  ToolCallReader reader(style);
  reader.Push(text);
  return reader.calls() > 0;
}

Json ToolDeltaJson(ToolStyle style, const ToolDelta& delta) {
  if (!delta.call) return {{"content", delta.content}};
  Json call{{"index", *delta.call}};
  if (delta.name) {
    call["id"] = NewToolCallId(style);
    call["type"] = "function";
    call["function"]["name"] = *delta.name;
  }
  call["function"]["arguments"] = delta.arguments;
  return {{"tool_calls", Json::array({std::move(call)})}};
}

}  // namespace lockstep
