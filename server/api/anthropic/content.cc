// A turn of Anthropic's API is a list of blocks, of which one may answer a call and the next one be
// text; templates know one message for each. So the blocks are read in their order, and each goes
// on with the last message or begins a new one.
#include "server/api/anthropic/content.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "core/base/quoted.h"
#include "server/api/chat/message_list.h"

namespace lockstep {
namespace {

constexpr std::string_view kBillingHeader = "x-anthropic-billing-header:";
constexpr std::string_view kSignature = "lockstep", kSealed = "lockstep:";
constexpr char kContentForm[] = "must be a string or a list of blocks";

// Calls that another server ran by itself, their results, and what it keeps of a conversation: they
// stand in histories that began there, and say nothing that this model could read.
bool IsForOtherServers(std::string_view role, std::string_view type) {
  constexpr std::string_view kEverywhere[] = {"redacted_thinking", "tool_removal", "fallback",
                                              "mcp_tool_listing",  "compaction",   "browser_state"};
  constexpr std::string_view kAssistants[] = {"",         "text",  "thinking",
                                              "tool_use", "image", "document"};
  if (std::ranges::find(kEverywhere, type) != std::end(kEverywhere)) return true;
  return role == "assistant" && std::ranges::find(kAssistants, type) == std::end(kAssistants);
}

// A block that has a text and no type is a text.
std::string TypeOf(const Json& block) {
  const bool text = FindField(block, "type") == nullptr && FindField(block, "text") != nullptr;
  return TextField(block, "type", text ? "text" : "");
}

// The header is one line; what follows it, if anything does, is the client's text.
std::string_view WithoutBillingHeader(std::string_view text) {
  if (!text.starts_with(kBillingHeader)) return text;
  return text.substr(std::min(text.find('\n'), text.size() - 1) + 1);
}

void AddLine(std::string* text, std::string_view line) {
  if (!text->empty()) *text += '\n';
  *text += line;
}

// To a text, or to none.
void AddText(Json* content, std::string_view text) {
  if (content->is_null()) {
    *content = text;
  } else {
    content->get_ref<std::string&>().append("\n").append(text);
  }
}

class ContentReader {
 public:
  explicit ContentReader(ReadContext& context) : context_(context) {}

  void ReadSystem(FieldReader& fields) { ReadTurn(fields, "system", "system"); }

  void ReadMessage(FieldReader& message) {
    constexpr std::string_view kRoles[] = {"user", "assistant", "system"};
    const std::string role = ReadRole(message, kRoles, "must be user, assistant or system");
    for (const char* name : {"clear_at", "output_config"}) {
      if (message.Has(name)) context_.ignored.push_back(message.Full(name));
    }
    if (message.ok() && !message.Has("content")) message.Fail("content", kContentForm);
    ReadTurn(message, "content", role);
  }

  MessageContent Finish() && {
    for (Json& message : content_.messages) {
      if (message["content"].is_null() && !message.contains("tool_calls")) message["content"] = "";
    }
    return std::move(content_);
  }

 private:
  void ReadTurn(FieldReader& owner, const char* name, const std::string& role) {
    ForEachBlock(owner, name, role, [&](FieldReader& block, const std::string& type) {
      if (type == "tool_use" && role == "assistant") return ReadToolUse(block);
      if (type == "thinking" && role == "assistant") return ReadThought(block);
      if (type == "tool_result" && role == "user") return ReadToolResult(block);
      if (type == "tool_addition" && role != "assistant") return ReadToolAddition(block);
      std::string text = ReadText(block, type);
      if (role == "system") text = std::string(WithoutBillingHeader(text));
      // Nobody means a turn of the system by an empty text.
      if (block.ok() && (role != "system" || !text.empty())) AddText(&Turn(role)["content"], text);
    });
  }

  // Reads each block of a list. A string is a list of one text.
  template <class Read>
  void ForEachBlock(FieldReader& owner, std::string_view name, std::string_view role,
                    const Read& read) {
    const Json* const value = owner.Take(name);
    if (value == nullptr) return;
    if (!value->is_string() && !value->is_array()) return owner.Fail(name, kContentForm);
    const size_t size = value->is_array() ? value->size() : 1;
    for (size_t i = 0; i < size && owner.ok(); ++i) {
      const Json& sent = value->is_array() ? (*value)[i] : *value;
      Json text;
      if (sent.is_string()) text = {{"type", "text"}, {"text", sent}};
      const Json& block = sent.is_string() ? text : sent;
      const std::string where = fmt::format("{}[{}]", name, i), type = TypeOf(block);
      if (IsForOtherServers(role, type)) {
        context_.ignored.push_back(fmt::format("{}: {}", owner.Full(where), type));
        continue;
      }
      owner.Nested(block, where, "must be an object with a type", context_.unknown(),
                   [&](FieldReader& fields) {
                     if (!fields.Has("type") && type.empty()) fields.Fail("type", "is missing");
                     // How others are to keep, show or cite it.
                     for (const char* other : {"cache_control", "citations", "caller"}) {
                       fields.Take(other);
                     }
                     if (fields.ok()) read(fields, type);
                   });
    }
  }

  // What a block says in words; an error where it is none.
  std::string ReadText(FieldReader& block, const std::string& type) {
    std::string text;
    if (type == "text") {
      if (!block.Text("text", &text) && block.ok()) block.Fail("text", "is missing: a string");
    } else if (type == "search_result") {
      for (const char* name : {"title", "source"}) {
        if (std::string line; block.Text(name, &line)) AddLine(&text, line);
      }
      AddLine(&text, ReadTexts(block, "content"));
    } else if (type == "document") {
      text = ReadDocument(block);
    } else if (type == "tool_reference") {
      block.Text("tool_name", &text);
      content_.loaded_tools.insert(text);
    } else {
      block.Fail("type", fmt::format("is {}, but the model reads text only", Quoted(type)));
    }
    return text;
  }
  std::string ReadTexts(FieldReader& owner, std::string_view name) {
    std::string texts;
    ForEachBlock(owner, name, "user", [&](FieldReader& block, const std::string& type) {
      AddLine(&texts, ReadText(block, type));
    });
    return texts;
  }

  // One whose source is text can be read. PDFs, and what is elsewhere, cannot.
  std::string ReadDocument(FieldReader& block) {
    std::string text;
    for (const char* name : {"title", "context"}) {
      if (std::string line; block.Text(name, &line)) AddLine(&text, line);
    }
    const auto read = [&](FieldReader& source) {
      std::string type, data;
      source.Text("type", &type);
      source.Take("media_type");
      if (type == "text") {
        source.Text("data", &data);
      } else if (type == "content") {
        data = ReadTexts(source, "content");
      } else {
        source.Fail("type", fmt::format("of a document is {}, but the model reads text only",
                                        Quoted(type)));
      }
      AddLine(&text, data);
    };
    if (!block.Object("source", "must be an object with a type", context_.unknown(), read) &&
        block.ok()) {
      block.Fail("source", "is missing");
    }
    return text;
  }

  void ReadThought(FieldReader& block) {
    std::string thought, signature;
    block.Text("thinking", &thought);
    block.Text("signature", &signature);
    if (thought.empty() && signature.starts_with(kSealed)) {
      thought = signature.substr(kSealed.size());
    }
    if (!thought.empty()) AddText(&Turn("assistant")["reasoning_content"], thought);
  }

  void ReadToolUse(FieldReader& block) {
    std::string id, name;
    block.Text("id", &id);
    if (!block.Text("name", &name) && block.ok()) block.Fail("name", "is missing");
    const Json* const input = block.Take("input");
    if (input != nullptr && !input->is_object()) block.Fail("input", "must be an object");
    if (!block.ok()) return;
    called_[id] = name;
    content_.loaded_tools.insert(name);
    Json function{{"name", name}, {"arguments", input == nullptr ? Json::object() : *input}};
    Turn("assistant")["tool_calls"].push_back(
        {{"id", id}, {"type", "function"}, {"function", std::move(function)}});
  }

  void ReadToolResult(FieldReader& block) {
    std::string id;
    if (!block.Text("tool_use_id", &id) && block.ok()) {
      block.Fail("tool_use_id", "is missing: the id of the call that this answers");
    }
    bool error = false;
    block.Bool("is_error", &error);
    std::string text = ReadTexts(block, "content");
    // Templates have no field for it, so that the text has to say it.
    if (error && !text.starts_with("Error")) text = text.empty() ? "Error" : "Error: " + text;
    if (!block.ok()) return;
    Json message{{"role", "tool"}, {"content", std::move(text)}, {"tool_call_id", id}};
    if (const auto call = called_.find(id); call != called_.end()) message["name"] = call->second;
    content_.messages.push_back(std::move(message));
  }

  // {"tool": {"type": "tool_reference", "name"}}: a deferred tool is there from now on.
  void ReadToolAddition(FieldReader& block) {
    block.Object("tool", "must be an object with a type", context_.unknown(),
                 [&](FieldReader& tool) {
                   std::string type, name;
                   tool.Text("type", &type);
                   if (type == "tool_reference" && tool.Text("name", &name)) {
                     content_.loaded_tools.insert(name);
                   } else {
                     context_.ignored.push_back(fmt::format("{}: {}", tool.Full("type"), type));
                     for (const char* other : {"definition", "name", "mcp_server_name"}) {
                       tool.Take(other);
                     }
                   }
                 });
  }

  // The message that a block of the role belongs to.
  Json& Turn(const std::string& role) {
    Json& messages = content_.messages;
    if (messages.empty() || messages.back()["role"] != role) {
      messages.push_back({{"role", role}, {"content", nullptr}});
    }
    return messages.back();
  }

  ReadContext& context_;
  MessageContent content_;
  std::map<std::string, std::string> called_;  // the name of the tool, by the id of the call
};

}  // namespace

MessageContent ReadMessageContent(FieldReader& fields, ReadContext& context) {
  ContentReader reader(context);
  reader.ReadSystem(fields);
  ReadEachMessage(fields, context, [&](FieldReader& message) { reader.ReadMessage(message); });
  MessageContent content = std::move(reader).Finish();
  if (fields.ok() && content.messages.empty()) fields.Fail("messages", "have nothing for a model");
  return content;
}

std::string ThoughtSignature(const std::string& thought, bool omitted) {
  return omitted ? fmt::format("{}{}", kSealed, thought) : std::string(kSignature);
}

}  // namespace lockstep
