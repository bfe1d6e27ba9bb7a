// A request as spans: names, times, attributes.
#include "server/telemetry/span_json.h"

#include <gmock/gmock.h>

#include <map>

#include "tests/server/telemetry/chat_record.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using testing::Contains;
using testing::Key;
using testing::Not;

constexpr std::chrono::system_clock::time_point kEnd{std::chrono::seconds(1'800'000'000)};

RequestRecord Chat() {
  RequestRecord record = ChatRecord();
  record.request_id = "req-1";
  record.id = "chatcmpl-1";
  record.method = "POST";
  record.path = record.route = "/v1/chat/completions";
  record.trace_id = std::string(32, 'a');
  record.span_id = std::string(16, 'b');
  record.parent_id = std::string(16, 'c');
  record.cached_tokens = 16;
  record.completion_tokens = 12;
  record.answers = 1;
  record.max_tokens = 64;
  record.stream = true;
  record.temperature = 0.5;
  record.top_p = 0.75;
  record.seed = static_cast<uint64_t>(-7);
  record.queue_ms = 10;
  record.prefill_ms = 20;
  record.decode_ms = 60;
  record.total_ms = 100;
  return record;
}

Json SpansOf(const RequestRecord& record) {
  OtlpSettings settings;
  settings.resource = {{"service.name", "x"}};
  const EndedRequest request{record, kEnd};
  const Json json = TracesJson({&request, 1}, settings, "1.2");
  const Json& resource = json["resourceSpans"][0];
  EXPECT_EQ(Dump(resource["resource"]["attributes"]),
            R"([{"key":"service.version","value":{"stringValue":"1.2"}},)"
            R"({"key":"service.name","value":{"stringValue":"x"}}])");
  return resource["scopeSpans"][0]["spans"];
}

std::map<std::string, Json> AttributesOf(const Json& span) {
  std::map<std::string, Json> attributes;
  for (const Json& attribute : span["attributes"]) {
    attributes[attribute["key"]] = attribute["value"].begin().value();
  }
  return attributes;
}

std::string Nanoseconds(milliseconds before_end) {
  return std::to_string(1'800'000'000'000'000'000 - before_end.count() * 1'000'000);
}

TEST(SpanJsonTest, ARequestIsASpanWithItsPartsBelow) {
  const Json spans = SpansOf(Chat());
  ASSERT_EQ(spans.size(), 4U);
  EXPECT_EQ(spans[0]["name"], "chat tales");
  EXPECT_EQ(spans[0]["kind"], 2);
  EXPECT_EQ(spans[0]["traceId"], std::string(32, 'a'));
  EXPECT_EQ(spans[0]["spanId"], std::string(16, 'b'));
  EXPECT_EQ(spans[0]["parentSpanId"], std::string(16, 'c'));
  EXPECT_EQ(spans[0]["startTimeUnixNano"], Nanoseconds(milliseconds(100)));
  EXPECT_EQ(spans[0]["endTimeUnixNano"], Nanoseconds(milliseconds(0)));
  EXPECT_FALSE(spans[0].contains("status"));
  const std::pair<const char*, int> parts[] = {{"queue", 90}, {"prefill", 80}, {"decode", 60}};
  for (size_t i = 0; i < 3; ++i) {
    const Json& span = spans[1 + i];
    EXPECT_EQ(span["name"], parts[i].first);
    EXPECT_EQ(span["kind"], 1);
    EXPECT_EQ(span["parentSpanId"], spans[0]["spanId"]);
    EXPECT_EQ(span["startTimeUnixNano"], Nanoseconds(milliseconds(parts[i].second)));
    EXPECT_EQ(span["endTimeUnixNano"], Nanoseconds(milliseconds(i < 2 ? parts[i + 1].second : 0)));
  }
  EXPECT_NE(spans[1]["spanId"], spans[2]["spanId"]);
}

TEST(SpanJsonTest, AttributesHaveTheConventionsNames) {
  const auto attributes = AttributesOf(SpansOf(Chat())[0]);
  const std::map<std::string, Json> expected = {
      {"http.request.method", "POST"},
      {"http.route", "/v1/chat/completions"},
      {"http.response.status_code", "200"},
      {"lockstep.request.id", "req-1"},
      {"gen_ai.operation.name", "chat"},
      {"gen_ai.provider.name", "lockstep"},
      {"gen_ai.request.model", "tales"},
      {"gen_ai.response.model", "tales"},
      {"gen_ai.response.id", "chatcmpl-1"},
      {"gen_ai.request.max_tokens", "64"},
      {"gen_ai.request.stream", true},
      {"gen_ai.request.temperature", 0.5},
      {"gen_ai.request.top_p", 0.75},
      {"gen_ai.request.seed", "-7"},
      {"gen_ai.usage.input_tokens", "30"},
      {"gen_ai.usage.cache_read.input_tokens", "16"},
      {"gen_ai.usage.output_tokens", "12"},
      {"gen_ai.response.finish_reasons", {{"values", Json::array({{{"stringValue", "stop"}}})}}},
      {"gen_ai.response.time_to_first_chunk", 0.03},
      {"gen_ai.latency.time_to_first_token", 0.03},
      {"gen_ai.latency.time_in_queue", 0.01},
      {"gen_ai.latency.time_in_model_prefill", 0.02},
      {"gen_ai.latency.time_in_model_decode", 0.06},
      {"gen_ai.latency.e2e", 0.1},
  };
  EXPECT_EQ(attributes, expected);
}

TEST(SpanJsonTest, ErrorsAreNamed) {
  struct Case {
    int status;
    const char* outcome;
    bool error, span_error;  // a client's mistake is none of the server's
  };
  for (const Case& c :
       {Case{200, "length", false, false}, Case{400, "invalid_request_error", true, false},
        Case{503, "unavailable", true, true}, Case{200, "deadline_exceeded", true, true}}) {
    RequestRecord record = Chat();
    record.status = c.status;
    record.outcome = c.outcome;
    const Json spans = SpansOf(record);
    const auto attributes = AttributesOf(spans[0]);
    EXPECT_EQ(attributes.contains("error.type"), c.error) << c.outcome;
    EXPECT_EQ(attributes.contains("gen_ai.response.finish_reasons"), !c.error) << c.outcome;
    EXPECT_EQ(spans[0].contains("status"), c.span_error) << c.outcome;
  }
}

TEST(SpanJsonTest, WhatAsksNoModelIsNoOperation) {
  RequestRecord record = Chat();
  EXPECT_EQ(AttributesOf(SpansOf(record)[0]).at("gen_ai.operation.name"), "chat");
  record.operation = {};
  EXPECT_FALSE(AttributesOf(SpansOf(record)[0]).contains("gen_ai.operation.name"));
}

TEST(SpanJsonTest, TimesThatAreNotKnownAreNotTold) {
  RequestRecord record = Chat();  // as of a client that went away
  record.outcome = "cancelled";
  record.queue_ms = record.prefill_ms = record.decode_ms = 0;
  Json spans = SpansOf(record);
  EXPECT_EQ(spans.size(), 1U);
  auto attributes = AttributesOf(spans[0]);
  EXPECT_EQ(attributes.at("gen_ai.latency.time_to_first_token"), 0.03);
  EXPECT_EQ(attributes.at("gen_ai.latency.e2e"), 0.1);
  for (const char* part : {"queue", "model_prefill", "model_decode"}) {
    EXPECT_FALSE(attributes.contains(std::string("gen_ai.latency.time_in_") + part)) << part;
  }
  record.first_token_ms = 0;
  attributes = AttributesOf(SpansOf(record)[0]);
  EXPECT_FALSE(attributes.contains("gen_ai.latency.time_to_first_token"));
  EXPECT_FALSE(attributes.contains("gen_ai.response.time_to_first_chunk"));
}

TEST(SpanJsonTest, WhatGeneratesNothingIsOneSpan) {
  RequestRecord record;
  record.method = "GET";
  record.route = "/v1/models";
  record.trace_id = std::string(32, 'a');
  record.span_id = std::string(16, 'b');
  record.status = 200;
  record.outcome = "ok";
  const Json spans = SpansOf(record);
  ASSERT_EQ(spans.size(), 1U);
  EXPECT_EQ(spans[0]["name"], "GET /v1/models");
  EXPECT_FALSE(spans[0].contains("parentSpanId"));
  EXPECT_THAT(AttributesOf(spans[0]), Not(Contains(Key("gen_ai.provider.name"))));
  record.route = "";  // there is none: the path is anybody's, and names of spans are few
  EXPECT_EQ(SpansOf(record)[0]["name"], "GET");
}

}  // namespace
}  // namespace lockstep
