// The conventions for generative AI are still in development: what vLLM calls otherwise, for which
// there are dashboards, is told by both names.
#include "server/telemetry/span_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "server/http/trace_context.h"
#include "server/telemetry/otlp_json.h"

namespace lockstep {
namespace {

using Time = std::chrono::system_clock::time_point;

enum SpanKind { kInternal = 1, kServer = 2 };
constexpr int kStatusError = 2;

Time::duration Milliseconds(double ms) {
  return std::chrono::duration_cast<Time::duration>(
      std::chrono::duration<double, std::milli>(std::max(0.0, ms)));
}

Json AttributesOf(const RequestRecord& record) {
  Json attributes = Json::array(
      {OtlpAttribute("http.request.method", record.method),
       OtlpAttribute("http.response.status_code", static_cast<size_t>(std::max(0, record.status))),
       OtlpAttribute("lockstep.request.id", record.request_id)});
  if (!record.route.empty()) attributes.push_back(OtlpAttribute("http.route", record.route));
  if (IsError(record)) attributes.push_back(OtlpAttribute("error.type", record.outcome));
  if (record.operation.empty()) return attributes;
  attributes.push_back(OtlpAttribute("gen_ai.operation.name", std::string(record.operation)));
  attributes.push_back(OtlpAttribute("gen_ai.provider.name", std::string(kGenAiProvider)));
  if (!record.model.empty()) {
    attributes.push_back(OtlpAttribute("gen_ai.request.model", record.model));
    attributes.push_back(OtlpAttribute("gen_ai.response.model", record.model));
  }
  if (record.prompt_tokens > 0) {
    attributes.push_back(OtlpAttribute("gen_ai.usage.input_tokens", record.prompt_tokens));
  }
  if (record.id.empty()) return attributes;
  attributes.push_back(OtlpAttribute("gen_ai.response.id", record.id));
  attributes.push_back(OtlpAttribute("gen_ai.request.max_tokens", record.max_tokens));
  attributes.push_back(OtlpAttribute("gen_ai.request.stream", Json{{"boolValue", record.stream}}));
  attributes.push_back(OtlpAttribute("gen_ai.request.temperature", record.temperature));
  attributes.push_back(OtlpAttribute("gen_ai.request.top_p", record.top_p));
  // OTLP's integers have a sign: a seed beyond theirs is told as the negative one of its bits.
  const Json seed = {{"intValue", std::to_string(static_cast<int64_t>(record.seed))}};
  attributes.push_back(OtlpAttribute("gen_ai.request.seed", seed));
  if (record.answers > 1) {
    attributes.push_back(OtlpAttribute("gen_ai.request.choice.count", record.answers));
  }
  attributes.push_back(OtlpAttribute("gen_ai.usage.output_tokens", record.completion_tokens));
  attributes.push_back(OtlpAttribute("gen_ai.usage.cache_read.input_tokens", record.cached_tokens));
  if (!IsError(record)) {
    const Json reason = {{"stringValue", record.outcome}};
    attributes.push_back(OtlpAttribute("gen_ai.response.finish_reasons",
                                       Json{{"arrayValue", {{"values", Json::array({reason})}}}}));
  }
  if (record.first_token_ms > 0) {  // else none came
    const double first_s = record.first_token_ms / 1000;
    attributes.push_back(OtlpAttribute("gen_ai.response.time_to_first_chunk", first_s));
    attributes.push_back(OtlpAttribute("gen_ai.latency.time_to_first_token", first_s));
  }
  // Of a request whose client went away nobody waits to hear them.
  if (record.queue_ms + record.prefill_ms + record.decode_ms > 0) {
    attributes.push_back(OtlpAttribute("gen_ai.latency.time_in_queue", record.queue_ms / 1000));
    attributes.push_back(
        OtlpAttribute("gen_ai.latency.time_in_model_prefill", record.prefill_ms / 1000));
    attributes.push_back(
        OtlpAttribute("gen_ai.latency.time_in_model_decode", record.decode_ms / 1000));
  }
  attributes.push_back(OtlpAttribute("gen_ai.latency.e2e", record.total_ms / 1000));
  return attributes;
}

Json SpanOf(const RequestRecord& record, const std::string& id, const std::string& parent,
            std::string_view name, SpanKind kind, Time begin, Time end) {
  Json span = {{"traceId", record.trace_id},
               {"spanId", id},
               {"name", name},
               {"kind", static_cast<int>(kind)},
               {"startTimeUnixNano", OtlpNanoseconds(begin)},
               {"endTimeUnixNano", OtlpNanoseconds(end)}};
  if (!parent.empty()) span["parentSpanId"] = parent;
  return span;
}

// "OPERATION MODEL", else "METHOD ROUTE", or the method alone where there is no such route.
std::string NameOf(const RequestRecord& record) {
  if (!record.operation.empty() && !record.model.empty()) {
    return fmt::format("{} {}", record.operation, record.model);
  }
  return record.route.empty() ? record.method : fmt::format("{} {}", record.method, record.route);
}

void AddSpans(const EndedRequest& request, Json& spans) {
  const RequestRecord& record = request.record;
  const std::string name = NameOf(record);
  const Time begin = request.end - Milliseconds(record.total_ms);
  Json span = SpanOf(record, record.span_id, record.parent_id, name, kServer, begin, request.end);
  span["attributes"] = AttributesOf(record);
  if (record.status >= 500 || (record.status < 400 && IsError(record))) {
    span["status"] = {{"code", kStatusError}};
  }
  spans.push_back(std::move(span));
  const std::pair<std::string_view, double> parts[] = {
      {"queue", record.queue_ms}, {"prefill", record.prefill_ms}, {"decode", record.decode_ms}};
  // The last of them ends with the request but for what the client took to read it.
  const double known_ms = record.queue_ms + record.prefill_ms + record.decode_ms;
  Time at = std::max(begin, request.end - Milliseconds(known_ms));
  for (const auto& [part, ms] : parts) {
    if (ms <= 0) continue;
    const Time end = std::min(request.end, at + Milliseconds(ms));
    spans.push_back(SpanOf(record, NewSpanId(), record.span_id, part, kInternal, at, end));
    at = end;
  }
}

}  // namespace

Json TracesJson(std::span<const EndedRequest> requests, const OtlpSettings& settings,
                const char* version) {
  Json spans = Json::array();
  for (const EndedRequest& request : requests) AddSpans(request, spans);
  const Json scope = {{"scope", OtlpScope(version)}, {"spans", std::move(spans)}};
  return {{"resourceSpans", Json::array({{{"resource", OtlpResource(settings, version)},
                                          {"scopeSpans", Json::array({scope})}}})}};
}

}  // namespace lockstep
