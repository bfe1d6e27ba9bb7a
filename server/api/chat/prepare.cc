// Dialects differ in how they say things, and not in what a template is to be told or an answer to
// be bound by, so that both are decided here, once.
#include "server/api/chat/prepare.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "server/api/chat/adapt_messages.h"
#include "server/api/chat/bind_answer.h"
#include "server/api/chat/continue_answer.h"
#include "server/api/chat/plan_thought.h"
#include "server/generation/chat_prompt.h"

namespace lockstep {
namespace {

// The template that the conversation names, else the model's template for tools where there are
// some and it has one, else its template.
Result<const ChatModel*> ChooseTemplate(const Conversation& conversation, const ChatModel& chat) {
  const std::string& wanted = conversation.template_name;
  if (wanted == kDefaultTemplate) return &chat;
  const bool tools = !conversation.tools.tools.is_null();
  for (const ChatModel& other : chat.named) {
    if (other.name == (!wanted.empty() ? wanted : tools ? kToolTemplate : "")) return &other;
  }
  if (wanted.empty()) return &chat;
  std::string names(kDefaultTemplate);
  for (const ChatModel& other : chat.named) names += ", " + other.name;
  return Fail(
      ErrorKind::kInvalidArgument,
      "chat_template is not taken from requests, but may name one of the model's own: " + names,
      "chat_template");
}

Error CannotCall(const FieldNames& names) {
  return {ErrorKind::kInvalidArgument,
          fmt::format("{} cannot be used: the model's chat template does not say how to call them "
                      "in a way that is known here, {}; leave them out, send \"tool_choice\": "
                      "\"none\", or start the server without --no-generic-tools",
                      names.tools, kCallForms),
          names.tools};
}

struct Prepared {
  const ChatModel* model;
  std::shared_ptr<const CallForm> calls;  // null: none are allowed
  ThoughtPlan thought;
  std::optional<BegunAnswer> begun;  // the prompt ends with
  TrustedText prompt;
};

// Renders the messages in the first form that the template takes. The error is that of the form in
// which they came.
Result<TrustedText> RenderAdapted(const ChatModel& model, Json values,
                                  const TemplateLimits& limits) {
  auto prompt = RenderChat(model, values, limits);
  for (bool (*const adapt)(Json*) : {CompleteFunctions, SimplifyTypes}) {
    if (prompt || !values.contains("tools") || !adapt(&values["tools"])) continue;
    if (auto adapted = RenderChat(model, values, limits)) return adapted;
  }
  for (bool (*const adapt)(Json*) :
       {ShortenIds, MergeSystem, MergeTurns, ToolsAsText, MergeTurns}) {
    if (prompt) break;
    if (!adapt(&values["messages"])) continue;
    if (auto adapted = RenderChat(model, values, limits)) return adapted;
  }
  return prompt;
}

// The tools become variables of the template, or, where it knows none, a text of the server's own.
// Returns how they may be called: null where none is.
Result<std::shared_ptr<const CallForm>> OfferTools(const ChatModel& model,
                                                   const Conversation& conversation,
                                                   const FieldNames& names, ReadContext& context,
                                                   Json* values) {
  const Json& tools = conversation.tools.tools;
  const bool none = conversation.choice.word == "none";
  // With the choice "none" the prompt does not mention the tools, so that the model has nothing to
  // call.
  if (tools.is_null() || (none && !conversation.choice.shown)) return nullptr;
  if (model.forms.calls != nullptr) {
    (*values)["tools"] = tools;
    return none ? nullptr : model.forms.calls;
  }
  if (!context.generic_tools) return tl::unexpected(CannotCall(names));
  ToolsAsText(&(*values)["messages"]);
  DescribeTools(tools, &(*values)["messages"]);
  context.headers.emplace_back("x-tool-format", "generic");
  if (none) return nullptr;
  CallForm form = HermesForm();
  form.generic = true;
  return std::make_shared<const CallForm>(std::move(form));
}

Result<Prepared> Prepare(Conversation& conversation, const FieldNames& names,
                         ReadContext& context) {
  const Result<ChatModel>& chat = context.service.chat();
  if (!chat) return tl::unexpected(chat.error());
  Prepared prepared;
  TRY(prepared.model, ChooseTemplate(conversation, *chat));
  const ChatModel& model = *prepared.model;
  Json values = std::move(conversation.kwargs);
  values["add_generation_prompt"] = conversation.add_generation_prompt.value_or(true);
  TRY(prepared.begun, TakeBegunAnswer(model, &conversation));
  const CallForm form = model.forms.calls != nullptr ? *model.forms.calls : CallForm();
  AdaptFields({Knows(model, "developer"), Knows(model, "thinking"), form.arguments_as_text,
               form.null_content, form.ids_of_names},
              &conversation.messages);
  if (form.unshown) {
    CallsAsText(form, &conversation.messages);
  } else if (!model.forms.shows_calls) {
    ToolsAsText(&conversation.messages);
  }
  values["messages"] = std::move(conversation.messages);
  TRY(prepared.calls, OfferTools(model, conversation, names, context, &values));
  prepared.thought = PlanThought(model, conversation.thinking, names, context, &values);
  TemplateLimits limits;
  limits.memory = &context.memory;
  const auto render = [&](Json variables) {
    return RenderAdapted(model, std::move(variables), limits);
  };
  auto prompt = prepared.begun ? RenderBegun(model, *prepared.begun, std::move(values), render)
                               : render(std::move(values));
  if (!prompt) {
    prompt.error().param = names.messages;
    return tl::unexpected(std::move(prompt.error()));
  }
  prepared.prompt = *std::move(prompt);
  return prepared;
}

AnswerPlan PlanOf(const Prepared& prepared) {
  const AnswerForms& forms = prepared.model->forms;
  AnswerPlan plan{forms, prepared.calls, forms.thought, false, prepared.thought.budget};
  if (prepared.begun) {
    plan.begun = prepared.begun->text;
    plan.thought.inside = plan.begun.empty();
    if (!plan.begun.empty()) plan.thought = {};
    return plan;
  }
  plan.thought.inside = EndsWithTag(prepared.prompt, forms.thought.open);
  plan.may_think = forms.thought_shown && !prepared.thought.off && !plan.thought.inside &&
                   !EndsWithTag(prepared.prompt, forms.thought.close);
  return plan;
}

}  // namespace

Result<ChatForm> PrepareChat(Conversation conversation, const FieldNames& names,
                             ReadContext& context, GenerateRequest* generate) {
  if (conversation.tools.tools.is_null() && conversation.choice.word == "required") {
    return Fail(ErrorKind::kInvalidArgument,
                fmt::format("{} needs a tool that the client runs, and {} has none",
                            names.tool_choice, names.tools),
                names.tool_choice);
  }
  TRY(const Prepared prepared, Prepare(conversation, names, context));
  TRY_OK(context.memory.Grow(prepared.prompt.size() * Tokenizer::kEncodeBytes));
  generate->prompts = {context.service.Encode(prepared.prompt)};
  auto form = BindAnswer(PlanOf(prepared), conversation, names, context, &generate->options);
  if (!form && form.error().param.empty()) form.error().param = names.tools;
  return form;
}

Result<TrustedText> RenderConversation(Conversation conversation, const FieldNames& names,
                                       ReadContext& context) {
  TRY(Prepared prepared, Prepare(conversation, names, context));
  return std::move(prepared.prompt);
}

}  // namespace lockstep
