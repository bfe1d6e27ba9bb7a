// Responses before a fake service: fields, refusals, whole answers and streams.
#include "server/api/openai/responses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/api_fixture.h"

namespace lockstep {
namespace {

using testing::HasSubstr;

constexpr char kTemplate[] =
    "{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}{{ reasoning_effort }}";

class ResponsesTest : public ApiFixture {
 protected:
  ResponsesTest() : ApiFixture("tale", kTemplate, FinishReason::kStop) {}

  HttpReply Post(const std::string& body) { return PostJson(router_, "/v1/responses", body); }
  Json Answer(const std::string& body) { return ApiFixture::Answer(Post(body)); }
  GenerationOptions Options(const std::string& fields) {
    Answer(R"({"input":"x",)" + fields + "}");
    return LastOptions();
  }
  std::string Ignored(const std::string& fields) {
    return ApiFixture::Ignored(Post(R"({"input":"x",)" + fields + "}"));
  }
  // All events of a stream, without their ids and times.
  std::vector<Json> Stream(const std::string& body) {
    const HttpReply reply = Post(body);
    EXPECT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.content_type, "text/event-stream; charset=utf-8");
    const std::string text = Read(reply);
    std::vector<Json> events;
    for (size_t at = text.find("data: "); at != text.npos; at = text.find("data: ", at + 1)) {
      events.push_back(
          Json::parse(text.substr(at + 6, text.find('\n', at) - at - 6), nullptr, false));
      EXPECT_EQ(events.back()["sequence_number"], events.size() - 1);
    }
    return events;
  }
};

TEST_F(ResponsesTest, AResponseHasTheFieldsThatClientsInsistOn) {
  Json json = Answer(R"({"model":"fake","input":"x","instructions":"Be brief.","seed":5,
      "metadata":{"a":"b"},"temperature":0.5,"max_output_tokens":9,"prompt_cache_key":"k",
      "text":{"verbosity":"low"},"reasoning":{"effort":"low"}})");
  const auto id = json["id"].get<std::string>();
  EXPECT_TRUE(id.starts_with("resp_")) << id;
  EXPECT_EQ(json["output"][0]["id"], "msg_" + id.substr(5) + "0");
  EXPECT_GE(json["completed_at"], json["created_at"]);
  json["output"][0]["id"] = json["id"] = "";
  json["created_at"] = json["completed_at"] = 0;
  EXPECT_EQ(
      Dump(json),
      R"({"id":"","object":"response","created_at":0,"status":"completed","completed_at":0,)"
      R"("error":null,"incomplete_details":null,"model":"fake","output":[{"id":"",)"
      R"("type":"message","status":"completed","role":"assistant","content":[)"
      R"({"type":"output_text","text":"tale","annotations":[],"logprobs":[]}]}],)"
      R"("usage":{"input_tokens":31,"input_tokens_details":{"cached_tokens":0,)"
      R"("cache_write_tokens":0},"output_tokens":4,"output_tokens_details":{)"
      R"("reasoning_tokens":0},"total_tokens":35},"system_fingerprint":"ls1-0123456789abcdef",)"
      R"("background":false,"instructions":"Be brief.","max_output_tokens":9,)"
      R"("max_tool_calls":null,"metadata":{"a":"b"},"parallel_tool_calls":true,)"
      R"("previous_response_id":null,"prompt_cache_key":"k",)"
      R"("reasoning":{"effort":"low","summary":null},"safety_identifier":null,)"
      R"("service_tier":"default","store":true,"temperature":0.5,)"
      R"("text":{"format":{"type":"text"},"verbosity":"low"},"tool_choice":"auto","tools":[],)"
      R"("top_logprobs":0,"top_p":1.0,"truncation":"disabled","user":null,"seed":5})");
}

TEST_F(ResponsesTest, AStreamAddsUpToTheResponse) {
  std::vector<Json> events = Stream(R"({"input":"x","stream":true,"seed":5})");
  std::vector<std::string> types;
  for (const Json& event : events) types.push_back(event["type"].get<std::string>());
  EXPECT_THAT(types,
              testing::ElementsAre("response.created", "response.in_progress",
                                   "response.output_item.added", "response.content_part.added",
                                   "response.output_text.delta", "response.output_text.delta",
                                   "response.output_text.delta", "response.output_text.delta",
                                   "response.output_text.done", "response.content_part.done",
                                   "response.output_item.done", "response.completed"));
  EXPECT_EQ(events[0]["response"]["status"], "in_progress");
  EXPECT_EQ(events[0]["response"]["output"], Json::array());
  EXPECT_EQ(events[8]["text"], "tale");
  Json streamed = events.back()["response"];
  EXPECT_EQ(streamed["id"], events[0]["response"]["id"]);
  EXPECT_EQ(streamed["output"][0], events[10]["item"]);
  EXPECT_EQ(streamed["usage"]["output_tokens"], 4);
  Json whole = Answer(R"({"input":"x","seed":5})");
  for (Json* json : {&streamed, &whole}) {
    (*json)["id"] = (*json)["output"][0]["id"] = "";
    (*json)["created_at"] = (*json)["completed_at"] = 0;
  }
  EXPECT_EQ(Dump(streamed), Dump(whole));
}

TEST_F(ResponsesTest, WhatIsCutIsIncomplete) {
  service_.script_end = FinishReason::kLength;
  const Json whole = Answer(R"({"input":"x"})");
  EXPECT_EQ(whole["status"], "incomplete");
  EXPECT_EQ(Dump(whole["incomplete_details"]), R"({"reason":"max_output_tokens"})");
  EXPECT_TRUE(whole["completed_at"].is_null());
  EXPECT_EQ(whole["output"][0]["status"], "incomplete");
  const std::vector<Json> events = Stream(R"({"input":"x","stream":true})");
  EXPECT_EQ(events.back()["type"], "response.incomplete");
  EXPECT_EQ(events.back()["response"]["status"], "incomplete");
}

TEST_F(ResponsesTest, AFailureIsAnErrorAndAFailedResponse) {
  service_.script = "";
  const HttpReply reply = [this] {
    std::thread sender([this] {
      ASSERT_TRUE(Eventually([this] { return service_.submitted() == 1; }));
      service_.Send(0, 'a');
    });
    HttpReply begun = Post(R"({"input":"x","stream":true})");
    sender.join();
    return begun;
  }();
  ASSERT_EQ(reply.status, 200);
  EXPECT_THAT(reply.next().data, HasSubstr("response.output_text.delta"));
  service_.Fail(0, ErrorKind::kDeadlineExceeded, "took too long");
  const BodyPart last = reply.next();
  EXPECT_EQ(last.then, BodyPart::Then::kClose);
  EXPECT_THAT(last.data,
              HasSubstr("event: error\ndata: {\"type\":\"error\",\"sequence_number\":5,"
                        "\"code\":\"server_error\",\"message\":\"took too long\",\"param\":null,"
                        "\"error\":{"));
  EXPECT_THAT(last.data, HasSubstr("event: response.failed\n"));
  EXPECT_THAT(last.data,
              HasSubstr("\"status\":\"failed\",\"completed_at\":null,\"error\":{\"code\":"
                        "\"server_error\",\"message\":\"took too long\"}"));
  EXPECT_THAT(last.data, HasSubstr("\"text\":\"a\""));  // what there was of the answer
}

// With events, since not all clients take comments for a sign of life.
TEST_F(ResponsesTest, AStreamThatWaitsSaysSo) {
  service_.script = "";
  ApiSettings settings;
  settings.generate.keep_alive = std::chrono::milliseconds(10);
  const Router router(service_, settings);
  const HttpReply reply = PostJson(router, "/v1/responses", R"({"input":"x","stream":true})");
  ASSERT_EQ(reply.status, 200);
  EXPECT_THAT(reply.next().data, HasSubstr("event: response.created\n"));
  const std::string waiting = reply.next().data;
  EXPECT_TRUE(waiting.starts_with("event: response.in_progress\ndata: ")) << waiting;
  EXPECT_THAT(waiting, HasSubstr("\"prompt_progress\":{\"total\":9,"));
}

TEST_F(ResponsesTest, FieldsReachTheEngine) {
  const GenerationOptions options = Options(R"("max_output_tokens":7,"temperature":0.25,
      "top_p":0.5,"stop":["x"],"top_k":3)");
  EXPECT_EQ(options.max_tokens, 7u);
  EXPECT_EQ(options.sampling.temperature, 0.25f);
  EXPECT_EQ(options.sampling.top_p, 0.5f);
  EXPECT_EQ(options.sampling.top_k, 3);
  EXPECT_EQ(options.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(Options(R"("temperature":null)").sampling.temperature, 1);
  EXPECT_EQ(Options(R"("temperature":null)").sampling.logprobs, -1);
  EXPECT_EQ(Options(R"("top_logprobs":3)").sampling.logprobs, 3);
  EXPECT_EQ(Options(R"("include":["message.output_text.logprobs"])").sampling.logprobs, 0);
}

TEST_F(ResponsesTest, TextHasAFormat) {
  const auto allows = [this](const std::string& text, std::string_view answer) {
    const auto grammar = Options("\"text\":" + text).grammar;
    return grammar == nullptr || Matches(grammar->grammar(), answer);
  };
  constexpr char kSchema[] =
      R"("name":"n","schema":{"type":"object","properties":{"a":{"const":1}},"required":["a"]})";
  const std::string formats[] = {
      std::string(R"({"format":{"type":"json_schema",)") + kSchema + "}}",
      std::string(R"({"format":{"type":"json_schema","strict":true,)") + kSchema + "}}",
      std::string(R"({"format":{"type":"json_schema","json_schema":{)") + kSchema + "}}}"};
  for (const std::string& format : formats) {
    SCOPED_TRACE(format);
    EXPECT_TRUE(allows(format, R"({"a":1})"));
    EXPECT_FALSE(allows(format, R"({"a":2})"));
    EXPECT_FALSE(allows(format, "Once"));
  }
  EXPECT_TRUE(allows(R"({"format":{"type":"json_object"}})", R"({"a":2})"));
  EXPECT_FALSE(allows(R"({"format":{"type":"json_object"}})", "Once"));
  EXPECT_TRUE(allows(R"({"format":{"type":"text"}})", "Once"));
  EXPECT_TRUE(allows(R"({"format":null})", "Once"));
  EXPECT_TRUE(allows("{}", "Once"));
}

TEST_F(ResponsesTest, LogprobsGoWithTheText) {
  const Json json = Answer(R"({"input":"x","top_logprobs":2,
      "include":["message.output_text.logprobs"]})");
  const Json& logprobs = json["output"][0]["content"][0]["logprobs"];
  ASSERT_EQ(logprobs.size(), 4u);
  EXPECT_EQ(logprobs[0]["token"], "t");
  EXPECT_EQ(Dump(logprobs[0]["bytes"]), "[116]");
  EXPECT_EQ(logprobs[0]["top_logprobs"].size(), 2u);
  const std::vector<Json> events = Stream(R"({"input":"x","top_logprobs":2,"stream":true})");
  EXPECT_EQ(events[4]["logprobs"], Json::array({logprobs[0]}));
  EXPECT_EQ(events[8]["logprobs"], logprobs);
}

TEST_F(ResponsesTest, WhatTheServerCannotDoIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("previous_response_id":"resp_1")", "previous_response_id"},
      {R"("conversation":{"id":"conv_1"})", "conversation"},
      {R"("prompt":{"id":"pmpt_1"})", "prompt"},
      {R"("background":true)", "background"},
      {R"("context_management":[{"type":"compaction"}])", "context_management"},
      {R"("n":2)", "n"},
      {R"("max_output_tokens":0)", "max_output_tokens"},
      {R"("include":"all")", "include"},
      {R"("top_logprobs":21)", "top_logprobs"},
      {R"("metadata":[])", "metadata"},
      {R"("instructions":1)", "instructions"},
      {R"("reasoning":"low")", "reasoning"},
      {R"("text":{"format":{"type":"xml"}})", "text.format.type"},
      {R"("text":{"format":{"type":"json_schema","name":"n"}})", "text.format.schema"},
      {R"("text":{"format":{"type":"json_schema","name":1,"schema":{}}})", "text.format.name"},
      {R"("text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":
          {"properties":{"a":{"type":"string","pattern":"(a)\\1"}}}}})",
       "text.format.schema"},
      {R"("text":{"format":{"type":"json_object"}},"grammar":"root ::= \"a\"")",
       "text.format.type"},
  };
  for (const auto& [fields, param] : cases) {
    SCOPED_TRACE(fields);
    const HttpReply reply = Post(std::string(R"({"input":"x",)") + fields + "}");
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.body, HasSubstr(std::string("\"param\":\"") + param + "\""));
  }
  EXPECT_THAT(Post(R"({"input":"x","conversation":"conv_1"})").body,
              HasSubstr("previous_response_id, and nothing else"));
  EXPECT_EQ(service_.submitted(), 0u);
}

TEST_F(ResponsesTest, NullIsAbsent) {
  EXPECT_EQ(Ignored(R"("previous_response_id":null,"conversation":null,"background":null,
      "context_management":null,"instructions":null,"tools":null,"tool_choice":null,
      "reasoning":null,"text":null,"include":null,"metadata":null,"max_output_tokens":null,
      "truncation":null,"stream":null,"store":null,"top_logprobs":null,"user":null)"),
            "");
  EXPECT_EQ(Ignored(R"("background":false,"context_management":[],"store":false,
      "reasoning":{"effort":null,"summary":null},"text":{"format":null})"),
            "");
}

TEST_F(ResponsesTest, WhatTakesNoEffectIsNamed) {
  EXPECT_EQ(Ignored(R"("store":true)"), "");
  EXPECT_EQ(Ignored(R"("truncation":"auto")"), "truncation");
  EXPECT_EQ(Ignored(R"("truncation":"disabled")"), "");
  EXPECT_EQ(Ignored(R"("text":{"verbosity":"low"})"), "text.verbosity");
  EXPECT_EQ(Ignored(R"("reasoning":{"summary":"detailed"})"), "");
  EXPECT_EQ(Ignored(R"("reasoning":{"summary":"auto"})"), "");
  EXPECT_EQ(Ignored(R"("include":["reasoning.encrypted_content","code_interpreter_call.outputs"])"),
            "include.code_interpreter_call.outputs");
  EXPECT_EQ(Ignored(R"("client_metadata":{"a":"b"},"prompt_cache_key":"k","user":"u")"), "");
}

TEST_F(ResponsesTest, EffortIsMappedAndElseNamed) {
  Answer(R"({"input":"x","reasoning":{"effort":"low"}})");
  EXPECT_EQ(service_.Decode(service_.request(0).prompt), "[user: x]low");
  service_.SetChatTemplate("{{ messages[0].content }}");
  EXPECT_EQ(Ignored(R"("reasoning":{"effort":"low"})"), "reasoning.effort");
}

TEST_F(ResponsesTest, PromptsAreCounted) {
  const HttpReply reply =
      PostJson(router_, "/v1/responses/input_tokens", R"({"model":"fake","input":"x"})");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, R"({"object":"response.input_tokens","input_tokens":9})");
  EXPECT_EQ(service_.submitted(), 0u);
}

TEST_F(ResponsesTest, WithoutATemplateThereIsNone) {
  FakeService bare;
  const Router router(bare);
  EXPECT_EQ(PostJson(router, "/v1/responses", R"({"input":"x"})").status, 400);
}

}  // namespace
}  // namespace lockstep
