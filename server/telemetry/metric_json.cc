// A counter is a monotonic sum, and both it and a histogram are cumulative: what a collector misses
// is in what it gets next, so that nothing has to be sent twice.
#include "server/telemetry/metric_json.h"

#include <string>
#include <string_view>
#include <utility>

#include "server/telemetry/otlp_json.h"

namespace lockstep {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr int kCumulative = 2;

// The unit, as UCUM writes it and a name's last words tell it; "" where they do not.
const char* UnitOf(std::string_view name) {
  constexpr std::pair<std::string_view, const char*> kUnits[] = {
      {"_seconds", "s"},
      {"_seconds_total", "s"},
      {"_bytes", "By"},
      {"_bytes_total", "By"},
      {"_ratio", "1"},
      {".duration", "s"},
      {".time_to_first_token", "s"},
      {".time_per_output_token", "s"},
      {".token.usage", "{token}"},
  };
  for (const auto& [end, unit] : kUnits) {
    if (name.ends_with(end)) return unit;
  }
  return "";
}

// Prometheus counts in each bucket what is in those below, too; OTLP has the last bucket's bound,
// which is infinite, left out.
void AddBuckets(const ClientMetric::Histogram& histogram, Json& point) {
  Json counts = Json::array(), bounds = Json::array();
  uint64_t below = 0;
  for (const auto& bucket : histogram.bucket) {
    counts.push_back(std::to_string(bucket.cumulative_count - below));
    below = bucket.cumulative_count;
    bounds.push_back(bucket.upper_bound);
  }
  bounds.erase(bounds.size() - 1);
  point["count"] = std::to_string(histogram.sample_count);
  point["sum"] = histogram.sample_sum;
  point["bucketCounts"] = std::move(counts);
  point["explicitBounds"] = std::move(bounds);
}

Json PointsOf(const MetricFamily& family, const std::string& start, const std::string& now) {
  Json points = Json::array();
  for (const ClientMetric& metric : family.metric) {
    Json attributes = Json::array();
    for (const auto& label : metric.label) {
      attributes.push_back(OtlpAttribute(label.name, label.value));
    }
    Json point = {{"attributes", std::move(attributes)}, {"timeUnixNano", now}};
    if (family.type != MetricType::Gauge) point["startTimeUnixNano"] = start;
    if (family.type == MetricType::Histogram) {
      AddBuckets(metric.histogram, point);
    } else {
      point["asDouble"] =
          family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value;
    }
    points.push_back(std::move(point));
  }
  return points;
}

}  // namespace

Json MetricsJson(std::span<const MetricFamily> families, const OtlpSettings& settings,
                 const char* version, std::chrono::system_clock::time_point start,
                 std::chrono::system_clock::time_point now) {
  const std::string since = OtlpNanoseconds(start), at = OtlpNanoseconds(now);
  Json metrics = Json::array();
  for (const MetricFamily& family : families) {
    Json data = {{"dataPoints", PointsOf(family, since, at)}};
    if (family.type != MetricType::Gauge) data["aggregationTemporality"] = kCumulative;
    if (family.type == MetricType::Counter) data["isMonotonic"] = true;
    const char* const kind = family.type == MetricType::Counter ? "sum"
                             : family.type == MetricType::Gauge ? "gauge"
                                                                : "histogram";
    metrics.push_back({{"name", family.name},
                       {"description", family.help},
                       {"unit", UnitOf(family.name)},
                       {kind, std::move(data)}});
  }
  const Json scope = {{"scope", OtlpScope(version)}, {"metrics", std::move(metrics)}};
  return {{"resourceMetrics", Json::array({{{"resource", OtlpResource(settings, version)},
                                            {"scopeMetrics", Json::array({scope})}}})}};
}

}  // namespace lockstep
