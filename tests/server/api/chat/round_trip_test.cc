// What a model of each family writes, as its template renders it: read as calls, streamed in every
// dialect, and, sent back, rendered as it was, behind the same prompt, so that nothing of it is
// computed again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/api/chat/prepare.h"
#include "server/api/router.h"
#include "tests/server/api/post.h"
#include "tests/server/generation/fake_service.h"
#include "tests/support/grammar_match.h"

namespace lockstep {
namespace {

Json Parsed(const std::string& text) { return Json::parse(text, nullptr, false); }

constexpr char kTools[] = R"([
  {"type":"function","function":{"name":"read","description":"d","parameters":{"type":"object",
    "properties":{"path":{"type":"string","description":"p"},"count":{"type":"integer",
    "description":"c"}},"required":["path"]}}},
  {"type":"function","function":{"name":"now","description":"n","parameters":{"type":"object",
    "properties":{}}}}])";
constexpr char kRead[] = R"({"path":"a b","count":2})";

// Some templates sort arguments by their names.
nlohmann::json Sorted(const Json& json) { return nlohmann::json::parse(json.dump()); }

// Ids behind the arguments are the server's own, and not the model's.
std::string WithoutIds(std::string text) {
  for (size_t at; (at = text.find(", \"id\"")) != text.npos;) text.erase(at, 19);
  return text;
}

struct Family {
  const char* name;
  const char* source;
  // Whether text and a thought stand in one message with calls.
  bool text = true, thought = false;
};
const Family kFamilies[] = {
    {"qwen3", kQwen3, true, true},
    {"qwen coder", kQwenCoder},
    {"nemotron 3", kNemotron3.c_str()},
    {"llama 3", kLlama3, false},
    {"mistral nemo", kMistral, false},
    {"magistral", kMagistral, true, true},
    {"mistral small", kMistralSmall},
    {"glm", kGlm, true, true},
    {"deepseek 3.1", kDeepSeek},
    {"gemma 4", kGemma4, false, false},
    {"lfm2", kLfm2, true, true},
    {"nemotron", kNemotron, true},
    {"dsml", kDsml},
    {"command r7b", kCommandR7b, false},
    {"command r+", kCommandRPlus},
    {"kimi k2", kKimiK2},
    {"kimi ids", kKimiIds.c_str()},
    {"solar", kSolar, false},
    {"firefunction", kFirefunction},
    {"functionary", kFunctionary},
    {"smollm3", kSmolLm3},
};

class RoundTripTest : public testing::Test {
 protected:
  void Use(const Family& family) {
    service_.SetChatTemplate(family.source);
    calls_ = service_.chat()->forms.calls;
    ASSERT_NE(calls_, nullptr);
  }
  static Conversation Question() {
    Conversation conversation;
    conversation.messages = Parsed(R"([{"role":"user","content":"Why?"}])");
    conversation.tools.tools = Parsed(kTools);
    conversation.tools.where = {"tools[0]", "tools[1]"};
    return conversation;
  }
  std::string Render(const Conversation& conversation) {
    const auto prompt = RenderConversation(conversation, FieldNames(), context_);
    EXPECT_TRUE(prompt.has_value()) << (prompt ? "" : prompt.error().message);
    return prompt ? prompt->bytes() : "";
  }
  // The conversation with an answer and the results of its calls.
  Conversation With(const ChatAnswer& answer) {
    Conversation conversation = Question();
    Json message{{"role", "assistant"}, {"content", answer.text}};
    if (!answer.reasoning.empty()) message["reasoning_content"] = answer.reasoning;
    message["tool_calls"] = Json::array();
    for (const ChatCall& call : answer.calls) {
      const Json function{{"name", call.name}, {"arguments", Parsed(call.arguments)}};
      message["tool_calls"].push_back(
          {{"id", call.id}, {"type", "function"}, {"function", function}});
    }
    conversation.messages.push_back(message);
    for (const ChatCall& call : answer.calls) {
      conversation.messages.push_back({{"role", "tool"},
                                       {"tool_call_id", call.id},
                                       {"name", call.name},
                                       {"content", "RESULT"}});
    }
    return conversation;
  }
  // What the model writes, which its template shows of such an answer.
  std::string Written(const Family& family) {
    ChatAnswer answer;
    if (family.text) answer.text = "So.";
    if (family.thought) answer.reasoning = "Hm.";
    answer.calls.push_back({"abcdefgh1", "read", kRead, true});
    if (calls_->many) answer.calls.push_back({"abcdefgh2", "now", "{}", true});
    const std::string prompt = Render(Question()), whole = Render(With(answer));
    const size_t result = whole.find("RESULT");
    // A prompt may close a thought that a history does not have.
    size_t begin = prompt.size();
    while (begin > 0 && !whole.starts_with(prompt.substr(0, begin))) --begin;
    const size_t tag = whole.rfind('<', begin);
    if (begin < prompt.size() && tag != whole.npos && whole.find('>', tag) >= begin) begin = tag;
    begin_ = whole.substr(0, begin);
    GenerateRequest generate;
    form_ = PrepareChat(Question(), FieldNames(), context_, &generate);
    EXPECT_TRUE(form_.has_value());
    // A thought that the prompt opens, and that no history shows.
    hidden_ = form_->thought.inside ? "Hm." + form_->thought.close : "";
    // The longest text that the grammar allows is the answer; the rest is the template's.
    for (size_t end = result; end > begin; --end) {
      const std::string text = hidden_ + whole.substr(begin, end - begin);
      if (text.find("read") != text.npos && IsUtf8(text) &&
          Matches(generate.options.grammar->grammar(), text)) {
        return text;
      }
    }
    ADD_FAILURE() << family.name << " allows nothing of " << whole.substr(begin);
    return {};
  }
  ChatAnswer Read(const std::string& text) {
    Answer answer;
    answer.text = text;
    answer.finish = FinishReason::kStop;
    for (size_t at = 0; at < text.size();) {
      at += CharacterLength(std::string_view(text).substr(at));
      answer.tokens.push_back('x');
      answer.text_ends.push_back(at);
    }
    return ReadChatAnswer(*form_, answer);
  }

  FakeService service_;
  const ModelNames names_{};
  ReadContext context_{service_, names_, false, {}};
  std::shared_ptr<const CallForm> calls_;
  std::string begin_, hidden_;
  Result<ChatForm> form_ = ChatForm();
};

TEST_F(RoundTripTest, AnAnswerSentBackIsTheTextThatWasWritten) {
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.name);
    Use(family);
    const std::string written = Written(family);
    ASSERT_FALSE(written.empty());
    const ChatAnswer read = Read(written);
    EXPECT_EQ(read.text, family.text ? "So." : "");
    EXPECT_EQ(read.reasoning, family.thought || !hidden_.empty() ? "Hm." : "");
    ASSERT_EQ(read.calls.size(), calls_->many ? 2u : 1u);
    EXPECT_EQ(read.calls[0].name, "read");
    EXPECT_EQ(Sorted(Parsed(read.calls[0].arguments)), Sorted(Parsed(kRead)));
    if (calls_->many) {
      EXPECT_EQ(read.calls[1].name + read.calls[1].arguments, "now{}");
    }
    std::string again = Render(With(read)), before = begin_ + written.substr(hidden_.size());
    if (family.source == kMistral) again = WithoutIds(again), before = WithoutIds(before);
    EXPECT_TRUE(again.starts_with(before)) << again << "\n-- " << before;
  }
}

// What stands behind the last call is as the model was trained to end; it need not go on.
TEST_F(RoundTripTest, TheLastCallEndsAsTheTemplateShowsIt) {
  Use({"nemotron 3", kNemotron3.c_str()});
  const std::string call = "<tool_call>\n<function=now>\n</function>\n</tool_call>";
  for (const char* choice : {"auto", "required"}) {
    Conversation conversation = Question();
    conversation.choice.word = choice;
    GenerateRequest generate;
    ASSERT_TRUE(PrepareChat(conversation, FieldNames(), context_, &generate).has_value());
    const auto matches = [&](const std::string& text) {
      return Matches(generate.options.grammar->grammar(), text);
    };
    EXPECT_TRUE(matches(call));
    EXPECT_TRUE(matches(call + "\n"));
    EXPECT_TRUE(matches(call + "\n" + call + "\n"));
    EXPECT_FALSE(matches(call + "\n\n"));
    EXPECT_FALSE(matches(call + "\nSo."));
  }
}

// An answer of a format is text to its end, whatever it quotes; or it begins with a call.
TEST_F(RoundTripTest, TextOfAFormatIsNotSearchedForCalls) {
  const std::pair<const char*, const char*> families[] = {
      {kMagistral, "[TOOL_CALLS]now[ARGS]{}"},
      {kQwen3, "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"},
  };
  for (const auto& [source, call] : families) {
    SCOPED_TRACE(source);
    Use({"", source});
    Conversation conversation = Question();
    conversation.format.kind = AnswerFormat::Kind::kObject;
    GenerateRequest generate;
    form_ = PrepareChat(conversation, FieldNames(), context_, &generate);
    ASSERT_TRUE(form_.has_value());
    for (const char* text : {R"({"a": "x  [TOOL_CALLS] y"})", R"({"a": "x  <tool_call> y"})",
                             R"({"a": "[TOOL_CALLS]now[ARGS]{}"})"}) {
      EXPECT_TRUE(Matches(generate.options.grammar->grammar(), text)) << text;
      const ChatAnswer read = Read(text);
      EXPECT_EQ(read.text, text);
      EXPECT_TRUE(read.calls.empty());
    }
    EXPECT_TRUE(Matches(generate.options.grammar->grammar(), call));
    EXPECT_EQ(Read(call).calls.size(), 1u);
    EXPECT_TRUE(generate.options.stop_limit.at_start);
  }
}

// The calls of a stream, name and arguments each, in the words of one dialect.
class Stream {
 public:
  explicit Stream(const HttpReply& reply) {
    for (BodyPart part; part.then == BodyPart::Then::kMore;) text_ += (part = reply.next()).data;
    for (size_t at = 0; at < text_.size();) {
      const size_t end = std::min(text_.find('\n', at), text_.size());
      std::string line = text_.substr(at, end - at);
      at = end + 1;
      if (line.starts_with("data: ")) line.erase(0, 6);
      if (Json event = Parsed(line); event.is_object()) events_.push_back(std::move(event));
    }
  }

  std::vector<std::pair<std::string, Json>> Calls() {
    for (const Json& event : events_) {
      Chat(event);
      Messages(event);
      Responses(event);
      Ollama(event);
    }
    std::vector<std::pair<std::string, Json>> calls;
    for (const auto& [name, arguments] : calls_) calls.emplace_back(name, Parsed(arguments));
    return calls;
  }
  const std::string& text() const { return text_; }

 private:
  void Chat(const Json& event) {
    if (!event.contains("choices") || event["choices"].empty()) return;
    const Json& delta = event["choices"][0]["delta"];
    for (const Json& call : delta.value("tool_calls", Json::array())) {
      if (call.contains("id")) calls_.emplace_back(call["function"]["name"], "");
      calls_.at(call["index"].get<size_t>()).second +=
          call["function"]["arguments"].get<std::string>();
    }
  }
  void Messages(const Json& event) {
    if (event.value("type", "") == "content_block_start" &&
        event["content_block"]["type"] == "tool_use") {
      calls_.emplace_back(event["content_block"]["name"], "");
    } else if (event.value("type", "") == "content_block_delta" &&
               event["delta"]["type"] == "input_json_delta") {
      calls_.back().second += event["delta"]["partial_json"].get<std::string>();
    }
  }
  void Responses(const Json& event) {
    if (event.value("type", "") != "response.completed") return;
    for (const Json& item : event["response"]["output"]) {
      if (item["type"] == "function_call") calls_.emplace_back(item["name"], item["arguments"]);
    }
  }
  void Ollama(const Json& event) {
    if (!event.contains("message") || !event["message"].contains("tool_calls")) return;
    for (const Json& call : event["message"]["tool_calls"]) {
      calls_.emplace_back(call["function"]["name"], call["function"]["arguments"].dump());
    }
  }

  std::string text_;
  std::vector<Json> events_;
  std::vector<std::pair<std::string, std::string>> calls_;
};

// A question in the words of each dialect, but for how the answer is wanted.
struct Dialects {
  struct Question {
    const char* path;
    Json body;
  };
  std::vector<Question> questions;

  Dialects() {
    Json flat = Json::array(), anthropic = Json::array();
    for (const Json& tool : Parsed(kTools)) {
      Json function = tool["function"];
      Json renamed{{"name", function["name"]}, {"input_schema", function["parameters"]}};
      renamed["description"] = function["description"];
      anthropic.push_back(std::move(renamed));
      function["type"] = "function";
      flat.push_back(std::move(function));
    }
    const Json messages = Parsed(R"([{"role":"user","content":"Why?"}])");
    questions = {
        {"/v1/chat/completions", {{"messages", messages}, {"tools", Parsed(kTools)}}},
        {"/v1/messages", {{"max_tokens", 999}, {"messages", messages}, {"tools", anthropic}}},
        {"/v1/responses", {{"input", messages}, {"tools", flat}}},
        {"/api/chat", {{"model", "fake"}, {"messages", messages}, {"tools", Parsed(kTools)}}},
    };
  }
};

TEST_F(RoundTripTest, EveryDialectStreamsTheCalls) {
  const Router router(service_);
  for (const Family& family : kFamilies) {
    Use(family);
    service_.script = Written(family);
    ASSERT_FALSE(service_.script.empty());
    service_.script_end = FinishReason::kStop;
    for (auto& [path, body] : Dialects().questions) {
      SCOPED_TRACE(std::string(family.name) + path);
      body["stream"] = true;
      const HttpReply reply = PostJson(router, path, body.dump());
      ASSERT_EQ(reply.status, 200) << reply.body;
      Stream stream(reply);
      const auto calls = stream.Calls();
      ASSERT_EQ(calls.size(), calls_->many ? 2u : 1u) << stream.text();
      EXPECT_EQ(calls[0].first, "read");
      EXPECT_EQ(Sorted(calls[0].second), Sorted(Parsed(kRead))) << stream.text();
      if (calls_->many) {
        EXPECT_EQ(calls[1].second, Json::object());
      }
    }
    service_.script.clear();
  }
}

// What a client sends next: the answer as it came, and the results of its calls.
void SendBack(const Json& answer, const std::string& path, Json* body) {
  if (path == "/v1/chat/completions") {
    const Json& message = answer["choices"][0]["message"];
    (*body)["messages"].push_back(message);
    for (const Json& call : message["tool_calls"]) {
      (*body)["messages"].push_back(
          {{"role", "tool"}, {"tool_call_id", call["id"]}, {"content", "RESULT"}});
    }
  } else if (path == "/v1/messages") {
    Json results = Json::array();
    for (const Json& block : answer["content"]) {
      if (block["type"] != "tool_use") continue;
      results.push_back(
          {{"type", "tool_result"}, {"tool_use_id", block["id"]}, {"content", "RESULT"}});
    }
    (*body)["messages"].push_back({{"role", "assistant"}, {"content", answer["content"]}});
    (*body)["messages"].push_back({{"role", "user"}, {"content", results}});
  } else if (path == "/v1/responses") {
    for (const Json& item : answer["output"]) (*body)["input"].push_back(item);
    for (const Json& item : answer["output"]) {
      if (item["type"] != "function_call") continue;
      (*body)["input"].push_back(
          {{"type", "function_call_output"}, {"call_id", item["call_id"]}, {"output", "RESULT"}});
    }
  } else {
    const Json& message = answer["message"];
    (*body)["messages"].push_back(message);
    for (const Json& call : message["tool_calls"]) {
      (*body)["messages"].push_back(
          {{"role", "tool"}, {"tool_name", call["function"]["name"]}, {"content", "RESULT"}});
    }
  }
}

TEST_F(RoundTripTest, EveryDialectTakesItsAnswersBack) {
  const Router router(service_);
  for (const Family& family : kFamilies) {
    Use(family);
    const std::string written = Written(family);
    ASSERT_FALSE(written.empty());
    service_.script_end = FinishReason::kStop;
    for (auto& [path, body] : Dialects().questions) {
      SCOPED_TRACE(std::string(family.name) + path);
      body["stream"] = false;
      service_.script = written;
      const HttpReply reply = PostJson(router, path, body.dump());
      ASSERT_EQ(reply.status, 200) << reply.body;
      SendBack(Parsed(reply.body), path, &body);
      const HttpReply next = PostJson(router, path, body.dump());
      ASSERT_EQ(next.status, 200) << next.body;
      std::string prompt;
      for (const int32_t token : service_.request(service_.submitted() - 1).prompt) {
        prompt += token == 1 ? "<s>" : std::string(1, static_cast<char>(token));
      }
      std::string before = begin_ + written.substr(hidden_.size());
      if (family.source == kMistral) prompt = WithoutIds(prompt), before = WithoutIds(before);
      EXPECT_TRUE(prompt.starts_with(before)) << prompt << "\n-- " << before;
      EXPECT_THAT(prompt, testing::HasSubstr("RESULT"));
    }
    service_.script.clear();
  }
}

}  // namespace
}  // namespace lockstep
