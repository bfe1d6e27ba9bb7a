// Lines from a person: with editing, history and pasting of many lines where stdin and stdout are a
// terminal that takes sequences, and as they come elsewhere. One at a time, for one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace lockstep {

class LineEditor {
 public:
  enum class End { kText, kInterrupt, kEndOfInput, kTooLong };
  static constexpr size_t kMaxLine = size_t{16} << 20;  // bytes, where lines come from no terminal
  struct Line {
    End end;
    std::string text;  // without the line break at its end
  };

  // The history is kept in the file, if it can be; empty: it is not.
  explicit LineEditor(const std::string& history_file);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  // Whether there is a person who sees what is written.
  bool interactive() const { return interactive_; }
  // Whether the prompt may have sequences, between \1 and \1.
  bool styled() const;
  // A text may be of many lines, by Alt-Enter or pasted. Ctrl-C gives kInterrupt with what was
  // written by then, and a line beyond kMaxLine kTooLong, of which nothing is kept.
  Line Read(const std::string& prompt);
  // So that the up arrow brings it back.
  void Remember(const std::string& text);

 private:
  struct Terminal;
  static Line ReadLine();

  const bool interactive_;
  std::unique_ptr<Terminal> terminal_;  // null: lines are read as they come
};

}  // namespace lockstep
