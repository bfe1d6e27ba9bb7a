// Tools, the format and thoughts are one grammar, so that none of them can be got round: the answer
// is a thought, if there is one, and then calls or what the format says.
#include "server/api/chat/bind_answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/base/quoted.h"
#include "server/api/chat/argument_rules.h"
#include "server/generation/call_grammar.h"
#include "server/generation/grammar_cache.h"

namespace lockstep {
namespace {

constexpr char kRoot[] = "chat-root", kAnswer[] = "chat-answer";

// The name of the rule for what the format says, empty where it says nothing. A grammar of the
// client's is added to the rules.
Result<std::string> FormatRule(const AnswerFormat& format, WorkMeter* meter, JsonGrammar* json,
                               std::string* rules) {
  switch (format.kind) {
    case AnswerFormat::Kind::kText:
      return std::string();
    case AnswerFormat::Kind::kObject:
      return std::string(JsonGrammar::Object());
    case AnswerFormat::Kind::kSchema: {
      auto rule = json->Add(format.schema, format.where, {format.strict, meter});
      if (!rule) rule.error().param = format.where;
      return rule;
    }
    case AnswerFormat::Kind::kGbnf:
      break;
  }
  *rules += format.gbnf + "\n";
  return std::string("root");
}

// The tools that may be called, each with the rule of its arguments.
Result<std::vector<CallGrammarParts::Tool>> AllowedTools(const Conversation& conversation,
                                                         const FieldNames& names,
                                                         ArgumentRules* arguments) {
  const ToolChoice& choice = conversation.choice;
  const ToolList& list = conversation.tools;
  std::vector<CallGrammarParts::Tool> allowed;
  std::vector<std::string> missing = choice.names;
  for (size_t i = 0; i < list.tools.size(); ++i) {
    const Json& function = list.tools[i].at("function");
    const auto name = function.at("name").get<std::string>();
    std::erase(missing, name);
    if (!choice.names.empty() && std::ranges::count(choice.names, name) == 0) continue;
    TRY(std::string rule, arguments->Add(function, list.where[i]));
    allowed.push_back({name, std::move(rule)});
  }
  if (missing.empty()) return allowed;
  return Fail(
      ErrorKind::kInvalidArgument,
      fmt::format("{} names {}, which is none of the tools", names.tool_choice, Quoted(missing[0])),
      names.tool_choice);
}

// The rules of an answer with calls, and the parameters that are strings.
Status AddCalls(const CallForm& form, const Conversation& conversation, const FieldNames& names,
                ReadContext& context, WorkMeter* meter, JsonGrammar* json, std::string* rules,
                ChatForm* chat) {
  const ToolChoice& choice = conversation.choice;
  if (conversation.format.kind == AnswerFormat::Kind::kGbnf && choice.word == "auto") {
    const std::string& field = conversation.format.field;
    return Fail(ErrorKind::kInvalidArgument, field + " and tools: send one of them", field);
  }
  ArgumentRules arguments(form, json, meter);
  CallGrammarParts parts;
  parts.parallel = choice.parallel && !choice.named && !conversation.tools.legacy;
  TRY(parts.tools, AllowedTools(conversation, names, &arguments));
  // With "required" there is no answer but calls.
  parts.instead = std::nullopt;
  if (choice.word == "auto") {
    TRY(parts.instead, FormatRule(conversation.format, meter, json, rules));
  }
  *rules += CallGrammar(form, parts) + arguments.rules();
  chat->strings = std::make_shared<const StringParameters>(arguments.strings());
  context.ignored.insert(context.ignored.end(), arguments.dropped().begin(),
                         arguments.dropped().end());
  return {};
}

// Where stop strings act: they are meant for the text, would cut a call off, and must not end an
// answer in the middle of a thought.
StopLimit Limit(const AnswerPlan& plan, bool formatted) {
  StopLimit limit;
  if (plan.forms.harmony) {
    if (plan.begun.empty()) limit.thought = {{}, "<|channel|>final<|message|>", true};
    return limit;
  }
  limit.thought = plan.thought;
  if (plan.calls != nullptr) {
    limit.marker = Marker(*plan.calls);
    limit.at_start = formatted || IsAtStart(*plan.calls);
  }
  return limit;
}

// What closes a thought. In harmony the next part is begun as well, since the model might choose to
// think on in it.
std::string ClosingText(const AnswerPlan& plan) {
  if (!plan.forms.harmony) return plan.thought.close;
  return plan.thought.close + "<|start|>assistant" +
         (plan.calls == nullptr ? "<|channel|>final<|message|>" : "");
}

// Where the grammar of the answer begins.
std::string StartRule(const AnswerPlan& plan, bool harmony, const ThoughtTags& tags) {
  if (!harmony) return WithThought(tags, kRoot, kAnswer);
  return WithThought({}, kRoot,
                     !plan.begun.empty()   ? kBegunText
                     : plan.thought.inside ? kBegunThought
                                           : kAnswer);
}

// The control tokens in the thoughts' tags; those in calls are the grammar's.
std::shared_ptr<const SpokenTokens> SpokenInThoughts(const AnswerForms& forms) {
  if (forms.spoken == nullptr || forms.harmony) return forms.spoken;
  auto spoken = std::make_shared<SpokenTokens>();
  for (const auto& [token, text] : *forms.spoken) {
    const std::string tags = forms.thought.open + "\n" + forms.thought.close;
    if (tags.find(text) != std::string::npos) spoken->emplace(token, text);
  }
  return spoken;
}

}  // namespace

Result<ChatForm> BindAnswer(const AnswerPlan& plan, const Conversation& conversation,
                            const FieldNames& names, ReadContext& context,
                            GenerationOptions* options) {
  const bool formatted = conversation.format.kind != AnswerFormat::Kind::kText;
  ChatForm chat{plan.calls, nullptr, plan.thought, plan.forms.harmony, plan.begun, formatted};
  options->stop_limit = Limit(plan, formatted);
  options->spoken = SpokenInThoughts(plan.forms);
  if (plan.budget && plan.begun.empty()) {
    options->thought = {
        plan.thought, *plan.budget,
        context.service.Encode(ClosingText(plan), /*add_special=*/false, SpecialTokens::kParse)};
  }
  ThoughtTags tags = plan.thought;
  if (!plan.may_think) tags.open.clear();
  // An answer in the middle of its text, and without calls, has no parts with headers.
  const bool harmony = plan.forms.harmony && (plan.begun.empty() || plan.calls != nullptr);
  const bool thinks = tags.inside || !tags.open.empty();
  if (plan.calls == nullptr &&
      (conversation.format.kind == AnswerFormat::Kind::kText || (!harmony && !thinks))) {
    TRY_OK(BindAnswerFormat(conversation.format, context, options));
    return chat;
  }
  JsonGrammar json;
  const auto write = [&](WorkMeter* meter) -> Result<std::string> {
    std::string rules;
    if (plan.calls != nullptr) {
      TRY_OK(AddCalls(*plan.calls, conversation, names, context, meter, &json, &rules, &chat));
    } else {
      TRY(const std::string rule, FormatRule(conversation.format, meter, &json, &rules));
      rules += harmony ? HarmonyAnswer(rule) : fmt::format("{} ::= {}\n", kAnswer, rule);
    }
    return rules + StartRule(plan, harmony, tags) + json.rules();
  };
  TRY(options->grammar, context.service.grammars().Chat(write, kRoot, context.compile_for));
  context.ignored.insert(context.ignored.end(), json.dropped().begin(), json.dropped().end());
  return chat;
}

}  // namespace lockstep
