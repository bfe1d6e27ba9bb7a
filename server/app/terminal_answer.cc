// The signal's handler sets a flag that the router takes for a client that has gone: the scheduler
// ends the answer within a step, as it does for any other.
#include "server/app/terminal_answer.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "server/app/markdown_style.h"
#include "server/app/terminal_style.h"

namespace lockstep {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // or a handler could not set it

void Handle(int) { interrupted = true; }

void Write(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

void CatchInterrupts() {
  struct sigaction action {};
  action.sa_handler = Handle;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
}

WrittenAnswer WriteAnswer(LocalClient& client, std::string_view path, const Json& body,
                          bool for_person) {
  const bool styled = for_person && TakesStyles(STDOUT_FILENO);
  constexpr std::string_view kFaint = "\033[2m", kPlain = "\033[0m";
  WrittenAnswer answer;
  const bool seen = isatty(STDOUT_FILENO) == 1;
  const auto shown = [seen](std::string_view text) {
    return seen ? ForTerminal(text) : std::string(text);
  };
  MarkdownStyle style(styled);
  interrupted = false;
  answer.outcome = client.Ask(path, body, interrupted, [&](std::string_view text, bool thought) {
    if (thought) {
      if (answer.thought.empty() && styled) Write(kFaint);
      answer.thought += text;
      if (for_person) Write(shown(text));  // to others the answer alone is of use
      return;
    }
    if (answer.text.empty() && !answer.thought.empty() && for_person) {
      if (styled) Write(kPlain);
      Write("\n\n");
    }
    answer.text += text;
    Write(style.Push(shown(text)));
  });
  Write(style.Finish());
  return answer;
}

std::string Summary(const AskOutcome& outcome, size_t context) {
  std::string text;
  const size_t tokens = outcome.completion_tokens;
  if (tokens > 0) text = fmt::format("{} token{}, ", tokens, tokens == 1 ? "" : "s");
  if (tokens > 1 && outcome.seconds > 0) {
    text += fmt::format("{:.0f} tokens/s, ", static_cast<double>(tokens - 1) / outcome.seconds);
  }
  const bool full = outcome.prompt_tokens + tokens >= context;
  if (outcome.stopped) {
    text += "stopped";
  } else if (outcome.finish == "length") {
    text += full ? "the context is full" : "cut off at the limit";
  } else {
    text += "ended by itself";
  }
  if (!outcome.stopped) {
    text += fmt::format("; {} of {} tokens of context", outcome.prompt_tokens + tokens, context);
  }
  return text;
}

}  // namespace lockstep
