// Where traces and metrics go, by the flag or the variables that OpenTelemetry's SDKs read
// (specification: "OpenTelemetry Protocol Exporter", "SDK Environment Variables"). Pure.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace lockstep {

enum class OtlpSignal { kTraces, kMetrics };

struct OtlpSettings {
  std::string url;  // of POST .../v1/traces or .../v1/metrics; empty: nobody wants any
  std::vector<std::pair<std::string, std::string>> headers;
  // Attributes of the resource, which is this server, service.name among them.
  std::vector<std::pair<std::string, std::string>> resource;
  std::string authorities;  // a file of certificates to trust instead of the system's, or empty
  bool gzip = false;        // whether bodies are compressed
  std::chrono::milliseconds timeout{5'000};  // of one sending
  double ratio = 1;  // of the requests without a caller's decision, how many are told of
  std::chrono::milliseconds interval{60'000};  // from one sending of metrics to the next

  bool enabled() const { return !url.empty(); }
};

// `endpoint` is the flag's value and goes before the environment's; it is a base address, behind
// which /v1/traces or /v1/metrics is put. kInvalidArgument if something cannot be meant so.
Result<OtlpSettings> ReadOtlpSettings(OtlpSignal signal, const std::string& endpoint,
                                      const std::function<const char*(const char*)>& variable);

}  // namespace lockstep
