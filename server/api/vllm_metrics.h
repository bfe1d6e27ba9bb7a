// The server's metrics once more, under the names that vLLM has for the same.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

#include "core/engine/scheduler.h"
#include "server/api/metrics_text.h"

namespace lockstep {

// Writes those of `all` that vLLM has names for, with its labels, and what only vLLM has a name
// for.
void AddVllmNames(MetricsText& text, const std::vector<prometheus::MetricFamily>& all,
                  const std::string& model, const SchedulerState& state);

}  // namespace lockstep
