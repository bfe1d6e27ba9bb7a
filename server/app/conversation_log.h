// What was said in a conversation, as requests tell it. For one thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/json/json_text.h"

namespace lockstep {

struct Turn {
  std::string said, answer, thought;
};

class ConversationLog {
 public:
  std::string system;

  bool empty() const { return turns_.empty(); }
  const std::vector<Turn>& turns() const { return turns_; }
  void Add(Turn turn) { turns_.push_back(std::move(turn)); }
  void Clear() { turns_.clear(); }
  // Takes the last turn away. REQUIRES: !empty().
  Turn TakeLast();
  // Leaves out the older half, so that there is room for some turns: how many went.
  size_t LeaveOutOldest();
  // Everything, and what is said now.
  Json Messages(const std::string& said) const;
  // The conversation for people, in Markdown.
  std::string Text() const;

 private:
  std::vector<Turn> turns_;
};

}  // namespace lockstep
