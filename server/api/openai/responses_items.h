// The items of a response as they grow, and the events that tell of it. Belongs to one response and
// is used by one thread.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/api/chat/chat_answer.h"
#include "server/api/openai/responses_tools.h"
#include "server/json/json_text.h"

namespace lockstep {

// Events, numbered from 0 on and framed.
class EventLog {
 public:
  // {"type", "sequence_number"} and the fields.
  void Add(std::string_view type, const Json& fields);
  void Skip(size_t events) { next_ += events; }  // which others have told
  std::string Take() { return std::exchange(text_, {}); }

 private:
  size_t next_ = 0;
  std::string text_;
};

class ResponseItems {
 public:
  // Ids of items end in `id`. `tools` must outlive it, and so must `events`, which may be null
  // where nobody wants them. A thought is also there as "encrypted_content" if `encrypted` says so,
  // and stands in the place of its summary if `summarized` does.
  ResponseItems(std::string id, const ResponsesTools& tools, bool encrypted, EventLog* events,
                bool summarized = false)
      : id_(std::move(id)),
        tools_(tools),
        encrypted_(encrypted),
        summarized_(summarized),
        events_(events) {}

  // Logprobs are those of a text's tokens, and empty for others.
  void Add(const ChatPiece& piece, Json logprobs);
  // After the last piece. Where there was none, an empty message is the answer. `cut` says that the
  // answer would have gone on.
  void End(bool cut, Json logprobs);
  Json Output() const;  // all items, as they are now

 private:
  enum class Kind { kThought, kMessage, kCall, kCustomCall };
  struct Item {
    Kind kind;
    std::string id, status = "in_progress", text;  // text: also arguments
    std::string call_id, name;                     // of a call
    Json logprobs = Json::array();                 // of a message
  };

  void Open(Kind kind, const ChatPiece& piece);
  void Close(bool whole);
  bool IsOpen(Kind kind) const {
    return !items_.empty() && items_.back().status == "in_progress" && items_.back().kind == kind;
  }
  void Grow(const char* type, const std::string& delta, Json logprobs);
  // An event about the last item; `fields` come after its position.
  void Tell(std::string_view type, const Json& fields);
  // Whether the text of the item is a summary, whose events have names of their own.
  bool IsSummary(const Item& item) const { return summarized_ && item.kind == Kind::kThought; }
  Json Part(const Item& item) const;
  Json ItemJson(const Item& item) const;

  const std::string id_;
  const ResponsesTools& tools_;
  const bool encrypted_, summarized_;
  EventLog* const events_;
  std::vector<Item> items_;
};

}  // namespace lockstep
