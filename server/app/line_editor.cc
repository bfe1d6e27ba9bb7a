// libedit does the editing. What it lacks is bound to functions here: a line break within a text,
// the terminal's marks around what is pasted, and Ctrl-C as a key, since a signal would end no
// read.
#include "server/app/line_editor.h"

#include <histedit.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "server/app/terminal_style.h"

namespace lockstep {
namespace {

constexpr int kHistory = 1000;
constexpr char kPasteBegins[] = "\033[?2004h", kPasteEnds[] = "\033[?2004l";
constexpr std::wstring_view kPasteEnd = L"\033[201~";

}  // namespace

// libedit's functions take what follows as the operation says, by C's variable arguments.
// NOLINTBEGIN(cppcoreguidelines-pro-type-vararg)
struct LineEditor::Terminal {
  EditLine* edit = nullptr;
  History* history = nullptr;
  std::string history_file;
  std::string prompt;
  bool interrupted = false;

  static Terminal& Of(EditLine* edit) {
    void* data = nullptr;
    el_get(edit, EL_CLIENTDATA, &data);
    return *static_cast<Terminal*>(data);
  }
  static char* Prompt(EditLine* edit) { return Of(edit).prompt.data(); }
  static unsigned char Interrupt(EditLine* edit, int) {
    Of(edit).interrupted = true;
    return CC_NEWLINE;
  }
  static unsigned char BreakLine(EditLine* edit, int) {
    return el_insertstr(edit, "\n") == 0 ? CC_REFRESH : CC_ERROR;
  }
  static unsigned char Paste(EditLine* edit, int) {
    // By its functions of wide characters: el_getc fails at a character of more than one byte.
    std::wstring text;
    for (wchar_t c = 0; !text.ends_with(kPasteEnd) && el_wgetc(edit, &c) == 1;) {
      text += c == L'\r' ? L'\n' : c;
    }
    if (text.ends_with(kPasteEnd)) text.resize(text.size() - kPasteEnd.size());
    return el_winsertstr(edit, text.c_str()) == 0 ? CC_REFRESH : CC_ERROR;
  }

  explicit Terminal(const std::string& file) : history_file(file) {
    // Characters of more than one byte are one place on the screen.
    // NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread asks for a locale
    if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) {
      std::setlocale(LC_CTYPE, "C.UTF-8");  // NOLINT(concurrency-mt-unsafe)
    }
    edit = el_init("lockstep", stdin, stdout, stderr);
    history = history_init();
    HistEvent event;
    ::history(history, &event, H_SETSIZE, kHistory);
    ::history(history, &event, H_SETUNIQUE, 1);
    if (!file.empty()) ::history(history, &event, H_LOAD, file.c_str());
    el_set(edit, EL_CLIENTDATA, this);
    el_set(edit, EL_PROMPT_ESC, Prompt, '\1');
    el_set(edit, EL_SIGNAL, 1);  // draws the line anew for a terminal of another size
    el_set(edit, EL_EDITOR, "emacs");
    el_set(edit, EL_HIST, ::history, history);
    el_set(edit, EL_ADDFN, "interrupt", "Drop the text", Interrupt);
    el_set(edit, EL_ADDFN, "break-line", "Begin a new line", BreakLine);
    el_set(edit, EL_ADDFN, "paste", "Take what is pasted", Paste);
    el_set(edit, EL_SETTY, "-d", "-isig", nullptr);
    el_set(edit, EL_BIND, "^C", "interrupt", nullptr);
    el_set(edit, EL_BIND, "\\e^J", "break-line", nullptr);
    el_set(edit, EL_BIND, "\\e^M", "break-line", nullptr);
    el_set(edit, EL_BIND, "\\e[200~", "paste", nullptr);
    el_set(edit, EL_BIND, "^R", "em-inc-search-prev", nullptr);
  }
  ~Terminal() {
    history_end(history);
    el_end(edit);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
};

LineEditor::LineEditor(const std::string& history_file)
    : interactive_(isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1) {
  if (interactive_ && TakesSequences(STDOUT_FILENO)) {
    terminal_ = std::make_unique<Terminal>(history_file);
  }
}
LineEditor::~LineEditor() = default;

bool LineEditor::styled() const { return terminal_ != nullptr && TakesStyles(STDOUT_FILENO); }

// By characters, since std::getline reads a line that never ends until there is no memory.
LineEditor::Line LineEditor::ReadLine() {
  std::string text;
  int c = 0;
  while ((c = std::cin.get()) != EOF && c != '\n') {
    if (text.size() == kMaxLine) return {End::kTooLong, {}};
    text += static_cast<char>(c);
  }
  if (c == EOF && text.empty()) return {End::kEndOfInput, {}};
  return {End::kText, std::move(text)};
}

LineEditor::Line LineEditor::Read(const std::string& prompt) {
  if (!terminal_) {
    std::fputs(prompt.c_str(), stdout);
    std::fflush(stdout);
    return ReadLine();
  }
  terminal_->prompt = prompt;
  terminal_->interrupted = false;
  std::fputs(kPasteBegins, stdout);
  std::fflush(stdout);
  int size = 0;
  const char* const line = el_gets(terminal_->edit, &size);
  std::fputs(kPasteEnds, stdout);
  std::fflush(stdout);
  std::string text(line == nullptr ? "" : line, line == nullptr ? 0 : static_cast<size_t>(size));
  if (terminal_->interrupted) {
    std::fputs("\n", stdout);
    return {End::kInterrupt, std::move(text)};
  }
  if (line == nullptr || size <= 0) return {End::kEndOfInput, {}};
  if (text.ends_with('\n')) text.pop_back();
  return {End::kText, std::move(text)};
}

void LineEditor::Remember(const std::string& text) {
  if (!terminal_ || text.empty()) return;
  HistEvent event;
  ::history(terminal_->history, &event, H_ENTER, text.c_str());
  const std::string& file = terminal_->history_file;
  if (file.empty()) return;
  const mode_t mask = umask(S_IRWXG | S_IRWXO);  // what one asks a model is one's own
  ::history(terminal_->history, &event, H_SAVE, file.c_str());
  umask(mask);
}
// NOLINTEND(cppcoreguidelines-pro-type-vararg)

}  // namespace lockstep
