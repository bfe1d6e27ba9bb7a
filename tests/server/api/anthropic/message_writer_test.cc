// Answers of Anthropic's API before a fake service, whole and streamed.
#include "server/api/anthropic/message_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"
#include "tests/server/generation/chat_templates.h"

namespace lockstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Then = BodyPart::Then;

constexpr char kCalls[] =
    "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2}}\n</tool_call>\n"
    "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
constexpr char kTools[] = R"(,"tools":[{"name":"add"},{"name":"now"}])";

class MessageWriterTest : public ApiFixture {
 protected:
  MessageWriterTest() : ApiFixture("tale", kCallTemplate, FinishReason::kStop) {}

  HttpReply Post(const std::string& fields = "", size_t max_tokens = 1000) {
    return PostJson(router_, "/v1/messages",
                    fmt::format(R"({{"model":"fake","max_tokens":{},"seed":7,)"
                                R"("messages":[{{"role":"user","content":"hi"}}]{}}})",
                                max_tokens, fields));
  }
  Json Whole(const std::string& fields = "", size_t max_tokens = 1000) {
    return Answer(Post(fields, max_tokens));
  }
  // The data of a stream's events, of which each has the name of its type.
  std::vector<Json> Events(const std::string& fields = "", size_t max_tokens = 1000) {
    HttpReply reply = Post(R"(,"stream":true)" + fields, max_tokens);
    EXPECT_EQ(reply.content_type, "text/event-stream; charset=utf-8");
    return Parse(Read(reply));
  }
  static std::vector<Json> Parse(std::string_view body) {
    std::vector<Json> events;
    while (!body.empty()) {
      const size_t end = body.find("\n\n");
      const std::string_view event = body.substr(0, end);
      const size_t data = event.find("\ndata: ");
      events.push_back(ParseStrictObject(event.substr(data + 7)).value());
      EXPECT_EQ(event.substr(0, data), "event: " + events.back()["type"].get<std::string>());
      body.remove_prefix(end + 2);
    }
    return events;
  }
  // The message that a client puts together out of the events, by its own rules.
  static Json Accumulate(const std::vector<Json>& events) {
    Json message, input;
    bool open = false;
    for (const Json& event : events) {
      const std::string type = event["type"];
      if (type == "message_start") message = event["message"];
      if (type == "content_block_start") {
        EXPECT_FALSE(open);
        EXPECT_EQ(event["index"], message["content"].size());
        message["content"].push_back(event["content_block"]);
        input = "";
        open = true;
      }
      if (type == "content_block_delta") {
        EXPECT_TRUE(open);
        EXPECT_EQ(event["index"], message["content"].size() - 1);
        for (const auto& [name, text] : event["delta"].items()) {
          if (name == "type") continue;
          Json& to = name == "partial_json" ? input : message["content"].back()[name];
          to = to.get<std::string>() + text.get<std::string>();
        }
      }
      if (type == "content_block_stop") {
        EXPECT_EQ(event["index"], message["content"].size() - 1);
        if (const auto json = ParseStrictObject(input.get<std::string>())) {
          message["content"].back()["input"] = *json;
        }
        open = false;
      }
      if (type == "message_delta") {
        message.update(event["delta"]);
        message["usage"] = event["usage"];
      }
    }
    EXPECT_FALSE(open);
    EXPECT_EQ(events.back()["type"], "message_stop");
    return message;
  }
};

TEST_F(MessageWriterTest, AnswersWhole) {
  Json message = Whole();
  EXPECT_THAT(message["id"].get<std::string>(), StartsWith("msg_"));
  message["id"] = "";
  EXPECT_EQ(Dump(message), R"({"id":"","type":"message","role":"assistant","model":"fake",)"
                           R"("content":[{"type":"text","text":"tale"}],"stop_reason":"end_turn",)"
                           R"("stop_sequence":null,"stop_details":null,"container":null,)"
                           R"("usage":{"input_tokens":2,"cache_creation_input_tokens":0,)"
                           R"("cache_read_input_tokens":0,"output_tokens":4,)"
                           R"("output_tokens_details":{"thinking_tokens":0}},"seed":7})");
}

TEST_F(MessageWriterTest, TheReasonIsWhyTheAnswerEnded) {
  const auto reason = [this](const char* fields, size_t max_tokens) {
    const Json message = Whole(fields, max_tokens);
    const Json delta = Events(fields, max_tokens).rbegin()[1]["delta"];
    EXPECT_EQ(delta["stop_reason"], message["stop_reason"]);
    EXPECT_EQ(delta["stop_sequence"], message["stop_sequence"]);
    return message["stop_reason"].get<std::string>() + ":" + Dump(message["stop_sequence"]);
  };
  EXPECT_EQ(reason("", 9), "end_turn:null");
  service_.script_stop = 1;
  EXPECT_EQ(reason(R"(,"stop_sequences":["a","b"])", 9), R"(stop_sequence:"b")");
  service_.script_stop.reset();
  service_.script_end = FinishReason::kLength;
  EXPECT_EQ(reason("", 4), "max_tokens:null");
  EXPECT_EQ(reason("", 9), "model_context_window_exceeded:null");
  EXPECT_EQ(reason("", 0), "max_tokens:null");
}

TEST_F(MessageWriterTest, CallsAreBlocks) {
  service_.script = kCalls;
  const Json message = Whole(kTools);
  EXPECT_EQ(message["stop_reason"], "tool_use");
  ASSERT_EQ(message["content"].size(), 2u);
  const Json& call = message["content"][0];
  EXPECT_EQ(call["type"], "tool_use");
  EXPECT_NE(call["id"], message["content"][1]["id"]);
  EXPECT_EQ(call["name"], "add");
  EXPECT_EQ(Dump(call["input"]), R"({"a":2})");
  EXPECT_EQ(Dump(message["content"][1]["input"]), "{}");
}

// A client that runs what was cut off would run something else than was meant.
TEST_F(MessageWriterTest, ACallThatIsCutOffIsNoReasonToRunIt) {
  service_.script = std::string(kCalls).substr(0, 48);
  service_.script_end = FinishReason::kLength;
  const Json message = Whole(kTools, service_.script.size());
  EXPECT_EQ(message["stop_reason"], "max_tokens");
  EXPECT_EQ(Dump(message["content"][0]["input"]), "{}");
}

TEST_F(MessageWriterTest, AThoughtIsABlockWithASignature) {
  service_.SetChatTemplate(kQwen3);
  service_.script = "<think>\nHm, so.\n</think>\n\ntale";
  EXPECT_EQ(Dump(Whole()["content"]),
            R"([{"type":"thinking","thinking":"Hm, so.","signature":"lockstep"},)"
            R"({"type":"text","text":"tale"}])");
  EXPECT_GT(Whole()["usage"]["output_tokens_details"]["thinking_tokens"], 6);
  const char* const kOmitted = R"(,"thinking":{"type":"adaptive","display":"omitted"})";
  EXPECT_EQ(Dump(Whole(kOmitted)["content"][0]),
            R"({"type":"thinking","thinking":"","signature":"lockstep:Hm, so."})");
  for (const char* fields : {"", kOmitted, kTools}) {
    Json whole = Whole(fields), streamed = Accumulate(Events(fields));
    for (Json* message : {&whole, &streamed}) (*message)["id"] = "";
    EXPECT_EQ(Dump(streamed), Dump(whole));
  }
}

TEST_F(MessageWriterTest, AStreamAddsUpToTheWhole) {
  for (const std::string& script : {std::string("tale"), std::string(kCalls), std::string("x")}) {
    service_.script = script;
    for (const char* fields : {"", kTools}) {
      Json whole = Whole(fields), streamed = Accumulate(Events(fields));
      for (Json* message : {&whole, &streamed}) {
        (*message)["id"] = "";
        for (Json& block : (*message)["content"]) {
          if (block.contains("id")) block["id"] = "";
        }
      }
      EXPECT_EQ(Dump(streamed), Dump(whole));
    }
  }
}

TEST_F(MessageWriterTest, AStreamHasItsEventsInOrder) {
  service_.script = std::string("ok") + kCalls;
  std::vector<std::string> types;
  for (const Json& event : Events()) {
    const std::string type = event["type"];
    if (types.empty() || types.back() != type) types.push_back(type);
  }
  EXPECT_THAT(types, ElementsAre("message_start", "content_block_start", "content_block_delta",
                                 "content_block_stop", "message_delta", "message_stop"));
  const std::vector<Json> events = Events();
  EXPECT_EQ(events[0]["message"]["usage"]["output_tokens"], 1);  // it begins with the first
  EXPECT_EQ(Dump(events[1]), R"({"type":"content_block_start","index":0,)"
                             R"("content_block":{"type":"text","text":""}})");
  EXPECT_EQ(Dump(events[2]), R"({"type":"content_block_delta","index":0,)"
                             R"("delta":{"type":"text_delta","text":"o"}})");
}

TEST_F(MessageWriterTest, AnErrorMidStreamIsTheLastEvent) {
  service_.script.clear();
  auto handling = Begin([&] { return Post(R"(,"stream":true)"); });
  service_.Send(0, 'a');
  HttpReply reply = handling.get();
  EXPECT_EQ(reply.next().then, Then::kMore);
  service_.Fail(0, ErrorKind::kUnavailable, "shutting down");
  const BodyPart end = reply.next();
  EXPECT_EQ(end.then, Then::kClose);
  EXPECT_THAT(end.data,
              StartsWith("event: error\ndata: {\"type\":\"error\",\"error\":"
                         "{\"type\":\"overloaded_error\",\"message\":\"shutting down\"}"));
}

TEST_F(MessageWriterTest, AStreamThatWaitsPings) {
  service_.script.clear();
  ApiSettings settings;
  settings.generate.keep_alive = std::chrono::milliseconds(1);
  const Router router(service_, std::move(settings));
  HttpReply reply =
      PostJson(router, "/v1/messages",
               R"({"max_tokens":5,"stream":true,"messages":[{"role":"user","content":"hi"}]})");
  const std::vector<Json> events = Parse(reply.next().data);
  EXPECT_EQ(events[0]["type"], "message_start");
  EXPECT_EQ(events[1]["type"], "ping");
  EXPECT_EQ(events[1]["prompt_progress"]["total"], 2);
}

}  // namespace
}  // namespace lockstep
