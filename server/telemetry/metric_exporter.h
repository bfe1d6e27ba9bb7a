// Sends metrics to a collector at regular times, from a thread of its own: nobody waits for it, and
// a collector that is away costs nothing, as what is sent next has all that was counted meanwhile.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "server/telemetry/otlp_settings.h"

namespace lockstep {

class MetricExporter {
 public:
  // The status of the collector's answer to a body of JSON, or why there is none.
  using Post = std::function<Result<int>(const std::string& body)>;

  // `body` makes what is sent, and `warn` is told once for each time of trouble: both on the
  // exporter's thread.
  MetricExporter(const OtlpSettings& settings, std::function<std::string()> body, Post post,
                 std::function<void(const std::string&)> warn);
  // The last numbers are sent, unless the collector did not take those before.
  ~MetricExporter();
  MetricExporter(const MetricExporter&) = delete;
  MetricExporter& operator=(const MetricExporter&) = delete;

 private:
  void Loop();
  void Send();

  const std::string url_;
  const std::chrono::milliseconds interval_;
  const std::function<std::string()> body_;
  const Post post_;
  const std::function<void(const std::string&)> warn_;

  std::string trouble_;  // the loop's own: what was said last; "" if all is well

  Mutex mutex_;
  CondVar wake_;
  bool stop_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace lockstep
