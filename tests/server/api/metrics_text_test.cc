#include "server/api/metrics_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lockstep {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

TEST(MetricsText, CountersAndGauges) {
  ClientMetric plain, labelled;
  plain.counter.value = 12;
  labelled.counter.value = 0.1;
  labelled.label = {{"path", "a\\b\"c\nd"}, {"x", ""}};
  MetricsText text;
  text.Add({"hits_total", "What\\hit\nus \"here\".", MetricType::Counter, {plain, labelled}});
  ClientMetric gauge;
  gauge.gauge.value = -1.5;
  text.Add({"depth", "How deep.", MetricType::Gauge, {gauge}}, "other:depth", {{"model", "m"}});
  EXPECT_EQ(text.Take(), R"(# HELP hits_total What\\hit\nus "here".
# TYPE hits_total counter
hits_total 12
hits_total{path="a\\b\"c\nd",x=""} 0.1
# HELP other:depth How deep.
# TYPE other:depth gauge
other:depth{model="m"} -1.5
)");
}

TEST(MetricsText, Histograms) {
  ClientMetric metric;
  metric.label = {{"route", "/"}};
  metric.histogram.sample_count = 3;
  metric.histogram.sample_sum = 2.75;
  metric.histogram.bucket = {{1, 0.005}, {2, 20000}, {3, INFINITY}};
  MetricsText text;
  text.Add({"seconds", "Time.", MetricType::Histogram, {metric}}, "seconds", {{"engine", "0"}});
  EXPECT_EQ(text.Take(), R"(# HELP seconds Time.
# TYPE seconds histogram
seconds_bucket{engine="0",route="/",le="0.005"} 1
seconds_bucket{engine="0",route="/",le="20000"} 2
seconds_bucket{engine="0",route="/",le="+Inf"} 3
seconds_sum{engine="0",route="/"} 2.75
seconds_count{engine="0",route="/"} 3
)");
}

TEST(MetricsText, NumbersAsTheyAre) {
  const std::pair<double, const char*> cases[] = {
      {0, "0"},
      {1.0 / 3, "0.3333333333333333"},
      {1e14, "100000000000000"},
      {1e300, "1e+300"},
      {NAN, "NaN"},
      {-INFINITY, "-Inf"},
      {1764115200.25, "1764115200.25"},
  };
  for (const auto& [value, written] : cases) {
    ClientMetric metric;
    metric.gauge.value = value;
    MetricsText text;
    text.Add({"n", "", MetricType::Gauge, {metric}});
    EXPECT_EQ(text.Take(), std::string("# HELP n \n# TYPE n gauge\nn ") + written + "\n");
  }
}

}  // namespace
}  // namespace lockstep
