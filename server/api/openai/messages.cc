// A history is what clients have kept of others' answers, so that a message may have far more
// fields than a model needs: those that say nothing to it are taken and left out.
#include "server/api/openai/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/quoted.h"
#include "server/api/chat/message_list.h"

namespace lockstep {
namespace {

// The parts of /v1/responses, which its answers have, too, say the same as those of chats.
constexpr std::string_view kTexts[] = {"text", "input_text", "output_text", "refusal"};

// What servers and client libraries add to answers for their own use; and Mistral's and DeepSeek's
// word that the answer goes on with the last message, as it does without.
void TakeWithoutEffect(FieldReader& fields) {
  for (const char* name :
       {"provider_specific_fields", "extra_content", "annotations", "parsed", "prefix"}) {
    fields.Take(name);
  }
}

constexpr std::string_view kRoles[] = {"system",    "developer", "user",
                                       "assistant", "tool",      "function"};

class MessageReader {
 public:
  explicit MessageReader(ReadContext& context) : context_(context) {}

  // Returns the message as templates know it: role and content always, which may be null, and name,
  // tool_calls, tool_call_id and reasoning_content where they were there.
  Json Read(FieldReader& message) {
    const std::string role =
        ReadRole(message, kRoles, "must be system, developer, user, assistant or tool");
    TakeWithoutEffect(message);
    // Ollama's way to show a picture: a part of the question, which must not be lost.
    message.Refuse("images", "is not supported: the model reads text only");
    Json out{{"role", role}};
    out["content"] = ReadContent(message);
    std::string text;
    if (message.Text("name", &text)) out["name"] = text;
    if (role == "assistant") {
      ReadAssistant(message, &out);
    } else if (message.ok() && out["content"].is_null()) {
      // What returns nothing in JavaScript leaves no content.
      if (role == "tool" || role == "function") {
        out["content"] = "";
      } else {
        message.Fail("content", "is missing");
      }
    }
    if (role == "tool") {
      if (message.Text("tool_call_id", &text)) {
        out["tool_call_id"] = text;
      } else if (message.ok()) {
        message.Fail("tool_call_id", "is missing: the id of the call that this answers");
      }
    } else if (role == "function") {
      out["role"] = "tool";
      out["tool_call_id"] = function_call_id_;
    }
    return out;
  }

 private:
  // The text of "content": a string, or parts of which all are texts. Null where there is none.
  Json ReadContent(FieldReader& message) {
    const Json* const content = message.Take("content");
    if (content == nullptr) return {};
    if (content->is_string()) return *content;
    if (!content->is_array()) {
      message.Fail("content", "must be a string or a list of text parts");
      return {};
    }
    std::string text;
    bool first = true;
    for (size_t i = 0; i < content->size() && message.ok(); ++i) {
      const Json& part = (*content)[i];
      if (IsThought(part)) {
        thought_in_content_ += TextOfBlocks(Json::array({part}));
        continue;
      }
      if (!std::exchange(first, false)) text += "\n";
      if (part.is_string()) {
        text += part.get<std::string>();
        continue;
      }
      message.Nested(part, fmt::format("content[{}]", i),
                     "must be a text, or an object with a type", context_.unknown(),
                     [&](FieldReader& reader) { text += ReadTextPart(reader, kTexts); });
    }
    return text;
  }

  static bool IsThought(const Json& part) {
    if (!part.is_object() || !part.contains("type")) return false;
    const Json& type = part["type"];
    return type == "thinking" || type == "redacted_thinking" || type == "reasoning";
  }

  void ReadAssistant(FieldReader& message, Json* out) {
    const bool has_calls = ReadToolCalls(message, out) || ReadFunctionCall(message, out);
    std::string text;
    if (std::string thought = ReadThought(message); !thought.empty()) {
      (*out)["reasoning_content"] = std::move(thought);
    }
    // An answer that comes back as it was given has its text here.
    if (message.Text("refusal", &text) && (*out)["content"].is_null()) (*out)["content"] = text;
    message.Refuse("audio", "is not supported: the model reads text only");
    // Clients send back a turn that said nothing, too: an answer of no tokens, or a cut one.
    if ((*out)["content"].is_null() && !has_calls && !out->contains("reasoning_content")) {
      (*out)["content"] = "";
    }
  }

  // What an earlier answer thought, in the first form that says something: a text under the name of
  // one server or another, or OpenRouter's, Anthropic's and Mistral's lists of blocks.
  std::string ReadThought(FieldReader& message) {
    std::string thought = std::exchange(thought_in_content_, {});
    for (const char* name : {"reasoning_content", "reasoning", "reasoning_text", "thinking"}) {
      std::string text;
      if (message.Text(name, &text) && thought.empty()) thought = std::move(text);
    }
    for (const char* name : {"reasoning_details", "thinking_blocks"}) {
      const Json* const blocks = message.Take(name);
      if (blocks != nullptr && thought.empty()) thought = TextOfBlocks(*blocks);
    }
    return thought;
  }

  // The texts of blocks of thought, one after the other. What has none, such as one that is
  // encrypted, says nothing to a model.
  static std::string TextOfBlocks(const Json& blocks) {
    std::string texts;
    for (const Json& block : blocks.is_array() ? blocks : Json::array()) {
      for (const char* name : {"thinking", "text", "summary"}) {
        if (!block.is_object() || !block.contains(name)) continue;
        const Json& value = block[name];
        texts += value.is_string() ? value.get<std::string>() : TextOfBlocks(value);
      }
    }
    return texts;
  }

  // True if the field is there, be it an empty list.
  bool ReadToolCalls(FieldReader& message, Json* out) {
    auto calls = ReadCalls(message, context_, "must be an object",
                           [this](FieldReader& call) { return ReadToolCall(call); });
    if (!calls) return false;
    if (!calls->empty()) (*out)["tool_calls"] = *std::move(calls);
    return true;
  }

  // {"id", "type": "function", "function": {"name", "arguments": "{...}"}}, or {"id", "type":
  // "custom", "custom": {"name", "input"}}
  Json ReadToolCall(FieldReader& call) {
    std::string id, type = "function";
    call.Text("id", &id);
    call.Text("type", &type);
    call.Take("index");  // its place in the stream out of which the call was put together
    TakeWithoutEffect(call);
    Json function;
    if (type == "custom") {
      std::string name, input;
      call.Object("custom", "must be an object with a name and input", context_.unknown(),
                  [&](FieldReader& custom) {
                    if (!custom.Text("name", &name)) custom.Fail("name", "is missing");
                    custom.Text("input", &input);
                  });
      function = {{"name", name}, {"arguments", {{"input", input}}}};
    } else if (type != "function") {
      call.Fail("type", "must be \"function\"");
    } else if (!call.Object("function", "must be an object with a name and arguments",
                            context_.unknown(),
                            [&](FieldReader& inner) { function = ReadFunction(inner); }) &&
               call.ok()) {
      call.Fail("function", "must be an object with a name and arguments");
    }
    return {{"id", id}, {"type", "function"}, {"function", std::move(function)}};
  }

  // {"name", "arguments": "{...}"}; what the text is of will do, too.
  Json ReadFunction(FieldReader& function) {
    std::string name, arguments;
    TakeWithoutEffect(function);
    if (!function.Text("name", &name) && function.ok()) function.Fail("name", "is missing");
    const Json* const sent = function.Take("arguments");
    if (sent != nullptr && sent->is_object()) return {{"name", name}, {"arguments", *sent}};
    function.Text("arguments", &arguments);
    return {{"name", name}, {"arguments", CallArguments(arguments)}};
  }

  // The form before tools: one call, without an id, to which a message of the role "function" is
  // the answer. The ids are made up, of the nine characters that Mistral's templates want.
  bool ReadFunctionCall(FieldReader& message, Json* out) {
    Json function;
    if (!message.Object("function_call", "must be an object with a name and arguments",
                        context_.unknown(),
                        [&](FieldReader& inner) { function = ReadFunction(inner); })) {
      return false;
    }
    function_call_id_ = fmt::format("call{:05}", function_calls_++);
    (*out)["tool_calls"] = Json::array(
        {{{"id", function_call_id_}, {"type", "function"}, {"function", std::move(function)}}});
    return true;
  }

  ReadContext& context_;
  std::string thought_in_content_;  // of the message that is being read
  size_t function_calls_ = 0;
  std::string function_call_id_ = "call00000";  // of the last one
};

}  // namespace

std::string ReadTextPart(FieldReader& part, std::span<const std::string_view> types) {
  std::string type, text;
  if (!part.Text("type", &type) && part.ok()) {
    if (!part.Has("text")) part.Fail("type", "is missing");
    type = "text";
  }
  if (part.ok() && std::ranges::find(types, type) == types.end()) {
    part.Fail("type", fmt::format("is {}, but the model reads text only", Quoted(type)));
  }
  const char* const name = type == "refusal" ? "refusal" : "text";
  if (!part.Text(name, &text) && part.ok()) part.Fail(name, "is missing: a string");
  for (const char* other : {"annotations", "logprobs", "parsed", "prompt_cache_breakpoint"}) {
    part.Take(other);
  }
  return text;
}

Json ReadMessages(FieldReader& fields, ReadContext& context) {
  return ReadMessageList<MessageReader>(fields, context);
}

}  // namespace lockstep
