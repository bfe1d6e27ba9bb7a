// A model's thoughts in its text: what it writes between two tags before its answer. A splitter
// belongs to one text; not thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockstep {

struct ThoughtTags {
  std::string open;     // empty: a text cannot open a thought by itself
  std::string close;    // empty: there are no thoughts
  bool inside = false;  // the text begins in a thought: the prompt has opened it
};

// Splits a text at the end of its thought. Only the beginning of a text, spaces aside, opens one.
class ThoughtSplitter {
 public:
  struct Parts {
    std::string thought;  // what has become certain of it, tags included
    std::string rest;     // what is behind it
    bool closed = false;  // the thought has ended with this piece: it ends with the tag
  };

  ThoughtSplitter() = default;  // of texts without thoughts
  explicit ThoughtSplitter(ThoughtTags tags);

  // Takes the next piece of the text. With `last` no more comes, and all is certain.
  Parts Push(std::string_view text, bool last = false);
  bool inside() const { return state_ == State::kInside; }
  bool outside() const { return state_ == State::kOutside; }  // of what is yet to come

 private:
  enum class State { kMayOpen, kInside, kOutside };

  ThoughtTags tags_;
  State state_ = State::kOutside;
  std::string held_;  // not certain yet
};

// The longest end of `text` that is a beginning of `word`, but not all of it.
size_t PartAtEnd(std::string_view text, std::string_view word);

}  // namespace lockstep
