// A stop string is cut off the text that a client gets, so none of it may be sent before it is
// known whether it is one. With the stops "\n\n" and "END", of "a.\nE" only "a." is certain:
//
//   pushed   held before   returned   held after
//   "a.\n"                 "a."       "\n"
//   "E"      "\n"          "\n"       "E"
//   "ND"     "E"           ""         stopped
//
// What is held is shorter than the longest stop, so looking through it for each stop costs less
// than the tables of an Aho-Corasick automaton would take to make; requests have a handful of
// stops.
#include "core/engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace lockstep {

std::string StopMatcher::Push(std::string_view text, bool last, bool act) {
  if (thought_.outside()) return PushAnswer(text, last, act);
  ThoughtSplitter::Parts parts = thought_.Push(text, last);
  return std::move(parts.thought) + PushAnswer(parts.rest, last, act);
}

std::string StopMatcher::PushAnswer(std::string_view text, bool last, bool act) {
  held_ += text;
  if (past_limit_) return std::exchange(held_, {});
  bool marked = false;
  const size_t limit = FindMarker(last, &marked);
  size_t begin = 0, end = std::string::npos;
  for (size_t i = 0; act && i < stops_.size(); ++i) {
    const std::string& stop = stops_[i];
    const size_t at = held_.find(stop);
    if (at == std::string::npos || at >= limit) continue;
    if (at + stop.size() < end || (at + stop.size() == end && at < begin)) {
      begin = at;
      end = at + stop.size();
      stop_ = i;
    }
  }
  if (stop_) {
    held_.resize(begin);
    return std::exchange(held_, {});
  }
  past_limit_ = marked;
  size_t certain = held_.size();
  if (!last && !marked) certain = std::min(held_.size() - (act ? MayBecomeStop() : 0), limit);
  std::string out = held_.substr(0, certain);
  held_.erase(0, certain);
  begun_ = begun_ || !out.empty();
  return out;
}

// Where the limit's marker begins, wholly there or, unless `last`, an end of the text that may yet
// become one; behind the text if it is not there.
size_t StopMatcher::FindMarker(bool last, bool* whole) const {
  const std::string_view marker = limit_.marker, text = held_;
  if (marker.empty() || (limit_.at_start && begun_)) return text.size();
  if (limit_.at_start) {
    *whole = text.starts_with(marker);
    return *whole || (!last && marker.starts_with(text)) ? 0 : text.size();
  }
  const size_t at = text.find(marker);
  *whole = at != text.npos;
  if (*whole) return at;
  for (size_t n = last ? 0 : std::min(text.size(), marker.size() - 1); n > 0; --n) {
    if (text.ends_with(marker.substr(0, n))) return text.size() - n;
  }
  return text.size();
}

// How much of the end of the text is the beginning of a stop string.
size_t StopMatcher::MayBecomeStop() const {
  size_t longest = 0;
  for (const std::string_view stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > longest; --n) {
      if (std::string_view(held_).ends_with(stop.substr(0, n))) longest = n;
    }
  }
  return longest;
}

}  // namespace lockstep
