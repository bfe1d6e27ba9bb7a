// Works as OpenTelemetry's batch span processor: spans are gathered for a second and sent together.
// What the collector cannot take now (no connection, 429, 502 to 504) is tried again, ever less
// often and not before it asks for; what it refuses is dropped. Meanwhile at most kRoom requests
// wait.
#include "server/telemetry/span_exporter.h"

#include <algorithm>
#include <utility>

#include "server/http/trace_context.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kRoom = 2048, kBatch = 512;

// The low half of a trace's id is random (W3C Trace Context, level 2), so that all who see a trace
// decide alike.
bool IsChosen(const std::string& trace_id, double ratio) {
  const uint64_t low = std::stoull(trace_id.substr(16), nullptr, 16);
  return static_cast<double>(low >> 11) < ratio * static_cast<double>(uint64_t{1} << 53);
}

}  // namespace

SpanExporter::SpanExporter(OtlpSettings settings, const char* version, Collector::Post post,
                           Collector::Warn warn, Pace pace)
    : settings_(std::move(settings)),
      version_(version),
      pace_(pace),
      collector_("traces", "; it is tried again", settings_.url, std::move(post), std::move(warn)),
      thread_([this] { Loop(); }) {}

SpanExporter::~SpanExporter() {
  {
    const MutexLock lock(mutex_);
    stop_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

size_t SpanExporter::dropped() const {
  const MutexLock lock(mutex_);
  return dropped_;
}

void SpanExporter::Export(const RequestRecord& record) {
  if (record.control) return;
  EndedRequest ended{record, std::chrono::system_clock::now()};
  if (record.trace_id.empty()) {
    ended.record.trace_id = NewTraceId();
    ended.record.span_id = NewSpanId();
    if (!IsChosen(ended.record.trace_id, settings_.ratio)) return;
  } else if (!record.traced) {
    return;
  }
  const MutexLock lock(mutex_);
  if (waiting_.size() >= kRoom) {
    ++dropped_;
    return;
  }
  waiting_.push_back(std::move(ended));
  if (waiting_.size() == kBatch) wake_.NotifyAll();
}

void SpanExporter::Loop() {
  auto pause = pace_.retry;
  Clock::duration wait = pause;
  std::vector<EndedRequest> batch;
  while (true) {
    const bool again = !batch.empty();
    bool stop = false;
    {
      const MutexLock lock(mutex_);
      const auto until = Clock::now() + (again ? wait : pace_.batch);
      while (!stop_ && (again || waiting_.size() < kBatch) && wake_.WaitUntil(mutex_, until)) {
      }
      stop = stop_;
      if (stop && again) return;  // it did not answer at once
      if (!again) {
        const auto end =
            waiting_.begin() + static_cast<ptrdiff_t>(std::min(waiting_.size(), kBatch));
        batch.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
        waiting_.erase(waiting_.begin(), end);
      }
    }
    if (!batch.empty()) {
      const bool done = Send(batch);
      pause = done ? pace_.retry : std::min(again ? pause * 2 : pause, pace_.longest);
      wait = std::max<Clock::duration>(pause, collector_.wait());
      if (done) batch.clear();
      if (stop && !done) return;
    }
    const MutexLock lock(mutex_);
    if (stop_ && waiting_.empty()) return;
  }
}

bool SpanExporter::Send(const std::vector<EndedRequest>& batch) {
  const auto body = [&] { return Dump(TracesJson(batch, settings_, version_)); };
  return collector_.Send(body) != Collector::Outcome::kAway;
}

}  // namespace lockstep
