// An answer is a list of items here, and a history is what clients have kept of such lists: items
// of others' servers among them, and fields that say nothing to a model, which are taken and left
// out.
#include "server/api/openai/responses_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "core/base/quoted.h"
#include "server/api/chat/message_list.h"
#include "server/api/openai/messages.h"
#include "server/api/openai/response_store.h"

namespace lockstep {
namespace {

constexpr std::string_view kTexts[] = {"input_text", "output_text",    "text",
                                       "refusal",    "reasoning_text", "summary_text"};

constexpr char kStateless[] =
    "stands for what another server has made of a conversation: send the items themselves";

class InputReader {
 public:
  InputReader(ReadContext& context, ResponsesTools* tools, Json* own)
      : context_(context), tools_(tools), own_(own) {
    *own_ = Json::array();
  }

  Json Read(FieldReader& fields, const Json& history) {
    std::string text;
    if (fields.Text("instructions", &text) && !text.empty()) Say("system", text);
    for (size_t i = 0; i < history.size() && fields.ok(); ++i) {
      ReadItem(history[i], fmt::format("previous_response_id[{}]", i), fields);
    }
    own_->clear();
    const Json* const input = fields.Take("input");
    if (input == nullptr) {
      fields.Fail("input", "is missing: a string, or a list of items");
    } else if (input->is_string()) {
      Say("user", input->get<std::string>());
      own_->push_back({{"role", "user"}, {"content", *input}});
    } else {
      ReadItems(*input, fields);
    }
    // Clients ask with nothing whether the server is there, and templates insist on a user.
    const bool nothing = std::ranges::all_of(messages_, [](const Json& message) {
      return message["role"] == "system" || message["role"] == "developer";
    });
    if (nothing) Say("user", "");
    return std::move(messages_);
  }

 private:
  // The order of what one message of an answer has.
  enum class Part { kThought, kText, kCall };

  void Say(const std::string& role, const std::string& text) {
    messages_.push_back({{"role", role}, {"content", text}});
  }

  void ReadItems(const Json& input, FieldReader& fields) {
    if (!input.is_array()) return fields.Fail("input", "must be a string or a list of items");
    if (input.size() > kMaxMessages) {
      return fields.Fail("input",
                         fmt::format("has {} items; send at most {}", input.size(), kMaxMessages));
    }
    for (size_t i = 0; i < input.size() && fields.ok(); ++i) {
      ReadItem(input[i], fmt::format("input[{}]", i), fields);
    }
  }

  void ReadItem(const Json& value, const std::string& where, FieldReader& fields) {
    constexpr char kForm[] = "must be an object with a type, or with a role and content";
    if (!value.is_object()) return fields.Fail(where, kForm);
    std::string type = value.contains("role") ? "message" : "item_reference";
    if (const auto sent = value.find("type"); sent != value.end() && sent->is_string()) {
      type = sent->get<std::string>();
    }
    const auto reader = std::ranges::find(kReaders, type, &Reader::type);
    if (reader == std::end(kReaders)) {
      context_.ignored.push_back(fmt::format("{}: {}", where, type));
      return;
    }
    if (type != "item_reference") own_->push_back(value);
    fields.Nested(value, where, kForm, context_.unknown(), [&](FieldReader& item) {
      std::string text;
      item.Text("type", &text);
      for (const char* name : {"id", "status", "phase", "caller", "async", "execution",
                               "environment", "max_output_length"}) {
        item.Take(name);
      }
      (this->*reader->read)(item, type);
    });
  }

  void ReadMessage(FieldReader& item, const std::string&) {
    constexpr std::string_view kRoles[] = {"user", "assistant", "system", "developer"};
    const std::string role = ReadRole(item, kRoles, "must be user, assistant, system or developer");
    const Json* const content = item.Take("content");
    // A message of calls alone, as chats have it, says nothing.
    if (content == nullptr && role != "assistant") item.Fail("content", "is missing");
    const std::string text = content == nullptr ? "" : ReadText(*content, "content", item);
    if (!item.ok()) return;
    if (role != "assistant") return Say(role, text);
    if (content != nullptr) Assistant(Part::kText)["content"] = text;
  }

  void ReadThought(FieldReader& item, const std::string&) {
    std::string text, summary, encrypted;
    if (const Json* const content = item.Take("content"))
      text = ReadText(*content, "content", item);
    if (const Json* const list = item.Take("summary")) summary = ReadText(*list, "summary", item);
    item.Text("encrypted_content", &encrypted);
    if (text.empty() && encrypted.starts_with(kPlainThought)) {
      text = encrypted.substr(kPlainThought.size());
    }
    if (text.empty()) text = summary;
    if (text.empty() && !encrypted.empty()) {
      context_.ignored.push_back(item.Full("encrypted_content"));
    }
    if (!item.ok() || text.empty()) return;
    Json& thought = Assistant(Part::kThought)["reasoning_content"];
    thought = thought.is_null() ? text : thought.get<std::string>() + "\n" + text;
  }

  void ReadFunctionCall(FieldReader& item, const std::string& type) {
    std::string name, space, text;
    if (!item.Text("name", &name) && item.ok()) item.Fail("name", "is missing");
    if (item.Text("namespace", &space) && !space.empty()) name = NameInPrompt(space, name);
    if (type == "custom_tool_call") {
      item.Text("input", &text);
      return AddCall(item, name, {{"input", text}});
    }
    const Json* const arguments = item.Take("arguments");
    if (arguments == nullptr || arguments->is_object()) {
      return AddCall(item, name, arguments == nullptr ? Json::object() : *arguments);
    }
    item.Text("arguments", &text);
    AddCall(item, name, CallArguments(text));
  }

  // A tool that OpenAI defines and the client runs: "local_shell_call" calls "local_shell".
  void ReadOwnCall(FieldReader& item, const std::string& type) {
    Json arguments = Json::object();
    for (const char* name : {"action", "operation"}) {
      const Json* const value = item.Take(name);
      if (value == nullptr) continue;
      if (!value->is_object()) item.Fail(name, "must be an object");
      arguments = *value;
    }
    AddCall(item, type.substr(0, type.size() - std::string_view("_call").size()),
            std::move(arguments));
  }

  void AddCall(FieldReader& item, const std::string& name, Json arguments) {
    const std::string id = ReadCallId(item);
    if (!item.ok()) return;
    names_[id] = name;
    Json& calls = Assistant(Part::kCall)["tool_calls"];
    if (calls.is_null()) calls = Json::array();
    calls.push_back({{"id", id},
                     {"type", "function"},
                     {"function", {{"name", name}, {"arguments", std::move(arguments)}}}});
  }

  void ReadResult(FieldReader& item, const std::string&) {
    const std::string id = ReadCallId(item);
    std::string name, space, text;
    item.Text("name", &name);
    if (item.Text("namespace", &space) && !space.empty()) name = NameInPrompt(space, name);
    if (const Json* const output = item.Take("output")) text = ReadOutput(*output, item);
    if (!item.ok()) return;
    messages_.push_back({{"role", "tool"}, {"content", text}, {"tool_call_id", id}});
    if (const auto call = names_.find(id); call != names_.end()) name = call->second;
    if (!name.empty()) messages_.back()["name"] = name;
  }

  static std::string ReadCallId(FieldReader& item) {
    std::string id;
    // Calls of the local shell have had their one id under this name.
    if (!item.Text("call_id", &id) && !item.Text("id", &id) && item.ok()) {
      item.Fail("call_id", "is missing");
    }
    return id;
  }

  void ReadMoreTools(FieldReader& item, const std::string&) {
    for (const char* name : {"role", "call_id"}) item.Take(name);
    if (const Json* const list = item.Take("tools")) {
      AddResponsesTools(*list, "tools", /*again=*/true, item, context_, tools_);
    }
  }

  // Only the server's own answers are known.
  void ReadReference(FieldReader& item, const std::string&) {
    std::string id;
    if (!item.Text("id", &id) && item.ok()) item.Fail("id", "is missing");
    if (!item.ok()) return;
    auto known = context_.responses != nullptr
                     ? context_.responses->Item(context_.compile_for.name, id)
                     : Fail(ErrorKind::kInvalidArgument, "the server keeps no items");
    if (!known) {
      known.error().param = item.Full("id");
      return item.Fail(std::move(known.error()));
    }
    ReadItem(*known, "id", item);
  }

  void Refuse(FieldReader& item, const std::string& type) {
    item.Fail("type", fmt::format("is {}, which {}", Quoted(type), kStateless));
  }

  void RefuseUpdate(FieldReader& item, const std::string&) {
    item.Fail("type",
              "is configuration_update, which is not supported: send reasoning and text "
              "as fields of the request");
  }

  // A text, or parts of which all are texts.
  std::string ReadText(const Json& value, const char* name, FieldReader& item) {
    if (value.is_string()) return value.get<std::string>();
    if (!value.is_array()) {
      item.Fail(name, "must be a string or a list of text parts");
      return {};
    }
    std::string text;
    for (size_t i = 0; i < value.size() && item.ok(); ++i) {
      if (i > 0) text += "\n";
      if (value[i].is_string()) {
        text += value[i].get<std::string>();
        continue;
      }
      item.Nested(value[i], fmt::format("{}[{}]", name, i),
                  "must be a text, or an object with a type", context_.unknown(),
                  [&](FieldReader& part) { text += ReadTextPart(part, kTexts); });
    }
    return text;
  }

  // What a tool has given: text, parts with a type, or, from tools with a form of their own, JSON.
  std::string ReadOutput(const Json& output, FieldReader& item) {
    const bool parts =
        output.is_array() && !output.empty() && output[0].is_object() && output[0].contains("type");
    if (output.is_string() || parts) return ReadText(output, "output", item);
    return Dump(output);
  }

  // The assistant's message that the next part of an answer belongs to: the last one, or a new one
  // where that has such a part, or a later one, already.
  Json& Assistant(Part part) {
    const bool goes_on = !messages_.empty() && messages_.back()["role"] == "assistant" &&
                         (last_ < part || (last_ == part && part != Part::kText));
    last_ = part;
    if (!goes_on) messages_.push_back({{"role", "assistant"}, {"content", nullptr}});
    return messages_.back();
  }

  struct Reader {
    std::string_view type;
    void (InputReader::*read)(FieldReader& item, const std::string& type);
  };
  static constexpr Reader kReaders[] = {
      {"message", &InputReader::ReadMessage},
      {"reasoning", &InputReader::ReadThought},
      {"function_call", &InputReader::ReadFunctionCall},
      {"custom_tool_call", &InputReader::ReadFunctionCall},
      {"local_shell_call", &InputReader::ReadOwnCall},
      {"shell_call", &InputReader::ReadOwnCall},
      {"apply_patch_call", &InputReader::ReadOwnCall},
      {"function_call_output", &InputReader::ReadResult},
      {"custom_tool_call_output", &InputReader::ReadResult},
      {"local_shell_call_output", &InputReader::ReadResult},
      {"shell_call_output", &InputReader::ReadResult},
      {"apply_patch_call_output", &InputReader::ReadResult},
      {"additional_tools", &InputReader::ReadMoreTools},
      {"tool_search_output", &InputReader::ReadMoreTools},
      {"item_reference", &InputReader::ReadReference},
      {"compaction", &InputReader::Refuse},
      {"compaction_trigger", &InputReader::Refuse},
      {"configuration_update", &InputReader::RefuseUpdate},
  };

  ReadContext& context_;
  ResponsesTools* const tools_;
  Json* const own_;
  Json messages_ = Json::array();
  Part last_ = Part::kThought;                // of the last message, if it is the assistant's
  std::map<std::string, std::string> names_;  // of the calls, by their ids
};

}  // namespace

Json ReadResponsesInput(FieldReader& fields, ReadContext& context, const Json& history,
                        ResponsesTools* tools, Json* own) {
  return InputReader(context, tools, own).Read(fields, history);
}

}  // namespace lockstep
