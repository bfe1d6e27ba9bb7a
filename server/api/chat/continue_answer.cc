// Templates close every turn that they render, so that a turn which is to go on is rendered whole
// and cut behind its last character: what follows there is the template's own, and trusted. A
// template that refuses the turn, or changes its text, has it put behind the prompt of an answer.
#include "server/api/chat/continue_answer.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace lockstep {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr char kFinalPart[] = "<|channel|>final<|message|>", kNextPart[] = "<|start|>assistant";

std::string_view RightTrimmed(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

std::string TextUnder(const Json& message, const char* name) {
  const auto field = message.find(name);
  return field != message.end() && field->is_string() ? field->get<std::string>() : "";
}

// Clients begin a thought in the text, with its tags.
BegunAnswer WithThoughtApart(BegunAnswer begun, const ThoughtTags& tags) {
  const size_t begin = begun.text.find_first_not_of(kSpace);
  if (!begun.thought.empty() || tags.open.empty() || begin == begun.text.npos ||
      begun.text.compare(begin, tags.open.size(), tags.open) != 0) {
    return begun;
  }
  const std::string behind = begun.text.substr(begin + tags.open.size());
  const size_t end = behind.find(tags.close);
  begun.thought = behind.substr(0, end);
  begun.text = end == behind.npos ? "" : behind.substr(end + tags.close.size());
  begun.text.erase(0, std::min(begun.text.find_first_not_of(kSpace), begun.text.size()));
  return begun;
}

// The prompt up to the text that it ends with, but for what the template has put behind it. Nothing
// where the template has put something else there.
std::optional<TrustedText> CutBehind(const TrustedText& prompt, std::string_view text) {
  const std::string_view shown = RightTrimmed(text);
  const auto& runs = prompt.runs();
  const auto run = std::find_if(runs.rbegin(), runs.rend(),
                                [](const TrustedText::Run& last) { return !last.trusted; });
  if (shown.empty() || run == runs.rend()) return std::nullopt;
  const std::string_view bytes = RightTrimmed(std::string_view(prompt.bytes()).substr(0, run->end));
  if (!bytes.ends_with(shown)) return std::nullopt;
  TrustedText cut = prompt.Slice(0, bytes.size());
  cut.Append(text.substr(shown.size()), /*trusted=*/false);
  return cut;
}

void AppendBegun(const AnswerForms& forms, const BegunAnswer& begun, TrustedText* prompt) {
  const ThoughtTags& tags = forms.thought;
  const bool inside = EndsWithTag(*prompt, tags.open);
  const bool thinks = !begun.thought.empty() || !begun.in_text();
  if (thinks && !inside) {
    const bool spaced = forms.harmony || begun.thought.find_first_of(kSpace) == 0;
    prompt->Append(tags.open + (spaced ? "" : "\n"), true);
  }
  prompt->Append(begun.thought, false);
  if (!begun.in_text()) return;
  if (forms.harmony) {
    prompt->Append((thinks ? tags.close + kNextPart : "") + kFinalPart, true);
  } else if (thinks || inside) {
    prompt->Append(tags.close + "\n\n", true);
  }
  prompt->Append(begun.text, false);
}

}  // namespace

Result<std::optional<BegunAnswer>> TakeBegunAnswer(const ChatModel& model,
                                                   Conversation* conversation) {
  Json& messages = conversation->messages;
  const bool wanted = conversation->continues == true;
  if (wanted && conversation->add_generation_prompt == true) {
    return Fail(ErrorKind::kInvalidArgument,
                "continue_final_message and add_generation_prompt exclude each other: send one of "
                "them",
                "continue_final_message");
  }
  const bool can = !messages.empty() && messages.back()["role"] == "assistant" &&
                   !messages.back().contains("tool_calls");
  if (wanted && !can) {
    return Fail(ErrorKind::kInvalidArgument,
                "continue_final_message needs a last message of the assistant without calls",
                "continue_final_message");
  }
  const bool meant = conversation->continues.value_or(!conversation->add_generation_prompt);
  if (!can || !meant) return std::nullopt;
  const Json last = messages.back();
  BegunAnswer begun{TextUnder(last, "reasoning_content"), TextUnder(last, "content")};
  const ThoughtTags& tags = model.forms.thought;
  begun = WithThoughtApart(std::move(begun), tags);
  if (RightTrimmed(begun.text).empty()) begun.text.clear();
  // A thought that only others' models have is none here.
  if (tags.close.empty()) begun.thought.clear();
  messages.erase(messages.size() - 1);
  if (begun.thought.empty() && begun.text.empty()) return std::nullopt;
  return begun;
}

bool EndsWithTag(const TrustedText& prompt, std::string_view tag) {
  const std::string_view text = RightTrimmed(prompt.bytes());
  return !tag.empty() && text.ends_with(tag) && prompt.TrustedAt(text.size() - 1);
}

Result<TrustedText> RenderBegun(const ChatModel& model, const BegunAnswer& begun, Json values,
                                const RenderValues& render) {
  Json whole = values;
  Json message{{"role", "assistant"}, {"content", begun.text}};
  if (!begun.thought.empty()) message["reasoning_content"] = begun.thought;
  if (!begun.thought.empty()) message["thinking"] = begun.thought;
  whole["messages"].push_back(std::move(message));
  whole["add_generation_prompt"] = false;
  whole["continue_final_message"] = true;  // Mistral's templates ask for it
  if (const auto prompt = render(std::move(whole))) {
    if (auto cut = CutBehind(*prompt, begun.in_text() ? begun.text : begun.thought)) {
      return *std::move(cut);
    }
  }
  values["add_generation_prompt"] = true;
  TRY(TrustedText prompt, render(std::move(values)));
  AppendBegun(model.forms, begun, &prompt);
  return prompt;
}

}  // namespace lockstep
