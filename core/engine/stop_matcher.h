// The strings that end a text, and the part of the text that may yet turn out to be one. A
// session's own; not thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

class StopMatcher {
 public:
  StopMatcher() = default;
  // REQUIRES: none is empty.
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // Adds to the text and returns what has become certain: all in front of the stop string that is
  // complete first (of those that end together, the longest), or else all but an end that may
  // become one. With `last` no more text comes, and all of it is certain.
  std::string Push(std::string_view text, bool last);
  bool stopped() const { return stopped_; }  // nothing may be pushed any more

 private:
  size_t MayBecomeStop() const;

  std::vector<std::string> stops_;
  std::string held_;  // not certain yet
  bool stopped_ = false;
};

}  // namespace lockstep
