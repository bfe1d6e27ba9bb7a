// A choice of tools is a choice of grammar: the calls that are allowed, and whether there may be
// text instead of them.
#include "server/api/openai/tool_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/base/quoted.h"
#include "server/generation/grammar_cache.h"
#include "server/schema/json_schema.h"

namespace lockstep {
namespace {

constexpr char kForms[] =
    R"(must be none, auto, required, a tool's name or {"type": "function", "function": {"name": ...}})";

// What a request says of its tools: one of none, auto and required, and, unless that is all of
// them, the names of those that may be called.
struct Choice {
  std::string word = "auto";
  std::vector<std::string> names;
  bool named = false;  // one tool, which is called once
};

// A named tool must be called, and once: OpenAI answers such a choice with one call.
Choice OnlyThis(std::string name) { return {"required", {std::move(name)}, true}; }

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

// {"mode", "tools"}
void ReadAllowedTools(FieldReader& allowed, ReadContext& context, Choice* choice) {
  allowed.Text("mode", &choice->word);
  if (choice->word != "auto" && choice->word != "required") {
    allowed.Fail("mode", "must be auto or required");
  }
  const Json* const tools = allowed.Take("tools");
  if (tools == nullptr || !tools->is_array() || tools->empty()) {
    return allowed.Fail("tools", "must be a list of at least one tool");
  }
  for (size_t i = 0; i < tools->size() && allowed.ok(); ++i) {
    allowed.Nested((*tools)[i], fmt::format("tools[{}]", i), kForms, context.unknown(),
                   [&](FieldReader& tool) { choice->names.push_back(ReadName(tool, context)); });
  }
}

Choice ReadChoice(FieldReader& fields, ReadContext& context, const ToolList& tools) {
  const char* const name = tools.legacy ? "function_call" : "tool_choice";
  const Json* const value = fields.Take(name);
  if (!tools.legacy) fields.Refuse("function_call", "is of functions: send tool_choice");
  if (value == nullptr) return {};
  if (value->is_string()) {
    const auto word = value->get<std::string>();
    if (word == "none" || word == "auto" || word == "required") return {word, {}, false};
    const bool is_tool = std::ranges::any_of(
        tools.tools, [&word](const Json& tool) { return tool["function"]["name"] == word; });
    if (!is_tool) fields.Fail(name, kForms);
    return OnlyThis(word);
  }
  if (value->empty()) fields.Fail(name, kForms);
  Choice choice;
  fields.Nested(*value, name, kForms, context.unknown(), [&](FieldReader& reader) {
    if (value->contains("type") && (*value)["type"] == "allowed_tools") {
      reader.Take("type");
      if (!reader.Object("allowed_tools", "must be an object", context.unknown(),
                         [&](FieldReader& inner) { ReadAllowedTools(inner, context, &choice); })) {
        ReadAllowedTools(reader, context, &choice);  // as /v1/responses has it
      }
      return;
    }
    choice = OnlyThis(ReadName(reader, context));
  });
  return choice;
}

// The rule of a tool's arguments: an object of its schema, or any.
Result<std::string> ArgumentsRule(const Json& function, const std::string& where,
                                  const ReadContext& context, JsonGrammar* json) {
  if (!function.contains("parameters") || function["parameters"].empty()) {
    return std::string(JsonGrammar::Object());
  }
  Json schema = WithoutBigIntegers(function["parameters"]);
  // Calls name their arguments, so that a schema without a type can only mean an object.
  if (!schema.contains("type")) schema["type"] = "object";
  if (schema["type"] != "object") {
    return Fail(ErrorKind::kInvalidArgument,
                where + "/type: must be \"object\": the arguments of a function are named", where);
  }
  auto rule = json->Add(schema, where, {function.value("strict", false), context.gone});
  if (!rule)
    rule.error().message += " (the tool is " + Quoted(function["name"].get<std::string>()) + ")";
  return rule;
}

// The rule of an answer that is no call: what its format says, or empty for any text.
Result<std::string> InsteadRule(const AnswerFormat& format, JsonGrammar* json) {
  switch (format.kind) {
    case AnswerFormat::Kind::kText:
      return std::string();
    case AnswerFormat::Kind::kObject:
      return std::string(JsonGrammar::Object());
    case AnswerFormat::Kind::kSchema:
      return json->Add(format.schema, format.where, format.options);
    case AnswerFormat::Kind::kGbnf:
      break;
  }
  return Fail(ErrorKind::kInvalidArgument, format.field + " and tools: send one of them",
              format.field);
}

// The tools that may be called, each with the rule of its arguments.
Result<std::vector<ToolGrammarParts::Tool>> AllowedTools(const Choice& choice, const ToolList& list,
                                                         const ReadContext& context,
                                                         JsonGrammar* json) {
  std::vector<ToolGrammarParts::Tool> allowed;
  std::vector<std::string> missing = choice.names;
  for (size_t i = 0; i < list.tools.size(); ++i) {
    const Json& function = list.tools[i].at("function");
    const auto name = function.at("name").get<std::string>();
    std::erase(missing, name);
    if (!choice.names.empty() && std::ranges::count(choice.names, name) == 0) continue;
    const std::string where = fmt::format("{}[{}].{}", list.legacy ? "functions" : "tools", i,
                                          list.legacy ? "parameters" : "function.parameters");
    TRY(std::string rule, ArgumentsRule(function, where, context, json));
    allowed.push_back({name, std::move(rule)});
  }
  if (missing.empty()) return allowed;
  return Fail(ErrorKind::kInvalidArgument,
              fmt::format("tool_choice names {}, which is none of the tools", Quoted(missing[0])),
              "tool_choice");
}

Status BindGrammar(ReadContext& context, const Choice& choice, bool parallel,
                   ChatRequest& request) {
  JsonGrammar json;
  ToolGrammarParts parts;
  parts.parallel = parallel && !choice.named && !request.tools->legacy;
  TRY(parts.tools, AllowedTools(choice, request.chat.tools, context, &json));
  // With "required" there is no answer but calls.
  parts.instead = std::nullopt;
  if (choice.word == "auto") {
    TRY(parts.instead, InsteadRule(request.format, &json));
  }
  TRY(request.generate.options.grammar,
      context.service.grammars().ToolCalls(ToolGrammar(request.tools->style, parts) +
                                           json.rules()));
  // A stop string is meant for text, and would cut the arguments of a call off.
  request.generate.options.stop_limit = CallsBegin(request.tools->style);
  context.ignored.insert(context.ignored.end(), json.dropped().begin(), json.dropped().end());
  return {};
}

}  // namespace

void ReadToolChoice(FieldReader& fields, ReadContext& context, ChatRequest& request) {
  const ToolList& list = request.chat.tools;
  const Choice choice = ReadChoice(fields, context, list);
  bool parallel = true;
  fields.Bool("parallel_tool_calls", &parallel);
  if (!fields.ok()) return;
  if (list.tools.is_null()) {
    if (choice.word == "required") fields.Fail("tool_choice", "needs tools");
    return;
  }
  // The tools stay checked, but the prompt does not mention them, so that the model has nothing to
  // call.
  if (choice.word == "none") {
    request.chat.values.erase("tools");
    return;
  }
  if (!request.chat.model->tools) {
    return fields.Fail(
        "tools", fmt::format("cannot be used: the model's chat template does not say how to call "
                             "them in one of the ways that are known here, {}; leave them out, or "
                             "send \"tool_choice\": \"none\"",
                             kToolStyles));
  }
  request.tools = ToolForm{*request.chat.model->tools, list.custom, list.legacy};
  if (Status status = BindGrammar(context, choice, parallel, request); !status) {
    Error error = std::move(status.error());
    if (error.param.empty()) error.param = list.legacy ? "functions" : "tools";
    fields.Fail(std::move(error));
  }
}

}  // namespace lockstep
