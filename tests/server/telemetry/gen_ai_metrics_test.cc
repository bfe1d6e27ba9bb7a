// Requests as the conventions' histograms.
#include "server/telemetry/gen_ai_metrics.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <string>

#include "tests/server/telemetry/chat_record.h"

namespace lockstep {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;

RequestRecord Chat() {
  RequestRecord record = ChatRecord();
  record.completion_tokens = 11;
  record.tokens_per_second = 40;
  record.total_ms = 300;
  return record;
}

std::vector<MetricFamily> All(const GenAiMetrics& metrics) {
  std::vector<MetricFamily> all;
  metrics.AddTo(all);
  return all;
}

std::vector<std::string> Names(const std::vector<MetricFamily>& all) {
  std::vector<std::string> names;
  for (const MetricFamily& family : all) names.push_back(family.name);
  return names;
}

// "NAME=VALUE ..." of all but the two that all have.
std::string Attributes(const ClientMetric& metric) {
  EXPECT_EQ(metric.label.at(1).name + "=" + metric.label[1].value, "gen_ai.provider.name=lockstep");
  std::string text = metric.label[0].value;
  for (size_t i = 2; i < metric.label.size(); ++i) {
    text += " " + metric.label[i].name + "=" + metric.label[i].value;
  }
  return text;
}

std::vector<double> Bounds(const ClientMetric& metric) {
  std::vector<double> bounds;
  for (const auto& bucket : metric.histogram.bucket) bounds.push_back(bucket.upper_bound);
  bounds.pop_back();
  return bounds;
}

TEST(GenAiMetricsTest, AnAnswerIsMeasuredByTheConventionsBounds) {
  GenAiMetrics metrics;
  metrics.OnRequest(Chat());
  metrics.OnRequest(Chat());
  const auto all = All(metrics);
  ASSERT_THAT(Names(all),
              ElementsAre("gen_ai.server.request.duration", "gen_ai.server.time_to_first_token",
                          "gen_ai.server.time_per_output_token", "gen_ai.client.token.usage"));
  const std::string model = " gen_ai.request.model=tales gen_ai.response.model=tales";
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(all[i].metric.size(), 1U);
    EXPECT_EQ(Attributes(all[i].metric[0]), "chat" + model);
    EXPECT_EQ(all[i].metric[0].histogram.sample_count, 2U);
  }
  EXPECT_THAT(all[0].metric[0].histogram.sample_sum, DoubleNear(0.6, 1e-9));
  EXPECT_THAT(all[1].metric[0].histogram.sample_sum, DoubleNear(0.06, 1e-9));
  EXPECT_THAT(all[2].metric[0].histogram.sample_sum, DoubleNear(0.05, 1e-9));
  EXPECT_THAT(Bounds(all[0].metric[0]), ElementsAre(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28,
                                                    2.56, 5.12, 10.24, 20.48, 40.96, 81.92));
  EXPECT_THAT(Bounds(all[1].metric[0]), ElementsAre(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,
                                                    0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10));
  EXPECT_THAT(Bounds(all[2].metric[0]),
              ElementsAre(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5));
  ASSERT_EQ(all[3].metric.size(), 2U);
  EXPECT_EQ(Attributes(all[3].metric[0]), "chat" + model + " gen_ai.token.type=input");
  EXPECT_EQ(all[3].metric[0].histogram.sample_sum, 60);
  EXPECT_EQ(Attributes(all[3].metric[1]), "chat" + model + " gen_ai.token.type=output");
  EXPECT_EQ(all[3].metric[1].histogram.sample_sum, 22);
  EXPECT_EQ(Bounds(all[3].metric[0]).back(), 67108864);
}

TEST(GenAiMetricsTest, AnErrorHasItsTypeAndNoTimesOfTokens) {
  GenAiMetrics metrics;
  RequestRecord record = Chat();
  record.outcome = "cancelled";
  metrics.OnRequest(record);
  record = RequestRecord();
  record.operation = "text_completion";
  record.status = 429;
  record.outcome = "queue_full";
  metrics.OnRequest(record);
  const auto all = All(metrics);
  ASSERT_THAT(Names(all),
              ElementsAre("gen_ai.server.request.duration", "gen_ai.client.token.usage"));
  ASSERT_EQ(all[0].metric.size(), 2U);
  EXPECT_EQ(Attributes(all[0].metric[0]),
            "chat gen_ai.request.model=tales gen_ai.response.model=tales error.type=cancelled");
  EXPECT_EQ(Attributes(all[0].metric[1]), "text_completion error.type=queue_full");
}

TEST(GenAiMetricsTest, AnEmbeddingHasNoFirstToken) {
  GenAiMetrics metrics;
  RequestRecord record;
  record.operation = "embeddings";
  record.status = 200;
  record.outcome = "ok";
  record.prompt_tokens = 7;
  metrics.OnRequest(record);
  EXPECT_THAT(Names(All(metrics)),
              ElementsAre("gen_ai.server.request.duration", "gen_ai.client.token.usage"));
}

TEST(GenAiMetricsTest, WhatIsNoOperationOfAModelIsNotCounted) {
  GenAiMetrics metrics;
  RequestRecord record;
  record.route = "/metrics";
  record.outcome = "ok";
  metrics.OnRequest(record);
  EXPECT_THAT(All(metrics), IsEmpty());
}

}  // namespace
}  // namespace lockstep
