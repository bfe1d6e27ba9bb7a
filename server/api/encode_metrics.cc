// A registry of its own: a server without such a model has none of these names.
#include "server/api/encode_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <iterator>
#include <string>
#include <utility>

#include "server/http/error_reply.h"

namespace lockstep {
namespace {

using prometheus::Counter;
using prometheus::Histogram;
using Buckets = Histogram::BucketBoundaries;

const Buckets kSeconds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
                          1,     2.5,    5,     10,   30,    60,   120, 300,  900};
const Buckets kTexts = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000};

}  // namespace

struct EncodeMetrics::Families {
  prometheus::Registry registry;

  Counter& AddCounter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
  }
  Histogram& AddHistogram(const char* name, const char* help, const Buckets& buckets) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
  }
  prometheus::Gauge& AddGauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
  }

  prometheus::Family<Counter>& requests =
      prometheus::BuildCounter()
          .Name("lockstep_embedding_requests_total")
          .Help("Requests for vectors that the scheduler took and ended, by outcome.")
          .Register(registry);
  // There from the start: a rate needs a first value.
  Counter& complete = requests.Add({{"outcome", "ok"}});
  Counter& texts = AddCounter("lockstep_embedding_texts_total", "Texts that were encoded.");
  Counter& tokens = AddCounter("lockstep_embedding_tokens_total", "Tokens of these texts.");
  Histogram& step = AddHistogram("lockstep_embedding_step_seconds", "A step.", kSeconds);
  Histogram& step_texts = AddHistogram("lockstep_embedding_step_texts", "Texts of a step.", kTexts);
  Histogram& queue = AddHistogram("lockstep_embedding_queue_seconds",
                                  "From submitted to the first text in a step.", kSeconds);
  Histogram& total =
      AddHistogram("lockstep_embedding_seconds", "From submitted to the last vector.", kSeconds);
  prometheus::Gauge& waiting =
      AddGauge("lockstep_embedding_queue_requests", "Requests that no step has begun.");
  prometheus::Gauge& waiting_tokens =
      AddGauge("lockstep_embedding_queue_tokens", "Tokens of their texts.");
  prometheus::Gauge& running =
      AddGauge("lockstep_embedding_requests_running", "Requests of which some texts are encoded.");
};

EncodeMetrics::EncodeMetrics() : families_(std::make_unique<Families>()) {}
EncodeMetrics::~EncodeMetrics() = default;

void EncodeMetrics::OnEncodeStep(size_t texts, size_t tokens, double seconds) {
  families_->texts.Increment(static_cast<double>(texts));
  families_->tokens.Increment(static_cast<double>(tokens));
  families_->step.Observe(seconds);
  families_->step_texts.Observe(static_cast<double>(texts));
}

void EncodeMetrics::OnEncodeEnd(const EncodeStats& stats, const Error* error) {
  families_->queue.Observe(stats.queue_s);
  if (error != nullptr) {
    families_->requests.Add({{"outcome", std::string(ErrorCode(error->kind))}}).Increment();
    return;
  }
  families_->complete.Increment();
  families_->total.Observe(stats.queue_s + stats.encode_s);
}

void EncodeMetrics::AddTo(std::vector<prometheus::MetricFamily>& all,
                          const EmbeddingService* service) const {
  if (service == nullptr) return;
  const EncodeState state = service->state();
  families_->waiting.Set(static_cast<double>(state.queued));
  families_->waiting_tokens.Set(static_cast<double>(state.queued_tokens));
  families_->running.Set(static_cast<double>(state.running));
  auto own = families_->registry.Collect();
  all.insert(all.end(), std::make_move_iterator(own.begin()), std::make_move_iterator(own.end()));
}

}  // namespace lockstep
