// The strings that end a text, and the part of the text that may yet turn out to be one. A
// session's own; not thread-safe.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/engine/thought.h"

namespace lockstep {

// Where stop strings act: behind a thought, since they are meant for the answer, and up to the
// first `marker`, which may have to be the beginning of that. What begins there is a whole that a
// stop must not cut, such as a call of a tool.
struct StopLimit {
  std::string marker;  // empty: they act to the end
  bool at_start = false;
  ThoughtTags thought = {};
};

class StopMatcher {
 public:
  StopMatcher() = default;
  // REQUIRES: no stop is empty.
  explicit StopMatcher(std::vector<std::string> stops, StopLimit limit = {})
      : stops_(std::move(stops)), limit_(std::move(limit)), thought_(limit_.thought) {}

  // Adds to the text and returns what has become certain: all in front of the stop string that is
  // complete first (of those that end together, the longest), or else all but an end that may
  // become one, or the limit of all stops. With `last` no more text comes, and all of it is
  // certain. Without `act` no stop ends in this text or has begun before it.
  std::string Push(std::string_view text, bool last, bool act = true);
  bool stopped() const { return stop_.has_value(); }    // nothing may be pushed any more
  std::optional<size_t> stop() const { return stop_; }  // which of the stops it was

 private:
  std::string PushAnswer(std::string_view text, bool last, bool act);
  size_t MayBecomeStop() const;
  size_t FindMarker(bool last, bool* whole) const;

  std::vector<std::string> stops_;
  StopLimit limit_;
  ThoughtSplitter thought_;
  std::string held_;  // not certain yet
  std::optional<size_t> stop_;
  bool begun_ = false;       // text of the answer was returned
  bool past_limit_ = false;  // no stop acts any more
};

}  // namespace lockstep
