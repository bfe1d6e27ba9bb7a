// A choice of tools is a choice of grammar: the calls that are allowed, and whether there may be
// text instead of them.
#include "server/api/chat/bind_tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/quoted.h"
#include "server/generation/grammar_cache.h"
#include "server/schema/json_schema.h"

namespace lockstep {
namespace {

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
Result<std::vector<ToolGrammarParts::Tool>> AllowedTools(const Conversation& conversation,
                                                         const FieldNames& names,
                                                         const ReadContext& context,
                                                         JsonGrammar* json) {
  const ToolChoice& choice = conversation.choice;
  const ToolList& list = conversation.tools;
  std::vector<ToolGrammarParts::Tool> allowed;
  std::vector<std::string> missing = choice.names;
  for (size_t i = 0; i < list.tools.size(); ++i) {
    const Json& function = list.tools[i].at("function");
    const auto name = function.at("name").get<std::string>();
    std::erase(missing, name);
    if (!choice.names.empty() && std::ranges::count(choice.names, name) == 0) continue;
    TRY(std::string rule, ArgumentsRule(function, list.where[i], context, json));
    allowed.push_back({name, std::move(rule)});
  }
  if (missing.empty()) return allowed;
  return Fail(
      ErrorKind::kInvalidArgument,
      fmt::format("{} names {}, which is none of the tools", names.tool_choice, Quoted(missing[0])),
      names.tool_choice);
}

}  // namespace

Status BindTools(ToolStyle style, const Conversation& conversation, const FieldNames& names,
                 ReadContext& context, GenerationOptions* options) {
  const ToolChoice& choice = conversation.choice;
  JsonGrammar json;
  ToolGrammarParts parts;
  parts.parallel = choice.parallel && !choice.named && !conversation.tools.legacy;
  TRY(parts.tools, AllowedTools(conversation, names, context, &json));
  // With "required" there is no answer but calls.
  parts.instead = std::nullopt;
  if (choice.word == "auto") {
    TRY(parts.instead, InsteadRule(conversation.format, &json));
  }
  TRY(options->grammar,
      context.service.grammars().ToolCalls(ToolGrammar(style, parts) + json.rules()));
  // A stop string is meant for text, and would cut the arguments of a call off.
  options->stop_limit = CallsBegin(style);
  context.ignored.insert(context.ignored.end(), json.dropped().begin(), json.dropped().end());
  return {};
}

}  // namespace lockstep
