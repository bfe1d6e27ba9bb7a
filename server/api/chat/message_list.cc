// A list of messages is one in every dialect, whatever a message is.
#include "server/api/chat/message_list.h"

#include <fmt/format.h>

namespace lockstep {

void ReadEachMessage(FieldReader& fields, ReadContext& context,
                     const std::function<void(FieldReader&)>& read) {
  const Json* const messages = fields.Take("messages");
  if (messages == nullptr || !messages->is_array() || messages->empty()) {
    return fields.Fail("messages", "must be a list of at least one message");
  }
  if (messages->size() > kMaxMessages) {
    fields.Fail("messages",
                fmt::format("has {} messages; send at most {}", messages->size(), kMaxMessages));
  }
  for (size_t i = 0; i < messages->size() && fields.ok(); ++i) {
    fields.Nested((*messages)[i], fmt::format("messages[{}]", i),
                  "must be an object with a role and content", context.unknown(), read);
  }
}

// A text in the object's place would be quoted once more.
Json CallArguments(const std::string& text) {
  const auto object = ParseStrictObject(text.empty() ? "{}" : text);
  return object.has_value() ? *object : Json(text);
}

}  // namespace lockstep
