// Three ask where a thought ends: stop strings, which do not act in it, the budget that closes it,
// and whoever shows it apart from the answer. All of them ask this class, so that they agree.
#include "core/engine/thought.h"

#include <algorithm>
#include <utility>

namespace lockstep {

size_t PartAtEnd(std::string_view text, std::string_view word) {
  if (word.empty()) return 0;
  for (size_t n = std::min(text.size(), word.size() - 1); n > 0; --n) {
    if (text.ends_with(word.substr(0, n))) return n;
  }
  return 0;
}

ThoughtSplitter::ThoughtSplitter(ThoughtTags tags) : tags_(std::move(tags)) {
  if (tags_.close.empty()) return;
  state_ = tags_.inside ? State::kInside : tags_.open.empty() ? State::kOutside : State::kMayOpen;
}

ThoughtSplitter::Parts ThoughtSplitter::Push(std::string_view text, bool last) {
  Parts parts;
  if (state_ == State::kOutside) {
    parts.rest = text;
    return parts;
  }
  held_ += text;
  if (state_ == State::kMayOpen) {
    const size_t begin = std::min(held_.find_first_not_of(" \t\r\n"), held_.size());
    const std::string_view ahead = std::string_view(held_).substr(begin);
    if (ahead.starts_with(tags_.open)) {
      state_ = State::kInside;
      const size_t size = begin + tags_.open.size();
      parts.thought = held_.substr(0, size);
      held_.erase(0, size);
    } else if (last || !tags_.open.starts_with(ahead)) {
      state_ = State::kOutside;
      parts.rest = std::exchange(held_, {});
      return parts;
    } else {
      return parts;
    }
  }
  const size_t at = held_.find(tags_.close);
  if (at != held_.npos) {
    state_ = State::kOutside;
    parts.closed = true;
    parts.thought += held_.substr(0, at + tags_.close.size());
    parts.rest = held_.substr(at + tags_.close.size());
    held_.clear();
    return parts;
  }
  const size_t certain = held_.size() - (last ? 0 : PartAtEnd(held_, tags_.close));
  parts.thought += held_.substr(0, certain);
  held_.erase(0, certain);
  return parts;
}

}  // namespace lockstep
