// A list of messages is one in every dialect, whatever a message is.
#include "server/api/chat/message_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

std::string ReadRole(FieldReader& message, std::span<const std::string_view> roles,
                     std::string_view must) {
  std::string role;
  message.Text("role", &role);
  CheckRole(message, role, roles, must);
  return role;
}

void CheckRole(FieldReader& message, std::string_view role, std::span<const std::string_view> roles,
               std::string_view must) {
  if (message.ok() && std::ranges::find(roles, role) == roles.end()) message.Fail("role", must);
}

std::optional<Json> ReadCalls(FieldReader& message, ReadContext& context, std::string_view must,
                              const std::function<Json(FieldReader&)>& read) {
  const Json* const calls = message.Take("tool_calls");
  if (calls == nullptr) return std::nullopt;
  if (!calls->is_array()) {
    message.Fail("tool_calls", "must be a list");
  } else if (calls->size() > kMaxTools) {
    message.Fail("tool_calls", fmt::format("has more than {} calls", kMaxTools));
  }
  Json list = Json::array();
  for (size_t i = 0; i < calls->size() && message.ok(); ++i) {
    message.Nested((*calls)[i], fmt::format("tool_calls[{}]", i), must, context.unknown(),
                   [&](FieldReader& call) { list.push_back(read(call)); });
  }
  return list;
}

// A text in the object's place would be quoted once more.
Json CallArguments(const std::string& text) {
  const auto object = ParseStrictObject(text.empty() ? "{}" : text);
  return object.has_value() ? *object : Json(text);
}

}  // namespace lockstep
