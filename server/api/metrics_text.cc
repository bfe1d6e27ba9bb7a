// One string grows line by line, with numbers as the shortest decimals that name them.
#include "server/api/metrics_text.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>

namespace lockstep {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

void AppendNumber(std::string& text, double value) {
  constexpr double kExact = 1e15;  // integers below are written without an exponent
  if (value == std::trunc(value) && std::abs(value) < kExact) {
    fmt::format_to(std::back_inserter(text), "{}", static_cast<int64_t>(value));
  } else if (std::isnan(value)) {
    text += "NaN";
  } else if (std::isinf(value)) {
    text += value > 0 ? "+Inf" : "-Inf";
  } else {
    fmt::format_to(std::back_inserter(text), "{}", value);
  }
}

void AppendEscaped(std::string& text, std::string_view value, bool quotes) {
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
    } else {
      if (c == '\\' || (quotes && c == '"')) text += '\\';
      text += c;
    }
  }
}

const char* TypeName(MetricType type) {
  return type == MetricType::Counter ? "counter"
         : type == MetricType::Gauge ? "gauge"
                                     : "histogram";
}

}  // namespace

// Both members are set, as MetricsText reads the one that the type names.
MetricFamily Value(const char* name, const char* help, double value, MetricLabels labels,
                   MetricType type) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = metric.counter.value = value;
  return {name, help, type, {metric}};
}

MetricFamily ByLabel(const char* name, const char* help, MetricType type, const char* label,
                     const std::vector<std::pair<const char*, double>>& values) {
  MetricFamily family{name, help, type, {}};
  for (const auto& [word, value] : values) {
    family.metric.push_back(Value(name, help, value, {{label, word}}).metric[0]);
  }
  return family;
}

void MetricsText::Add(const prometheus::MetricFamily& family, std::string_view name,
                      const MetricLabels& labels) {
  fmt::format_to(std::back_inserter(text_), "# HELP {} ", name);
  AppendEscaped(text_, family.help, /*quotes=*/false);
  fmt::format_to(std::back_inserter(text_), "\n# TYPE {} {}\n", name, TypeName(family.type));
  for (const ClientMetric& metric : family.metric) {
    if (family.type == MetricType::Histogram) {
      AddHistogram(name, labels, metric);
    } else {
      Line(name, "", labels, metric.label, "",
           family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value);
    }
  }
}

void MetricsText::AddHistogram(std::string_view name, const MetricLabels& labels,
                               const ClientMetric& metric) {
  const ClientMetric::Histogram& histogram = metric.histogram;
  std::string bound;
  for (const auto& bucket : histogram.bucket) {
    bound = "le=\"";
    AppendNumber(bound, bucket.upper_bound);
    bound += '"';
    Line(name, "_bucket", labels, metric.label, bound,
         static_cast<double>(bucket.cumulative_count));
  }
  Line(name, "_sum", labels, metric.label, "", histogram.sample_sum);
  Line(name, "_count", labels, metric.label, "", static_cast<double>(histogram.sample_count));
}

void MetricsText::Line(std::string_view name, std::string_view suffix, const MetricLabels& labels,
                       const MetricLabels& own, std::string_view last, double value) {
  text_ += name;
  text_ += suffix;
  char before = '{';
  for (const MetricLabels* const list : {&labels, &own}) {
    for (const ClientMetric::Label& label : *list) {
      text_ += std::exchange(before, ',');
      text_ += label.name;
      text_ += "=\"";
      AppendEscaped(text_, label.value, /*quotes=*/true);
      text_ += '"';
    }
  }
  if (!last.empty()) {
    text_ += std::exchange(before, ',');
    text_ += last;
  }
  text_ += before == ',' ? "} " : " ";
  AppendNumber(text_, value);
  text_ += '\n';
}

}  // namespace lockstep
