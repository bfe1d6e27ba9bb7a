// Prometheus' text format, version 0.0.4. The library's own writer goes through a stream with a
// locale for each of a thousand numbers; gateways ask 20 times a second. Used by one thread.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

// A family of one number.
prometheus::MetricFamily Value(const char* name, const char* help, double value,
                               MetricLabels labels = {},
                               prometheus::MetricType type = prometheus::MetricType::Gauge);

// One metric of a family for each of the values, told apart by one label.
prometheus::MetricFamily ByLabel(const char* name, const char* help, prometheus::MetricType type,
                                 const char* label,
                                 const std::vector<std::pair<const char*, double>>& values);

class MetricsText {
 public:
  // Writes counters, gauges and histograms. `name` stands in place of the family's, and `labels`
  // before those that its metrics have.
  void Add(const prometheus::MetricFamily& family, std::string_view name,
           const MetricLabels& labels = {});
  void Add(const prometheus::MetricFamily& family) { Add(family, family.name); }

  std::string Take() { return std::move(text_); }

 private:
  void AddHistogram(std::string_view name, const MetricLabels& labels,
                    const prometheus::ClientMetric& metric);
  // name_suffix{labels of both, last} value
  void Line(std::string_view name, std::string_view suffix, const MetricLabels& labels,
            const MetricLabels& own, std::string_view last, double value);

  std::string text_;
};

}  // namespace lockstep
