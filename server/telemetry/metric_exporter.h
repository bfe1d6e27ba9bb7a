// Sends metrics to a collector at regular times, from a thread of its own: nobody waits for it, and
// a collector that is away costs nothing, as what is sent next has all that was counted meanwhile.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "core/base/mutex.h"
#include "server/telemetry/collector.h"
#include "server/telemetry/otlp_settings.h"

namespace lockstep {

class MetricExporter {
 public:
  // `body` makes what is sent, and `warn` is told once for each time of trouble: both on the
  // exporter's thread.
  MetricExporter(const OtlpSettings& settings, std::function<std::string()> body,
                 Collector::Post post, Collector::Warn warn);
  // The last numbers are sent, unless the collector did not take those before.
  ~MetricExporter();
  MetricExporter(const MetricExporter&) = delete;
  MetricExporter& operator=(const MetricExporter&) = delete;

 private:
  void Loop();

  const std::chrono::milliseconds interval_;
  const std::function<std::string()> body_;
  Collector collector_;  // the loop's own

  Mutex mutex_;
  CondVar wake_;
  bool stop_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lockstep
