// Items of a response out of the pieces of an answer, and the events that tell of them.
#include "server/api/openai/responses_items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace lockstep {
namespace {

using testing::ElementsAre;
using Kind = ChatPiece::Kind;

// The data of each event, which is named as its type says.
std::vector<Json> Events(std::string text) {
  std::vector<Json> events;
  for (size_t end = text.find("\n\n"); end != text.npos; end = text.find("\n\n")) {
    const std::string event = text.substr(0, end);
    const size_t data = event.find("\ndata: ");
    EXPECT_TRUE(event.starts_with("event: ")) << event;
    events.push_back(Json::parse(event.substr(data + 7), nullptr, false));
    EXPECT_EQ(event.substr(7, data - 7), events.back()["type"].get<std::string>());
    text.erase(0, end + 2);
  }
  EXPECT_EQ(text, "");
  return events;
}

std::vector<std::string> Types(const std::vector<Json>& events) {
  std::vector<std::string> types;
  for (const Json& event : events) types.push_back(event["type"].get<std::string>().substr(9));
  return types;
}

class ResponseItemsTest : public testing::Test {
 protected:
  ChatPiece Text(std::string text) { return {Kind::kText, std::move(text), 0, {}, {}}; }
  ChatPiece Thought(std::string text) { return {Kind::kReasoning, std::move(text), 0, {}, {}}; }
  ChatPiece Begin(std::string name) { return {Kind::kCallBegin, {}, 0, "call_1", std::move(name)}; }
  ChatPiece Arguments(std::string text) { return {Kind::kArguments, std::move(text), 0, {}, {}}; }
  ChatPiece End() { return {Kind::kCallEnd, {}, 0, {}, {}}; }

  ResponsesTools tools_;
  EventLog log_;
};

TEST_F(ResponseItemsTest, AnAnswerIsAThoughtAMessageAndCalls) {
  ResponseItems items("7f", tools_, false, &log_);
  for (const ChatPiece& piece : {Thought("Hm"), Thought("."), Text("It "), Text("is."),
                                 Begin("add"), Arguments("{\"a\":"), Arguments("1}"), End()}) {
    items.Add(piece, {});
  }
  items.End(/*cut=*/false, {});
  const std::vector<Json> events = Events(log_.Take());
  EXPECT_THAT(Types(events),
              ElementsAre("output_item.added", "content_part.added", "reasoning_text.delta",
                          "reasoning_text.delta", "reasoning_text.done", "content_part.done",
                          "output_item.done", "output_item.added", "content_part.added",
                          "output_text.delta", "output_text.delta", "output_text.done",
                          "content_part.done", "output_item.done", "output_item.added",
                          "function_call_arguments.delta", "function_call_arguments.delta",
                          "function_call_arguments.done", "output_item.done"));
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i]["sequence_number"], i);
  const Json output = items.Output();
  EXPECT_EQ(Dump(output[0]),
            R"({"id":"rs_7f0","type":"reasoning","status":"completed","summary":[],)"
            R"("content":[{"type":"reasoning_text","text":"Hm."}]})");
  EXPECT_EQ(
      Dump(output[1]),
      R"({"id":"msg_7f1","type":"message","status":"completed","role":"assistant",)"
      R"("content":[{"type":"output_text","text":"It is.","annotations":[],"logprobs":[]}]})");
  EXPECT_EQ(Dump(output[2]),
            R"({"id":"fc_7f2","type":"function_call","status":"completed","call_id":"call_1",)"
            R"("name":"add","arguments":"{\"a\":1}"})");
  // Each event names the item that it is of, and those that end one have all of it.
  EXPECT_EQ(Dump(events[0]),
            R"({"type":"response.output_item.added","sequence_number":0,"output_index":0,)"
            R"("item":{"id":"rs_7f0","type":"reasoning","status":"in_progress","summary":[],)"
            R"("content":[]}})");
  EXPECT_EQ(Dump(events[1]),
            R"({"type":"response.content_part.added","sequence_number":1,"item_id":"rs_7f0",)"
            R"("output_index":0,"content_index":0,"part":{"type":"reasoning_text","text":""}})");
  EXPECT_EQ(Dump(events[9]),
            R"({"type":"response.output_text.delta","sequence_number":9,"item_id":"msg_7f1",)"
            R"("output_index":1,"delta":"It ","content_index":0,"logprobs":[]})");
  EXPECT_EQ(events[11]["text"], "It is.");
  EXPECT_EQ(events[12]["part"], output[1]["content"][0]);
  EXPECT_EQ(Dump(events[16]),
            R"({"type":"response.function_call_arguments.delta","sequence_number":16,)"
            R"("item_id":"fc_7f2","output_index":2,"delta":"1}"})");
  EXPECT_EQ(events[17]["name"], "add");
  EXPECT_EQ(events[17]["arguments"], "{\"a\":1}");
  EXPECT_EQ(events[18]["item"], output[2]);
}

TEST_F(ResponseItemsTest, AThoughtInThePlaceOfItsSummary) {
  ResponseItems items("7f", tools_, false, &log_, /*summarized=*/true);
  for (const ChatPiece& piece : {Thought("Hm"), Thought("."), Text("It")}) items.Add(piece, {});
  items.End(/*cut=*/false, {});
  const std::vector<Json> events = Events(log_.Take());
  std::vector<std::string> types = Types(events);
  types.resize(7);
  EXPECT_THAT(types, ElementsAre("output_item.added", "reasoning_summary_part.added",
                                 "reasoning_summary_text.delta", "reasoning_summary_text.delta",
                                 "reasoning_summary_text.done", "reasoning_summary_part.done",
                                 "output_item.done"));
  EXPECT_EQ(Dump(events[0]["item"]),
            R"({"id":"rs_7f0","type":"reasoning","status":"in_progress","summary":[]})");
  EXPECT_EQ(Dump(events[1]),
            R"({"type":"response.reasoning_summary_part.added","sequence_number":1,)"
            R"("item_id":"rs_7f0","output_index":0,"summary_index":0,)"
            R"("part":{"type":"summary_text","text":""}})");
  EXPECT_EQ(Dump(events[3]),
            R"({"type":"response.reasoning_summary_text.delta","sequence_number":3,)"
            R"("item_id":"rs_7f0","output_index":0,"delta":".","summary_index":0})");
  EXPECT_EQ(events[4]["text"], "Hm.");
  EXPECT_EQ(Dump(items.Output()[0]), R"({"id":"rs_7f0","type":"reasoning","status":"completed",)"
                                     R"("summary":[{"type":"summary_text","text":"Hm."}]})");
}

TEST_F(ResponseItemsTest, WhatIsCutIsIncompleteAndClosed) {
  for (const bool in_call : {false, true}) {
    ResponseItems items("", tools_, false, &log_);
    items.Add(Text("I'll"), {});
    if (in_call) {
      items.Add(Begin("add"), {});
      items.Add(Arguments("{\"a\""), {});
    }
    items.End(/*cut=*/true, {});
    const std::vector<Json> events = Events(log_.Take());
    const Json output = items.Output();
    EXPECT_EQ(Types(events).back(), "output_item.done");
    EXPECT_EQ(events.back()["item"], output.back());
    if (in_call) {
      const Json& done = events[events.size() - 2];
      EXPECT_EQ(done["type"], "response.function_call_arguments.done");
      EXPECT_EQ(done["arguments"], "{\"a\"");
    }
    EXPECT_EQ(output.back()["status"], "incomplete");
    EXPECT_EQ(output[0]["status"], in_call ? "completed" : "incomplete");
    EXPECT_EQ(output.back().contains("arguments"), in_call);
  }
}

TEST_F(ResponseItemsTest, ACutCustomCallHasTheBeginningOfItsInput) {
  tools_.list.custom = {"patch"};
  ResponseItems items("", tools_, false, &log_);
  items.Add(Begin("patch"), {});
  items.Add(Arguments("{\"input\": \"a\\n"), {});
  items.Add(Arguments("b\\"), {});
  items.End(/*cut=*/true, {});
  const std::vector<Json> events = Events(log_.Take());
  EXPECT_THAT(Types(events), ElementsAre("output_item.added", "custom_tool_call_input.delta",
                                         "custom_tool_call_input.done", "output_item.done"));
  EXPECT_EQ(events[1]["delta"], "a\nb");
  EXPECT_EQ(events[2]["input"], "a\nb");
  EXPECT_EQ(events[3]["item"], items.Output()[0]);
  EXPECT_EQ(items.Output()[0]["status"], "incomplete");
  EXPECT_EQ(items.Output()[0]["input"], "a\nb");
}

// A call that the model has left in the middle is none that may be run, whatever it is left by.
TEST_F(ResponseItemsTest, ACallWithoutItsEndIsIncomplete) {
  ResponseItems items("", tools_, false, nullptr);
  items.Add(Begin("add"), {});
  items.End(/*cut=*/false, {});
  EXPECT_EQ(items.Output()[0]["status"], "incomplete");
}

TEST_F(ResponseItemsTest, AnEmptyAnswerIsAnEmptyMessage) {
  ResponseItems items("", tools_, false, &log_);
  items.End(/*cut=*/false, {});
  EXPECT_THAT(Types(Events(log_.Take())),
              ElementsAre("output_item.added", "content_part.added", "output_text.done",
                          "content_part.done", "output_item.done"));
  EXPECT_EQ(items.Output()[0]["content"][0]["text"], "");
}

TEST_F(ResponseItemsTest, AnItemThatGrowsIsInTheOutput) {
  ResponseItems items("", tools_, false, &log_);
  items.Add(Text("Once"), {});
  const Json item = items.Output()[0];
  EXPECT_EQ(item["status"], "in_progress");
  EXPECT_EQ(item["content"][0]["text"], "Once");
}

TEST_F(ResponseItemsTest, CallsAreInTheFormsOfTheirTools) {
  tools_.list.custom = {"patch", "files__write"};
  tools_.spaced = {{"files__read", {"files", "read"}}, {"files__write", {"files", "write"}}};
  ResponseItems items("", tools_, false, &log_);
  for (const char* name : {"patch", "files__read", "files__write"}) {
    items.Add(Begin(name), {});
    items.Add(Arguments("{\"input\": "), {});
    items.Add(Arguments("\"a\\nb\"}"), {});
    items.Add(End(), {});
  }
  items.End(/*cut=*/false, {});
  const std::vector<Json> events = Events(log_.Take());
  EXPECT_THAT(Types(events),
              ElementsAre("output_item.added", "custom_tool_call_input.delta",
                          "custom_tool_call_input.done", "output_item.done", "output_item.added",
                          "function_call_arguments.delta", "function_call_arguments.delta",
                          "function_call_arguments.done", "output_item.done", "output_item.added",
                          "custom_tool_call_input.delta", "custom_tool_call_input.done",
                          "output_item.done"));
  EXPECT_EQ(events[0]["item"]["input"], "");
  EXPECT_EQ(events[1]["delta"], "a\nb");
  EXPECT_EQ(events[2]["input"], "a\nb");
  EXPECT_EQ(events[7]["name"], "read");
  const Json output = items.Output();
  EXPECT_EQ(Dump(output[0]),
            R"({"id":"ctc_0","type":"custom_tool_call","status":"completed","call_id":"call_1",)"
            R"("name":"patch","input":"a\nb"})");
  EXPECT_EQ(Dump(output[1]),
            R"({"id":"fc_1","type":"function_call","status":"completed","call_id":"call_1",)"
            R"("namespace":"files","name":"read","arguments":"{\"input\": \"a\\nb\"}"})");
  EXPECT_EQ(output[2]["namespace"], "files");
  EXPECT_EQ(output[2]["name"], "write");
}

TEST_F(ResponseItemsTest, AThoughtIsKeptForClientsThatKeepOneField) {
  ResponseItems items("", tools_, /*encrypted=*/true, nullptr);
  items.Add(Thought("Hm."), {});
  items.End(/*cut=*/false, {});
  EXPECT_EQ(items.Output()[0]["encrypted_content"], "lockstep:Hm.");
}

TEST_F(ResponseItemsTest, LogprobsAddUp) {
  ResponseItems items("", tools_, false, &log_);
  items.Add(Text("a"), Json::array({1, 2}));
  items.Add(Text("b"), Json::array({3}));
  items.End(/*cut=*/false, Json::array({4}));
  const std::vector<Json> events = Events(log_.Take());
  EXPECT_EQ(events[2]["logprobs"], Json::array({1, 2}));
  EXPECT_EQ(events[3]["logprobs"], Json::array({3}));
  EXPECT_EQ(events[4]["logprobs"], Json::array({1, 2, 3, 4}));
  EXPECT_EQ(items.Output()[0]["content"][0]["logprobs"], Json::array({1, 2, 3, 4}));
}

}  // namespace
}  // namespace lockstep
