// Families of Prometheus' client library in OTLP's JSON (opentelemetry-proto 1, metrics/v1), under
// the same names. Pure.
#pragma once

#include <prometheus/metric_family.h>

#include <chrono>
#include <span>

#include "server/json/json_text.h"
#include "server/telemetry/otlp_settings.h"

namespace lockstep {

// The body of POST /v1/metrics. Counters, gauges and histograms are told, each with its value
// `now`; what is counted is counted since `start`.
Json MetricsJson(std::span<const prometheus::MetricFamily> families, const OtlpSettings& settings,
                 const char* version, std::chrono::system_clock::time_point start,
                 std::chrono::system_clock::time_point now);

}  // namespace lockstep
