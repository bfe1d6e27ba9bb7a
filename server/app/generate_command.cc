// The text goes out as it comes, so that the next program of a pipe can begin; all else is said on
// stderr.
#include "server/app/generate_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>

#include "core/base/utf8.h"
#include "server/app/local_client.h"
#include "server/app/logging.h"
#include "server/app/terminal_answer.h"
#include "server/app/terminal_style.h"

namespace lockstep {
namespace {

constexpr int kFailed = 1, kWrong = 2, kInterrupted = 130;
constexpr size_t kMaxText = size_t{16} << 20;  // bytes on stdin; no context takes more

int Fails(int code, const std::string& why) {
  fmt::print(stderr, "lockstep generate: {}\n", why);
  return code;
}

Json Body(const GenerateCommandOptions& options, const std::string& prompt, size_t context) {
  Json body = SamplingJson(options.sampling);
  if (options.chat) {
    Json messages = Json::array();
    if (!options.system.empty()) {
      messages.push_back({{"role", "system"}, {"content", options.system}});
    }
    messages.push_back({{"role", "user"}, {"content", prompt}});
    body["messages"] = std::move(messages);
    body["stream_options"] = {{"include_usage", true}};
  } else {
    body["prompt"] = prompt;
    // The server cuts it down to what the context leaves.
    if (options.sampling.max_tokens == 0) body["max_tokens"] = context;
  }
  return body;
}

}  // namespace

int RunGenerate(const Options& options) {
  const GenerateCommandOptions& wanted = options.generate;
  std::string prompt = wanted.prompt;
  if (!wanted.prompt_given) {
    if (isatty(STDIN_FILENO) == 1) {
      return Fails(kWrong, "there is no prompt: give --prompt TEXT, or a text on stdin");
    }
    prompt.resize(kMaxText + 1);
    std::cin.read(prompt.data(), static_cast<std::streamsize>(prompt.size()));
    prompt.resize(static_cast<size_t>(std::cin.gcount()));
    if (prompt.size() > kMaxText) {
      return Fails(kWrong, fmt::format("the text on stdin has more than {} MiB", kMaxText >> 20));
    }
  }
  if (!IsUtf8(prompt)) return Fails(kWrong, "the text is not in UTF-8");
  SetUpLogging(LogLevel::kWarning, LogFormat::kText);
  auto client = LocalClient::Start(options);
  if (!client) return Fails(kWrong, client.error().message);
  CatchInterrupts();
  const size_t context = (*client)->model().context;
  const WrittenAnswer answer =
      WriteAnswer(**client, wanted.chat ? "/v1/chat/completions" : "/generate",
                  Body(wanted, prompt, context), false);
  if (isatty(STDOUT_FILENO) == 1) std::fputs("\n", stdout);
  if (answer.outcome.error) return Fails(kFailed, *answer.outcome.error);
  if (isatty(STDERR_FILENO) == 1) {
    const bool styled = TakesStyles(STDERR_FILENO);
    fmt::print(stderr, "{}[{}]{}\n", styled ? "\033[2m" : "", Summary(answer.outcome, context),
               styled ? "\033[0m" : "");
  }
  return answer.outcome.stopped ? kInterrupted : 0;
}

}  // namespace lockstep
