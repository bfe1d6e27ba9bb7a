// Works as OpenTelemetry's periodic exporting metric reader: a thread sleeps for the interval and
// sends all numbers as they are then, or later where the collector asks for it. Nothing is kept and
// tried again, because they are cumulative: what a collector has missed is in what it gets next.
#include "server/telemetry/metric_exporter.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace lockstep {

MetricExporter::MetricExporter(const OtlpSettings& settings, std::function<std::string()> body,
                               Collector::Post post, Collector::Warn warn)
    : interval_(settings.interval),
      body_(std::move(body)),
      collector_("metrics", "", settings.url, std::move(post), std::move(warn)),
      thread_([this] { Loop(); }) {}

MetricExporter::~MetricExporter() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

void MetricExporter::Loop() {
  bool stop = false;
  while (!stop) {
    {
      const MutexLock lock(mutex_);
      const auto until = std::chrono::steady_clock::now() +
                         std::max<std::chrono::milliseconds>(interval_, collector_.wait());
      while (!stop_ && wake_.WaitUntil(mutex_, until)) {
      }
      stop = stop_;
    }
    if (!stop || !collector_.in_trouble()) collector_.Send(body_);
  }
}

}  // namespace lockstep
