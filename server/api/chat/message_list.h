// What the dialects' readers of messages have in common. Pure functions, safe from any thread.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/api/chat/conversation.h"
#include "server/api/request_fields.h"

namespace lockstep {

// Calls `read` for each of "messages", which must be a list of not too many, until one is refused.
// An empty one is refused, too.
void ReadEachMessage(FieldReader& fields, ReadContext& context,
                     const std::function<void(FieldReader&)>& read);

// The list of what a Reader, which may look back at earlier messages, makes of each.
template <class Reader>
Json ReadMessageList(FieldReader& fields, ReadContext& context) {
  Reader reader(context);
  Json list = Json::array();
  ReadEachMessage(fields, context,
                  [&](FieldReader& message) { list.push_back(reader.Read(message)); });
  return list;
}

// A message's role, which is one of `roles`, or refused; `must` says which they are.
std::string ReadRole(FieldReader& message, std::span<const std::string_view> roles,
                     std::string_view must);
void CheckRole(FieldReader& message, std::string_view role, std::span<const std::string_view> roles,
               std::string_view must);

// What `read` makes of each of "tool_calls", each of which `must` be an object with what it says;
// nullopt where the field is absent.
std::optional<Json> ReadCalls(FieldReader& message, ReadContext& context, std::string_view must,
                              const std::function<Json(FieldReader&)>& read);

// The arguments of a call, which templates print as JSON, as the object that their text says. Those
// that an earlier answer left cut off are none, and stay a text.
Json CallArguments(const std::string& text);

}  // namespace lockstep
