// Sends the spans of requests that have ended to a collector, from a thread of its own: whoever
// answers requests never waits for it, and a collector that is away costs nothing but its spans.
#pragma once

#include <chrono>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "server/http/http_types.h"
#include "server/telemetry/collector.h"
#include "server/telemetry/otlp_settings.h"
#include "server/telemetry/span_json.h"

namespace lockstep {

class SpanExporter {
 public:
  struct Pace {
    std::chrono::milliseconds batch{1'000};  // so long spans are gathered
    std::chrono::milliseconds retry{2'000};  // before the first further try, then twice as long
    std::chrono::milliseconds longest{60'000};
  };

  // `warn` is told on the exporter's thread, once for each time of trouble.
  SpanExporter(OtlpSettings settings, const char* version, Collector::Post post,
               Collector::Warn warn, Pace pace);
  SpanExporter(OtlpSettings settings, const char* version, Collector::Post post,
               Collector::Warn warn)
      : SpanExporter(std::move(settings), version, std::move(post), std::move(warn), Pace{}) {}
  ~SpanExporter();  // what is waiting is sent, if the collector answers at once
  SpanExporter(const SpanExporter&) = delete;
  SpanExporter& operator=(const SpanExporter&) = delete;

  // From any thread; does not block. Health checks are not told of, nor what the caller or the
  // ratio leaves out. Where more wait than there is room for, the request is dropped.
  void Export(const RequestRecord& record);
  size_t dropped() const;

 private:
  void Loop();
  // Whether that was the last try with these.
  bool Send(const std::vector<EndedRequest>& batch);

  const OtlpSettings settings_;
  const char* const version_;
  const Pace pace_;
  Collector collector_;  // the loop's own

  mutable Mutex mutex_;
  CondVar wake_;
  std::vector<EndedRequest> waiting_ GUARDED_BY(mutex_);
  size_t dropped_ GUARDED_BY(mutex_) = 0;
  bool stop_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lockstep
