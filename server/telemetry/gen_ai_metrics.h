// The metrics of a model's server that OpenTelemetry's conventions for generative AI name
// (semantic-conventions-genai, gen-ai-metrics), with their bounds, as families of Prometheus'
// client library. Thread-safe; counting takes a microsecond.
#pragma once

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>

#include <map>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "server/http/http_types.h"

namespace lockstep {

class GenAiMetrics {
 public:
  // A request that was answered, over HTTP. What is no operation of a model is not counted.
  void OnRequest(const RequestRecord& record);

  // All of them now; those that nothing was counted for are left out.
  void AddTo(std::vector<prometheus::MetricFamily>& all) const;

 private:
  using Labels = std::vector<prometheus::ClientMetric::Label>;
  enum Metric { kDuration, kFirstToken, kOutputToken, kTokens };

  void Observe(Metric metric, Labels labels, double value);

  mutable Mutex mutex_;
  // A histogram for each set of attributes, of which there are as many as operations and errors.
  std::map<std::pair<Metric, Labels>, prometheus::Histogram> histograms_ GUARDED_BY(mutex_);
};

}  // namespace lockstep
