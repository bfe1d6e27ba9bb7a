// The conversation is held here and told anew with each request, as any client of the API does; the
// prefix store makes the beginning free.
#include "server/app/chat_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include "core/base/nearest.h"
#include "core/base/quoted.h"
#include "core/base/utf8.h"
#include "server/app/conversation_log.h"
#include "server/app/line_editor.h"
#include "server/app/local_client.h"
#include "server/app/logging.h"
#include "server/app/terminal_answer.h"
#include "server/app/terminal_style.h"
#include "server/host/read_file.h"

namespace lockstep {
namespace {

constexpr int kFailed = 1, kWrong = 2;
constexpr char kHelp[] =
    "  Enter sends. Alt-Enter begins a new line, as does a backslash at the end of one; what is\n"
    "  pasted may have many. Ctrl-C stops an answer and keeps what came; Ctrl-D ends the chat.\n\n"
    "  /new              begin anew\n"
    "  /retry            have the last message answered again\n"
    "  /undo             take the last message and its answer back\n"
    "  /drop             leave out the oldest half, when the context is full\n"
    "  /file PATH        send a file of text with the next message\n"
    "  /system [TEXT]    what the model is told before all; without a text it is shown\n"
    "  /set [NAME VALUE] temperature, top_p, min_p, top_k, max_tokens or seed\n"
    "  /think [on|off]   whether the model thinks before it answers\n"
    "  /save PATH        write the conversation to a file\n"
    "  /quit             end the chat\n";
constexpr std::array<std::string_view, 12> kCommands{"/new",  "/retry",  "/undo", "/drop",
                                                     "/file", "/system", "/set",  "/think",
                                                     "/save", "/quit",   "/help", "/exit"};

// ~/.local/state/lockstep/history, or where XDG says; empty if there is no home.
std::string HistoryFile() {
  // NOLINTBEGIN(concurrency-mt-unsafe): nothing sets the environment
  const char* const state = std::getenv("XDG_STATE_HOME");
  const char* const home = std::getenv("HOME");
  // NOLINTEND(concurrency-mt-unsafe)
  std::filesystem::path folder;
  if (state != nullptr && *state == '/') {
    folder = state;
  } else if (home != nullptr && *home == '/') {
    folder = std::filesystem::path(home) / ".local/state";
  } else {
    return {};
  }
  folder /= "lockstep";
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  return failed ? std::string() : (folder / "chat_history").string();
}

// A path as a shell reads it.
std::string FromHome(const std::string& path) {
  const char* const home = std::getenv("HOME");  // NOLINT(concurrency-mt-unsafe): as above
  return path.starts_with("~/") && home != nullptr ? home + path.substr(1) : path;
}

std::string Trimmed(std::string_view text) { return std::string(TrimSpaces(text, " \t\n\r")); }

template <class T>
bool ReadNumber(const std::string& text, T* value) {
  const char* const end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, *value);
  return error == std::errc() && read == end && std::isfinite(static_cast<double>(*value));
}

class Chat {
 public:
  Chat(LocalClient& client, const ChatOptions& options, LineEditor& editor)
      : client_(client),
        editor_(editor),
        interactive_(editor.interactive()),
        styled_(editor.styled()),
        sampling_(SamplingJson(options.sampling)) {
    log_.system = options.system;
  }

  // The exit code: where nobody sees what went wrong, a message without an answer is a failure.
  int Run() {
    if (interactive_) {
      fmt::print("{}, {} tokens of context. /help tells what there is.\n\n",
                 Styled("\033[1m", ForTerminal(client_.model().name)), client_.model().context);
    }
    while (!ended_) {
      const LineEditor::Line line = ReadMessage();
      if (line.end == LineEditor::End::kEndOfInput) break;
      if (line.end == LineEditor::End::kTooLong) {
        Note(fmt::format("A line has more than {} MiB.", LineEditor::kMaxLine >> 20));
        failed_ = true;
        break;
      }
      if (line.end == LineEditor::End::kInterrupt) {
        if (line.text.empty() || line.text == "\n") Note("Ctrl-D or /quit ends the chat.");
        continue;
      }
      const std::string text = Trimmed(line.text);
      if (text.empty()) continue;
      editor_.Remember(text);
      if (text[0] == '/' && IsCommand(text)) {
        Obey(text);
      } else {
        if (Send(files_ + text)) files_.clear();
      }
    }
    if (interactive_) std::fputs("\n", stdout);
    return failed_ && !interactive_ ? kFailed : 0;
  }

 private:
  // One message, over lines that end with a backslash.
  LineEditor::Line ReadMessage() {
    LineEditor::Line line = editor_.Read(Prompt("> ", "\1\033[1;36m\1> \1\033[0m\1"));
    while (line.end == LineEditor::End::kText && line.text.ends_with('\\')) {
      LineEditor::Line more = editor_.Read(Prompt(". ", "\1\033[36m\1. \1\033[0m\1"));
      if (more.end == LineEditor::End::kInterrupt || more.end == LineEditor::End::kTooLong) {
        return more;
      }
      line.text.back() = '\n';
      line.text += more.text;
      if (more.end == LineEditor::End::kEndOfInput) break;
    }
    return line;
  }

  const char* Prompt(const char* plain, const char* styled) const {
    return !interactive_ ? "" : styled_ ? styled : plain;
  }

  std::string Styled(const char* style, const std::string& text) const {
    return styled_ ? style + text + "\033[0m" : text;
  }

  // A path at the front of a message is none.
  static bool IsCommand(const std::string& text) {
    const std::string word = text.substr(0, text.find_first_of(" \n"));
    return word.find('/', 1) == word.npos;
  }

  void Note(const std::string& text) const {
    if (interactive_) {
      fmt::print("{}\n", Styled("\033[2m", ForTerminal(text)));
    } else {
      fmt::print(stderr, "{}\n", text);
    }
  }

  // Whether it was answered.
  bool Send(const std::string& message) {
    if (!IsUtf8(message)) {
      failed_ = true;
      Note("It was not answered: it is no text in UTF-8.");
      return false;
    }
    Json body = sampling_;
    body["messages"] = log_.Messages(message);
    body["stream_options"] = {{"include_usage", true}};
    if (!think_.empty()) {
      body["chat_template_kwargs"] = {{"enable_thinking", think_ == "on"}};
    }
    WrittenAnswer answer = WriteAnswer(client_, "/v1/chat/completions", body, interactive_);
    if (interactive_ || !answer.text.empty()) std::fputs("\n", stdout);
    std::fflush(stdout);
    if (answer.outcome.error) {
      failed_ = true;
      Explain(answer.outcome);
      return false;
    }
    if (interactive_) Note("[" + Summary(answer.outcome, client_.model().context) + "]\n");
    log_.Add({message, std::move(answer.text), std::move(answer.thought)});
    return true;
  }

  void Explain(const AskOutcome& outcome) const {
    Note("It was not answered: " + *outcome.error);
    if (outcome.code != "context_length_exceeded") return;
    Note(log_.empty() ? "Shorten it, or start with a larger --context."
                      : "The context is full: /drop leaves out the oldest half, /new begins anew. "
                        "Then send it again; the up arrow brings it back.");
  }

  void Obey(const std::string& text) {
    const size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string word = text.substr(0, end), rest = Trimmed(text.substr(end));
    if (word == "/quit" || word == "/exit") {
      ended_ = true;
    } else if (word == "/help") {
      Note(kHelp);
    } else if (word == "/new") {
      log_.Clear();
      files_.clear();
      Note("A new conversation.");
    } else if (word == "/retry" || word == "/undo") {
      TakeBack(word == "/retry");
    } else if (word == "/drop") {
      Note(fmt::format("{} of the oldest turns are left out.", log_.LeaveOutOldest()));
    } else if (word == "/file") {
      Attach(rest);
    } else if (word == "/system") {
      if (!rest.empty()) log_.system = rest;
      Note("System: " + (log_.system.empty() ? std::string("nothing") : log_.system));
    } else if (word == "/set") {
      Set(rest);
    } else if (word == "/think") {
      if (rest != "on" && rest != "off" && !rest.empty()) return Note("/think takes on or off.");
      think_ = rest;
      Note("Thinking: " + (think_.empty() ? std::string("as the model does") : think_));
    } else if (word == "/save") {
      Save(rest);
    } else {
      const std::string meant = Nearest(word, {kCommands.begin(), kCommands.end()});
      Note(Quoted(word) + " is no command" +
           (meant.empty() ? "; /help lists them." : "; did you mean " + meant + "?"));
    }
  }

  void TakeBack(bool again) {
    if (log_.empty()) return Note("Nothing was said yet.");
    Turn last = log_.TakeLast();
    if (!again) return Note("Taken back: " + last.said);
    if (!Send(last.said)) log_.Add(std::move(last));  // the old answer is better than none
  }

  void Set(const std::string& setting) {
    const size_t space = std::min(setting.find(' '), setting.size());
    const std::string name = setting.substr(0, space), value = Trimmed(setting.substr(space));
    double number = 0;
    uint64_t whole = 0;
    const bool real = name == "temperature" || name == "top_p" || name == "min_p";
    const bool count = name == "top_k" || name == "max_tokens" || name == "seed";
    if (count && value == "none") {
      sampling_.erase(name);
    } else if (real && ReadNumber(value, &number)) {
      sampling_[name] = number;
    } else if (count && ReadNumber(value, &whole)) {
      sampling_[name] = whole;
    } else if (!setting.empty()) {
      return Note("/set takes temperature, top_p, min_p, top_k, max_tokens or seed, and a number.");
    }
    std::string all;
    for (const auto& [key, of] : sampling_.items()) all += key + " " + of.dump() + "  ";
    Note(all);
  }

  // Goes before the next message, between fences that it does not have itself.
  void Attach(const std::string& given) {
    if (given.empty()) return Note("/file PATH says which.");
    const std::string path = FromHome(given);
    const auto read = ReadSmallFile(path);
    if (!read) return Note(read.error().message + ".");
    const std::string& text = *read;
    if (!IsUtf8(text) || text.find('\0') != text.npos) {
      return Note(Quoted(path) + " is no file of text in UTF-8.");
    }
    std::string fence = "```";
    while (text.find(fence) != text.npos) fence += '`';
    const std::string name = std::filesystem::path(path).filename().string();
    files_ +=
        name + ":\n" + fence + "\n" + text + (text.ends_with('\n') ? "" : "\n") + fence + "\n\n";
    Note(fmt::format("{} goes with the next message: {} characters.", name, CountCharacters(text)));
  }

  void Save(const std::string& given) const {
    if (given.empty()) return Note("/save PATH says where.");
    const std::string path = FromHome(given);
    if (std::filesystem::exists(path)) return Note(Quoted(path) + " is there already.");
    std::ofstream file(path, std::ios::binary);
    file << log_.Text();
    file.close();
    Note(file ? "Saved." : Quoted(path) + " cannot be written.");
  }

  LocalClient& client_;
  LineEditor& editor_;
  const bool interactive_, styled_;
  Json sampling_;
  ConversationLog log_;
  std::string files_;  // that go before the next message
  std::string think_;  // "on", "off", or as the model does
  bool ended_ = false;
  bool failed_ = false;  // a message was not answered
};

}  // namespace

int RunChat(const Options& options) {
  SetUpLogging(LogLevel::kWarning, LogFormat::kText);
  auto client = LocalClient::Start(options);
  if (!client) {
    fmt::print(stderr, "lockstep chat: {}\n", client.error().message);
    return kWrong;
  }
  if (!(*client)->model().chat) {
    fmt::print(stderr,
               "lockstep chat: the model has no chat template; `lockstep generate` has it go on "
               "with a text\n");
    return kWrong;
  }
  CatchInterrupts();
  LineEditor editor(HistoryFile());
  return Chat(**client, options.chat, editor).Run();
}

}  // namespace lockstep
