// Ollama's calls had no ids for a long time, and tools are still answered by name alone. Templates
// insist on ids, so that they are made up here and kept in mind.
#include "server/api/ollama/ollama_messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/api/chat/message_list.h"
#include "server/api/ollama/ollama_fields.h"

namespace lockstep {
namespace {

constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool"};

// They come as an object, but some clients keep the text.
Json ArgumentsOf(const Json& sent) {
  if (sent.is_string()) return CallArguments(sent.get<std::string>());
  return sent.is_null() ? Json::object() : sent;
}

class MessageReader {
 public:
  explicit MessageReader(ReadContext& context) : context_(context) {}

  Json Read(FieldReader& message) {
    std::string role, text;
    message.Text("role", &role);
    std::ranges::transform(role, role.begin(), [](unsigned char c) { return std::tolower(c); });
    CheckRole(message, role, kRoles, "must be system, user, assistant or tool");
    Json out{{"role", role}, {"content", ""}};
    if (message.Text("content", &text)) out["content"] = text;
    if (message.Text("thinking", &text) && !text.empty()) out["reasoning_content"] = text;
    RefuseImages(message);
    auto calls = ReadCalls(message, context_, "must be an object with a function",
                           [this](FieldReader& call) { return ReadCall(call); });
    if (calls && !calls->empty()) {
      // Go has no null for a text, but a message of calls alone is one without a content.
      if (out["content"] == "") out["content"] = nullptr;
      out["tool_calls"] = *std::move(calls);
    }
    std::string name, id;
    message.Text("name", &name);
    message.Text("tool_name", &name);
    message.Text("tool_call_id", &id);
    if (role == "tool") {
      Answer(name, id, &out);
    } else if (!name.empty()) {
      out["name"] = name;
    }
    return out;
  }

 private:
  struct Call {
    std::string id, name;
  };

  // {"id", "function": {"index", "name", "arguments": {...}}}
  Json ReadCall(FieldReader& call) {
    Call made;
    Json arguments = Json::object();
    call.Text("id", &made.id);
    call.Take("type");
    call.Take("index");
    const bool there = call.Object("function", "must be an object with a name and arguments",
                                   context_.unknown(), [&](FieldReader& function) {
                                     if (!function.Text("name", &made.name) && function.ok()) {
                                       function.Fail("name", "is missing");
                                     }
                                     function.Take("index");
                                     if (const Json* sent = function.Take("arguments")) {
                                       arguments = ArgumentsOf(*sent);
                                       if (!arguments.is_object() && !arguments.is_string()) {
                                         function.Fail("arguments", "must be an object");
                                       }
                                     }
                                   });
    if (!there && call.ok()) call.Fail("function", "is missing");
    // Nine letters and digits are what Mistral's templates want.
    if (made.id.empty()) made.id = fmt::format("call{:05}", calls_++);
    open_.push_back(made);
    return {{"id", made.id},
            {"type", "function"},
            {"function", {{"name", made.name}, {"arguments", std::move(arguments)}}}};
  }

  // A tool's message: which call it is the answer to.
  void Answer(const std::string& name, const std::string& id, Json* message) {
    auto call = std::ranges::find_if(open_, [&](const Call& made) {
      return id.empty() ? name.empty() || made.name == name : made.id == id;
    });
    // A name of which there was no call may be another spelling of the one that was.
    if (call == open_.end() && id.empty()) call = open_.begin();
    const Call answered = call == open_.end() ? Call{id, name} : *call;
    if (call != open_.end()) open_.erase(call);
    (*message)["tool_call_id"] = answered.id;
    if (const std::string& known = name.empty() ? answered.name : name; !known.empty()) {
      (*message)["name"] = known;
    }
  }

  ReadContext& context_;
  size_t calls_ = 0;        // without ids, so far
  std::vector<Call> open_;  // that have no answer yet, in order
};

}  // namespace

Json ReadOllamaMessages(FieldReader& fields, ReadContext& context) {
  return ReadMessageList<MessageReader>(fields, context);
}

}  // namespace lockstep
