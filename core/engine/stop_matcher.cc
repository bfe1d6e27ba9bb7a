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

std::string StopMatcher::Push(std::string_view text, bool last) {
  held_ += text;
  size_t begin = 0, end = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    if (at + stop.size() < end || (at + stop.size() == end && at < begin)) {
      begin = at;
      end = at + stop.size();
    }
  }
  stopped_ = end != std::string::npos;
  if (stopped_) {
    held_.resize(begin);
    return std::exchange(held_, {});
  }
  const size_t certain = last ? held_.size() : held_.size() - MayBecomeStop();
  std::string out = held_.substr(0, certain);
  held_.erase(0, certain);
  return out;
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
