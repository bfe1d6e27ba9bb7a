// Counters, gauges and histograms as OTLP has them.
#include "server/telemetry/metric_json.h"

#include <gmock/gmock.h>

#include <limits>
#include <vector>

namespace lockstep {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr std::chrono::system_clock::time_point kStart{std::chrono::seconds(1'700'000'000)};
constexpr std::chrono::system_clock::time_point kNow{std::chrono::seconds(1'800'000'000)};

Json MetricOf(const MetricFamily& family) {
  OtlpSettings settings;
  settings.resource = {{"service.name", "x"}};
  const Json json = MetricsJson({&family, 1}, settings, "1.2", kStart, kNow);
  const Json& resource = json["resourceMetrics"][0];
  EXPECT_EQ(Dump(resource["resource"]),
            R"({"attributes":[{"key":"service.version","value":{"stringValue":"1.2"}},)"
            R"({"key":"service.name","value":{"stringValue":"x"}}]})");
  EXPECT_EQ(Dump(resource["scopeMetrics"][0]["scope"]), R"({"name":"lockstep","version":"1.2"})");
  return resource["scopeMetrics"][0]["metrics"][0];
}

TEST(MetricJsonTest, ACounterIsAMonotonicSum) {
  MetricFamily family{"a_bytes_total", "Help.", MetricType::Counter, {}};
  ClientMetric metric;
  metric.label = {{"route", "/\"x"}};
  metric.counter.value = 3;
  family.metric = {metric};
  EXPECT_EQ(Dump(MetricOf(family)),
            R"({"name":"a_bytes_total","description":"Help.","unit":"By","sum":{"dataPoints":[)"
            R"({"attributes":[{"key":"route","value":{"stringValue":"/\"x"}}],)"
            R"("timeUnixNano":"1800000000000000000","startTimeUnixNano":"1700000000000000000",)"
            R"("asDouble":3.0}],"aggregationTemporality":2,"isMonotonic":true}})");
}

TEST(MetricJsonTest, AGaugeHasNoStart) {
  MetricFamily family{"a_ratio", "Help.", MetricType::Gauge, {ClientMetric{}}};
  family.metric[0].gauge.value = 0.5;
  EXPECT_EQ(Dump(MetricOf(family)),
            R"({"name":"a_ratio","description":"Help.","unit":"1","gauge":{"dataPoints":[)"
            R"({"attributes":[],"timeUnixNano":"1800000000000000000","asDouble":0.5}]}})");
}

TEST(MetricJsonTest, BucketsOfAHistogramAreCountedApart) {
  MetricFamily family{
      "gen_ai.client.token.usage", "Help.", MetricType::Histogram, {ClientMetric{}}};
  family.metric[0].histogram = {
      6, 21.5, {{1, 0.5}, {4, 2}, {6, std::numeric_limits<double>::infinity()}}};
  EXPECT_EQ(
      Dump(MetricOf(family)),
      R"({"name":"gen_ai.client.token.usage","description":"Help.","unit":"{token}",)"
      R"("histogram":{"dataPoints":[{"attributes":[],"timeUnixNano":"1800000000000000000",)"
      R"("startTimeUnixNano":"1700000000000000000","count":"6","sum":21.5,)"
      R"("bucketCounts":["1","3","2"],"explicitBounds":[0.5,2.0]}],"aggregationTemporality":2}})");
}

TEST(MetricJsonTest, UnitsAreTheNames) {
  const auto unit = [](const char* name) {
    return MetricOf({name, "", MetricType::Gauge, {}})["unit"].get<std::string>();
  };
  EXPECT_EQ(unit("process_cpu_seconds_total"), "s");
  EXPECT_EQ(unit("lockstep_step_seconds"), "s");
  EXPECT_EQ(unit("gen_ai.server.request.duration"), "s");
  EXPECT_EQ(unit("gen_ai.server.time_to_first_token"), "s");
  EXPECT_EQ(unit("gen_ai.server.time_per_output_token"), "s");
  EXPECT_EQ(unit("lockstep_kv_used_bytes"), "By");
  EXPECT_EQ(unit("lockstep_sessions"), "");
}

}  // namespace
}  // namespace lockstep
