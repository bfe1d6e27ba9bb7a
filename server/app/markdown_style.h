// Markdown as a terminal shows it, while it comes: headings and bold in bold, code in colour, lists
// with dots. Nothing is held back but marks whose end is still to come. Belongs to one answer and
// one thread.
#pragma once

#include <string>
#include <string_view>

namespace lockstep {

class MarkdownStyle {
 public:
  // Styled: with the terminal's sequences; else the text as it is.
  explicit MarkdownStyle(bool styled) : styled_(styled) {}

  // What to write for the next part of the text, however it is cut.
  std::string Push(std::string_view text);
  // For its end: what was held back, and the plain style.
  std::string Finish();

 private:
  enum class Line { kBegin, kText, kHeading, kFence, kCode };

  void Take(char c, std::string* out);
  void BeginLine(char next, std::string* out);
  void TakeMark(std::string* out);
  void SetStyle(std::string* out) const;

  const bool styled_;
  std::string held_;  // the beginning of a line, or marks, that may mean something
  Line line_ = Line::kBegin;
  bool fenced_ = false;  // within a block of code
  bool bold_ = false, code_ = false;
};

}  // namespace lockstep
