// As OpenTelemetry's periodic reader. Nothing is kept and tried again: the numbers are cumulative.
#include "server/telemetry/metric_exporter.h"

#include <fmt/format.h>

#include <chrono>
#include <exception>
#include <utility>

namespace lockstep {

MetricExporter::MetricExporter(const OtlpSettings& settings, std::function<std::string()> body,
                               Post post, std::function<void(const std::string&)> warn)
    : url_(settings.url),
      interval_(settings.interval),
      body_(std::move(body)),
      post_(std::move(post)),
      warn_(std::move(warn)),
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
      const auto until = std::chrono::steady_clock::now() + interval_;
      while (!stop_ && wake_.WaitUntil(mutex_, until)) {
      }
      stop = stop_;
    }
    if (!stop || trouble_.empty()) Send();
  }
}

void MetricExporter::Send() {
  std::string trouble;
  try {
    const auto status = post_(body_());
    if (!status) {
      trouble = status.error().message;
    } else if (*status < 200 || *status > 299) {
      trouble = fmt::format("it answers {}", *status);
    }
  } catch (const std::exception& error) {  // no memory: later there may be some
    trouble = error.what();
  }
  if (!trouble.empty() && trouble != trouble_) {
    warn_(fmt::format("metrics do not reach {}: {}", url_, trouble));
  }
  trouble_ = std::move(trouble);
}

}  // namespace lockstep
