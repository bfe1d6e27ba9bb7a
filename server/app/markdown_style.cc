// A machine over characters and no parser: an answer is read while it is written, so that nothing
// of it may wait for the end of its block, and what is drawn stays.
#include "server/app/markdown_style.h"

#include <algorithm>

namespace lockstep {
namespace {

constexpr std::string_view kPlain = "\033[0m", kBold = "\033[1m", kCode = "\033[36m",
                           kFaint = "\033[2m";

bool IsSpace(char c) { return c == ' ' || c == '\t'; }

// What a line may begin with that is not just shown.
bool MayMean(std::string_view begin) {
  const size_t at = std::min(begin.find_first_not_of(" \t"), begin.size());
  const std::string_view mark = begin.substr(at);
  if (mark.empty()) return at < 16;
  if (mark.find_first_not_of('#') == mark.npos) return mark.size() <= 6;
  if (mark.find_first_not_of('`') == mark.npos) return mark.size() <= 3;
  return mark == "-" || mark == "*" || mark == "+" || mark == ">";
}

}  // namespace

std::string MarkdownStyle::Push(std::string_view text) {
  if (!styled_) return std::string(text);
  std::string out;
  for (const char c : text) Take(c, &out);
  return out;
}

std::string MarkdownStyle::Finish() {
  if (!styled_) return {};
  std::string out;
  if (line_ == Line::kBegin) {
    BeginLine('\n', &out);
  } else {
    TakeMark(&out);
  }
  bold_ = code_ = fenced_ = false;
  line_ = Line::kBegin;
  out += kPlain;
  return out;
}

void MarkdownStyle::Take(char c, std::string* out) {
  if (line_ == Line::kBegin) {
    held_ += c;
    if (c != '\n' && MayMean(held_)) return;
    held_.pop_back();
    BeginLine(c, out);
  }
  if (c == '\n') {
    TakeMark(out);
    const bool styled = bold_ || code_ || line_ == Line::kHeading || line_ == Line::kFence;
    bold_ = code_ = false;  // a mark that was left open ends with its line
    line_ = Line::kBegin;
    if (styled) SetStyle(out);
    *out += c;
    return;
  }
  const bool marks = line_ == Line::kText || line_ == Line::kHeading;
  if (marks && (c == '*' || c == '`') && (held_.empty() || held_[0] == c) && held_.size() < 2) {
    held_ += c;
    return;
  }
  // A star before a space, or within code, is a star.
  if (held_ == "**" && !bold_ && IsSpace(c)) {
    *out += held_;
    held_.clear();
  }
  TakeMark(out);
  *out += c;
}

// Decides what the line is, by what is held of it and what follows.
void MarkdownStyle::BeginLine(char next, std::string* out) {
  const size_t at = std::min(held_.find_first_not_of(" \t"), held_.size());
  const std::string indent = held_.substr(0, at), mark = held_.substr(at);
  held_.clear();
  line_ = fenced_ ? Line::kCode : Line::kText;
  if (mark == "```") {
    fenced_ = !fenced_;
    line_ = Line::kFence;
    *out += indent;
    *out += kFaint;
    *out += mark;
  } else if (fenced_) {
    *out += indent + mark;
  } else if (!mark.empty() && mark[0] == '#' && IsSpace(next)) {
    line_ = Line::kHeading;
    SetStyle(out);
    *out += mark;
  } else if ((mark == "-" || mark == "+" || mark == "*") && IsSpace(next)) {
    *out += indent + "\xE2\x80\xA2";  // a bullet
  } else if (mark == ">") {
    *out += indent + "\xE2\x94\x82";  // a bar
  } else {
    *out += indent;
    held_ = mark;  // of a line that begins in bold, or in code
  }
}

// What is held turns a style on or off, or is shown.
void MarkdownStyle::TakeMark(std::string* out) {
  if (held_.empty()) return;
  if (held_ == "`") {
    code_ = !code_;
    SetStyle(out);
  } else if (held_ == "**" && !code_) {
    bold_ = !bold_;
    SetStyle(out);
  } else {
    *out += held_;
  }
  held_.clear();
}

void MarkdownStyle::SetStyle(std::string* out) const {
  *out += kPlain;
  if (bold_ || line_ == Line::kHeading) *out += kBold;
  if (code_ || fenced_) *out += kCode;
}

}  // namespace lockstep
