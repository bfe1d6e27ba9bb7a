#include "server/api_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>

#include "core/text.h"
#include "server/json_text.h"

namespace lockstep {
namespace {

tl::unexpected<Error> Invalid(std::string message, std::string_view param = {}) {
  return Fail(ErrorKind::kInvalidArgument, std::move(message), std::string(param));
}

// Where a field's value goes, and what it may be.
struct Target {
  GenerateRequest& request;
  size_t vocab;
};
using FieldParser = Status (*)(const Json& value, std::string_view name, const Target& target);

struct FloatField {  // where it goes, and its range
  float SamplingParams::*member;
  double low, high;
  bool above_low = false;  // low itself is refused
};

// What a float cannot tell from 0 counts as the least positive one, where 0 is refused.
Status ParseFloat(const Json& value, std::string_view name, const FloatField& field, float* out) {
  const double number = value.is_number() ? value.get<double>() : NAN;
  if (number >= field.low && number <= field.high && !(field.above_low && number == field.low)) {
    *out = static_cast<float>(number);
    if (field.above_low && *out == 0) *out = std::numeric_limits<float>::min();
    return {};
  }
  return Invalid(fmt::format("{} must be a number {} {:g}, at most {:g}", name,
                             field.above_low ? "above" : "of at least", field.low, field.high),
                 name);
}

bool IsIntegerIn(const Json& value, int64_t low, int64_t high) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) {
    return false;
  }
  return value.get<int64_t>() >= low && value.get<int64_t>() <= high;
}

template <class T>
Status ParseInteger(const Json& value, std::string_view name, int64_t low, int64_t high, T* out) {
  if (!IsIntegerIn(value, low, high)) {
    return Invalid(fmt::format("{} must be an integer from {} to {}", name, low, high), name);
  }
  *out = static_cast<T>(value.get<int64_t>());
  return {};
}

Status ParseBool(const Json& value, std::string_view name, bool* out) {
  if (!value.is_boolean()) return Invalid(fmt::format("{} must be true or false", name), name);
  *out = value.get<bool>();
  return {};
}

Status ParsePrompt(const Json& value, std::string_view name, const Target& target) {
  if (value.is_string()) {
    if (value.get_ref<const std::string&>().empty()) return Invalid("prompt is empty", name);
    target.request.prompt = value.get<std::string>();
    return {};
  }
  if (!value.is_array()) return Invalid("prompt must be a string or a list of token ids", name);
  if (value.empty()) return Invalid("prompt is empty", name);
  std::vector<int32_t> ids;
  ids.reserve(value.size());
  for (const Json& id : value) {
    if (!IsIntegerIn(id, 0, static_cast<int64_t>(target.vocab) - 1)) {
      return Invalid(
          fmt::format("prompt[{}] must be a token id from 0 to {}", ids.size(), target.vocab - 1),
          name);
    }
    ids.push_back(id.get<int32_t>());
  }
  target.request.prompt = std::move(ids);
  return {};
}

Status ParseLogitBias(const Json& value, std::string_view name, const Target& target) {
  if (!value.is_object() || value.size() > kMaxBiases) {
    return Invalid(fmt::format("{} must be an object of at most {} token ids, each with a number",
                               name, kMaxBiases),
                   name);
  }
  auto& biases = target.request.params.sampling.logit_bias;
  for (const auto& [key, bias] : value.items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 ||
        static_cast<size_t>(id) >= target.vocab || fmt::to_string(id) != key) {
      return Invalid(
          fmt::format("{}: {} is not a token id from 0 to {}", name, Quoted(key), target.vocab - 1),
          name);
    }
    float amount = 0;
    if (!ParseFloat(bias, name, {nullptr, -100, 100}, &amount)) {
      return Invalid(fmt::format("{}: the bias of {} must be a number from -100 to 100", name, id),
                     name);
    }
    biases.emplace_back(id, amount);
  }
  std::sort(biases.begin(), biases.end());
  return {};
}

Status ParseSeed(const Json& value, std::string_view name, const Target& target) {
  if (!value.is_number_integer()) {
    return Invalid(fmt::format("{} must be an integer of 64 bits", name), name);
  }
  target.request.has_seed = true;
  target.request.negative_seed = !value.is_number_unsigned();
  target.request.params.sampling.seed = value.is_number_unsigned()
                                            ? value.get<uint64_t>()
                                            : static_cast<uint64_t>(value.get<int64_t>());
  return {};
}

Status ParseStop(const Json& value, std::string_view name, const Target& target) {
  const auto is_stop = [](const Json& stop) {
    if (!stop.is_string()) return false;
    const size_t size = stop.get_ref<const std::string&>().size();
    return size >= 1 && size <= kMaxStopBytes;
  };
  const Json list = value.is_array() ? value : Json::array({value});
  if (list.size() <= kMaxStops && std::all_of(list.begin(), list.end(), is_stop)) {
    target.request.params.stop = list.get<std::vector<std::string>>();
    return {};
  }
  return Invalid(fmt::format("{} must be a string or at most {} strings, each of 1 to {} bytes",
                             name, kMaxStops, kMaxStopBytes),
                 name);
}

// true is 0: the chosen token's alone.
Status ParseLogprobs(const Json& value, std::string_view name, const Target& target) {
  int32_t& logprobs = target.request.params.sampling.logprobs;
  if (value.is_boolean()) {
    logprobs = value.get<bool>() ? 0 : -1;
    return {};
  }
  if (!ParseInteger(value, name, 0, 20, &logprobs)) {
    return Invalid(fmt::format("{} must be an integer from 0 to 20, true or false", name), name);
  }
  return {};
}

Status ParseMaxTokens(const Json& value, std::string_view name, const Target& target) {
  return ParseInteger(value, name, 1, INT32_MAX, &target.request.params.max_tokens);
}

Status ParseTopK(const Json& value, std::string_view name, const Target& target) {
  return ParseInteger(value, name, 0, INT32_MAX, &target.request.params.sampling.top_k);
}

Status ParseIgnoreEos(const Json& value, std::string_view name, const Target& target) {
  return ParseBool(value, name, &target.request.params.ignore_eos);
}

Status ParseStream(const Json& value, std::string_view name, const Target& target) {
  return ParseBool(value, name, &target.request.stream);
}

const std::map<std::string_view, FieldParser> kFields = {
    {"prompt", ParsePrompt},
    {"max_tokens", ParseMaxTokens},
    {"top_k", ParseTopK},
    {"logit_bias", ParseLogitBias},
    {"seed", ParseSeed},
    {"stop", ParseStop},
    {"ignore_eos", ParseIgnoreEos},
    {"logprobs", ParseLogprobs},
    {"stream", ParseStream},
};

const std::map<std::string_view, FloatField> kFloatFields = {
    {"temperature", {&SamplingParams::temperature, 0, 100}},
    {"top_p", {&SamplingParams::top_p, 0, 1, true}},
    {"min_p", {&SamplingParams::min_p, 0, 1}},
    {"repetition_penalty", {&SamplingParams::repetition_penalty, 0, 100, true}},
    {"presence_penalty", {&SamplingParams::presence_penalty, -2, 2}},
    {"frequency_penalty", {&SamplingParams::frequency_penalty, -2, 2}},
};

Status ParseField(std::string_view name, const Json& value, const Target& target) {
  if (const auto field = kFields.find(name); field != kFields.end()) {
    return field->second(value, name, target);
  }
  if (const auto field = kFloatFields.find(name); field != kFloatFields.end()) {
    const FloatField& range = field->second;
    return ParseFloat(value, name, range, &(target.request.params.sampling.*range.member));
  }
  return Invalid(fmt::format("unknown field {}", Quoted(name)), name.substr(0, 64));
}

// The shortest decimal number that names this float, not the longer one that names its double.
double Shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double number = value;
  std::from_chars(text, end, number);
  return number;
}

double Rounded(double value) { return std::round(value * 1000) / 1000; }

OrderedJson TokenLogprobJson(const GenerationService& service, int32_t token, float logprob) {
  const std::string_view bytes = service.TokenBytes(token);
  OrderedJson json{{"token", token}, {"text", std::string(bytes)}, {"logprob", Shortest(logprob)}};
  json["bytes"] = OrderedJson::array();
  for (const char byte : bytes) json["bytes"].push_back(static_cast<uint8_t>(byte));
  return json;
}

OrderedJson LogprobsJson(const GenerationService& service, const SampledToken& sampled) {
  OrderedJson json = TokenLogprobJson(service, sampled.token, sampled.logprob);
  json["top"] = OrderedJson::array();
  for (const TokenLogprob& top : sampled.top) {
    json["top"].push_back(TokenLogprobJson(service, top.token, top.logprob));
  }
  return json;
}

double PerSecond(size_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

}  // namespace

Result<GenerateRequest> ParseGenerateRequest(std::string_view body, size_t vocab) {
  const Result<Json> json = ParseStrictObject(body);
  if (!json) return tl::unexpected(json.error());
  GenerateRequest request;
  for (const auto& [name, value] : json->items()) {
    if (value.is_null() && (kFields.contains(name) || kFloatFields.contains(name))) continue;
    if (Status status = ParseField(name, value, {request, vocab}); !status) {
      return tl::unexpected(status.error());
    }
  }
  if (!json->contains("prompt") || (*json)["prompt"].is_null()) {
    return Invalid("prompt is missing: a string, or a list of token ids", "prompt");
  }
  return request;
}

std::string RenderToken(const GenerationService& service, const TokenEvent& event,
                        bool wants_logprobs) {
  OrderedJson json{{"index", event.index}, {"token", event.sampled.token}, {"text", event.text}};
  if (wants_logprobs) json["logprobs"] = LogprobsJson(service, event.sampled);
  return Dump(json);
}

std::string_view FinishName(FinishReason reason) {
  return reason == FinishReason::kLength ? "length" : "stop";
}

double PrefillTokensPerSecond(const GenerateAnswer& answer) {
  return PerSecond(answer.prompt_tokens - answer.stats.cached_tokens, answer.stats.prefill_s);
}

// The first token is prefill's.
double DecodeTokensPerSecond(const GenerateAnswer& answer) {
  return answer.tokens.empty() ? 0 : PerSecond(answer.tokens.size() - 1, answer.stats.decode_s);
}

std::string RenderAnswer(const GenerationService& service, const GenerateAnswer& answer,
                         bool done) {
  const size_t completion = answer.tokens.size();
  OrderedJson json{{"id", answer.id},
                   {"text", answer.text},
                   {"tokens", answer.tokens},
                   {"finish_reason", FinishName(answer.finish)},
                   {"usage",
                    {{"prompt_tokens", answer.prompt_tokens},
                     {"completion_tokens", completion},
                     {"total_tokens", answer.prompt_tokens + completion},
                     {"prompt_tokens_details", {{"cached_tokens", answer.stats.cached_tokens}}}}},
                   {"timings",
                    {{"queue_ms", Rounded(answer.stats.queue_s * 1000)},
                     {"prefill_ms", Rounded(answer.stats.prefill_s * 1000)},
                     {"decode_ms", Rounded(answer.stats.decode_s * 1000)},
                     {"prefill_tokens_per_second", Rounded(PrefillTokensPerSecond(answer))},
                     {"decode_tokens_per_second", Rounded(DecodeTokensPerSecond(answer))}}},
                   {"seed", answer.seed},
                   {"system_fingerprint", service.model().fingerprint}};
  if (answer.negative_seed) json["seed"] = static_cast<int64_t>(answer.seed);
  if (answer.wants_logprobs) {
    json["logprobs"] = OrderedJson::array();
    for (const SampledToken& token : answer.logprobs) {
      json["logprobs"].push_back(LogprobsJson(service, token));
    }
  }
  if (done) json["done"] = true;
  return Dump(json);
}

std::string RenderModels(const ServedModel& model) {
  const OrderedJson entry{{"id", model.name},
                          {"object", "model"},
                          {"created", model.created},
                          {"owned_by", "lockstep"},
                          {"context_length", model.context},
                          {"system_fingerprint", model.fingerprint}};
  return Dump(OrderedJson{{"object", "list"}, {"data", OrderedJson::array({entry})}});
}

std::string RenderState(std::string_view status, const SchedulerState& state) {
  return Dump(
      OrderedJson{{"status", status}, {"queued", state.queued}, {"running", state.running}});
}

std::string RenderLoading(size_t percent) {
  return Dump(OrderedJson{{"status", "loading"}, {"percent", percent}});
}

}  // namespace lockstep
