// The families of /metrics have other bounds and no attributes, and their registry takes no name
// with a dot: what these tell is kept besides, from the same record that a span is made of.
#include "server/telemetry/gen_ai_metrics.h"

#include <string>
#include <string_view>

#include "server/telemetry/otlp_json.h"

namespace lockstep {
namespace {

struct Convention {
  const char* name;
  const char* help;
  prometheus::Histogram::BucketBoundaries bounds;
};

// The rows stand in the order of GenAiMetrics::Metric.
const Convention kConventions[] = {
    {"gen_ai.server.request.duration",
     "Generative AI server request duration such as time-to-last byte or last output token.",
     {0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}},
    {"gen_ai.server.time_to_first_token",
     "Time to generate first token for successful responses.",
     {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}},
    {"gen_ai.server.time_per_output_token",
     "Time per output token generated after the first token for successful responses.",
     {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5}},
    {"gen_ai.client.token.usage",
     "Number of input and output tokens used.",
     {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}},
};

}  // namespace

void GenAiMetrics::OnRequest(const RequestRecord& record) {
  if (record.operation.empty()) return;
  Labels labels = {{"gen_ai.operation.name", std::string(record.operation)},
                   {"gen_ai.provider.name", kGenAiProvider}};
  if (!record.model.empty()) {
    labels.push_back({"gen_ai.request.model", record.model});
    labels.push_back({"gen_ai.response.model", record.model});
  }
  const auto with = [&labels](const char* name, std::string value) {
    Labels more = labels;
    more.push_back({name, std::move(value)});
    return more;
  };
  const bool error = IsError(record);
  Observe(kDuration, error ? with("error.type", record.outcome) : labels, record.total_ms / 1000);
  if (record.prompt_tokens > 0) {
    Observe(kTokens, with("gen_ai.token.type", "input"), static_cast<double>(record.prompt_tokens));
  }
  if (record.completion_tokens > 0) {
    Observe(kTokens, with("gen_ai.token.type", "output"),
            static_cast<double>(record.completion_tokens));
  }
  if (error || record.completion_tokens == 0) return;
  Observe(kFirstToken, labels, record.first_token_ms / 1000);
  if (record.tokens_per_second > 0) Observe(kOutputToken, labels, 1 / record.tokens_per_second);
}

void GenAiMetrics::Observe(Metric metric, Labels labels, double value) {
  const MutexLock lock(mutex_);
  histograms_.try_emplace({metric, std::move(labels)}, kConventions[metric].bounds)
      .first->second.Observe(value);
}

void GenAiMetrics::AddTo(std::vector<prometheus::MetricFamily>& all) const {
  const MutexLock lock(mutex_);
  const char* last = nullptr;
  for (const auto& [key, histogram] : histograms_) {
    const auto& [name, help, bounds] = kConventions[key.first];
    if (name != std::exchange(last, name)) {
      all.push_back({name, help, prometheus::MetricType::Histogram, {}});
    }
    all.back().metric.push_back(histogram.Collect());
    all.back().metric.back().label = key.second;
  }
}

}  // namespace lockstep
