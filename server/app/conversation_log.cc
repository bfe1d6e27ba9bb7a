// Thoughts go with the turns they belong to: templates drop those that the model need not see
// again.
#include "server/app/conversation_log.h"

#include <cstddef>

namespace lockstep {

Turn ConversationLog::TakeLast() {
  Turn last = std::move(turns_.back());
  turns_.pop_back();
  return last;
}

size_t ConversationLog::LeaveOutOldest() {
  const size_t gone = (turns_.size() + 1) / 2;
  turns_.erase(turns_.begin(), turns_.begin() + static_cast<std::ptrdiff_t>(gone));
  return gone;
}

Json ConversationLog::Messages(const std::string& said) const {
  Json messages = Json::array();
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  for (const Turn& turn : turns_) {
    messages.push_back({{"role", "user"}, {"content", turn.said}});
    Json answer = {{"role", "assistant"}, {"content", turn.answer}};
    if (!turn.thought.empty()) answer["reasoning_content"] = turn.thought;
    messages.push_back(std::move(answer));
  }
  messages.push_back({{"role", "user"}, {"content", said}});
  return messages;
}

std::string ConversationLog::Text() const {
  std::string text = system.empty() ? "" : "**System**\n\n" + system + "\n\n";
  for (const Turn& turn : turns_) {
    text += "**You**\n\n" + turn.said + "\n\n**Model**\n\n" + turn.answer + "\n\n";
  }
  return text;
}

}  // namespace lockstep
