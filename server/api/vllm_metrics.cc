// Gateways and dashboards look for vLLM's names. A table says which of our families each of them
// is; what has no family here is made of the same numbers.
#include "server/api/vllm_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/engine/prefix_store.h"

namespace lockstep {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct VllmName {
  const char* name;
  const char* vllm;
};
constexpr VllmName kVllmNames[] = {
    {"lockstep_queue_requests", "vllm:num_requests_waiting"},
    {"lockstep_sessions_used", "vllm:num_requests_running"},
    {"lockstep_kv_usage_ratio", "vllm:kv_cache_usage_perc"},
    {"lockstep_prompt_tokens_total", "vllm:prompt_tokens_total"},
    {"lockstep_generated_tokens_total", "vllm:generation_tokens_total"},
    {"lockstep_drafts_total", "vllm:spec_decode_num_drafts_total"},
    {"lockstep_drafted_tokens_total", "vllm:spec_decode_num_draft_tokens_total"},
    {"lockstep_kept_draft_tokens_total", "vllm:spec_decode_num_accepted_tokens_total"},
    {"lockstep_prefix_query_tokens_total", "vllm:prefix_cache_queries_total"},
    {"lockstep_prefix_hit_tokens_total", "vllm:prefix_cache_hits_total"},
    {"lockstep_prefix_hit_tokens_total", "vllm:prompt_tokens_cached_total"},
    {"lockstep_time_to_first_token_seconds", "vllm:time_to_first_token_seconds"},
    {"lockstep_inter_token_seconds", "vllm:time_per_output_token_seconds"},
    {"lockstep_inter_token_seconds", "vllm:inter_token_latency_seconds"},
    {"lockstep_request_token_seconds", "vllm:request_time_per_output_token_seconds"},
    {"lockstep_generation_seconds", "vllm:e2e_request_latency_seconds"},
    {"lockstep_queue_seconds", "vllm:request_queue_time_seconds"},
    {"lockstep_prefill_seconds", "vllm:request_prefill_time_seconds"},
    {"lockstep_decode_seconds", "vllm:request_decode_time_seconds"},
    {"lockstep_inference_seconds", "vllm:request_inference_time_seconds"},
    {"lockstep_request_prompt_tokens", "vllm:request_prompt_tokens"},
    {"lockstep_request_computed_tokens", "vllm:request_prefill_kv_computed_tokens"},
    {"lockstep_request_generated_tokens", "vllm:request_generation_tokens"},
    {"lockstep_step_tokens", "vllm:iteration_tokens_total"},
    {"lockstep_request_answers", "vllm:request_params_n"},
    {"lockstep_request_max_tokens", "vllm:request_params_max_tokens"},
    {"lockstep_request_longest_tokens", "vllm:request_max_num_generation_tokens"},
};

double CounterOf(const std::vector<MetricFamily>& all, std::string_view name) {
  const auto family = std::ranges::find(all, name, &MetricFamily::name);
  return family == all.end() ? 0 : family->metric.at(0).counter.value;
}

// vLLM counts a request as a success if it ended by itself or at its limit, and has the reason as a
// label.
MetricFamily Successes(const MetricFamily& generations) {
  MetricFamily success = generations;
  success.metric.clear();
  for (ClientMetric metric : generations.metric) {
    const std::string& outcome = metric.label.at(0).value;
    if (outcome != "stop" && outcome != "length") continue;
    metric.label[0].name = "finished_reason";
    success.metric.push_back(std::move(metric));
  }
  return success;
}

}  // namespace

void AddVllmNames(MetricsText& text, const std::vector<MetricFamily>& all, const std::string& model,
                  const SchedulerState& state) {
  const MetricLabels labels = {{"model_name", model}, {"engine", "0"}};
  // Two of vLLM's names may stand for one of ours, so that all are looked through.
  for (const MetricFamily& family : all) {
    for (const VllmName& names : kVllmNames) {
      if (family.name == names.name) text.Add(family, names.vllm, labels);
    }
    if (family.name == "lockstep_generations_total") {
      text.Add(Successes(family), "vllm:request_success_total", labels);
    }
  }
  const double prompts = CounterOf(all, "lockstep_prompt_tokens_total");
  const double cached = CounterOf(all, "lockstep_prefix_hit_tokens_total");
  const auto add = [&](const MetricFamily& family) { text.Add(family, family.name, labels); };
  add(ByLabel("vllm:prompt_tokens_by_source_total", "Prompt tokens by where they came from.",
              MetricType::Counter, "source",
              {{"local_compute", prompts - cached}, {"local_cache_hit", cached}}));
  add(ByLabel("vllm:num_requests_waiting_by_reason", "Requests that wait, by what for.",
              MetricType::Gauge, "reason",
              {{"capacity", static_cast<double>(state.queued)}, {"deferred", 0}}));
  // Gateways take the number of blocks for what a replica can remember of prompts. There is no GPU,
  // but the label's name is fixed.
  const size_t room = state.kv_capacity_bytes + state.prefix_capacity_bytes;
  const size_t blocks = state.block_bytes == 0 ? 0 : room / state.block_bytes;
  add(Value("vllm:cache_config_info", "Memory for keys and values, in blocks.", 1,
            {{"block_size", fmt::to_string(PrefixStore::kBlock)},
             {"num_gpu_blocks", fmt::to_string(blocks)}}));
}

}  // namespace lockstep
