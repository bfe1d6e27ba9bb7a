// Ollama's options mix how a token is chosen with how a model is loaded. The former are obeyed, or
// named where they cannot be; the latter change no answer.
#include "server/api/ollama/ollama_fields.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string_view>
#include <utility>

#include "server/api/ollama/keep_alive.h"

namespace lockstep {
namespace {

// How a model lies in memory and who computes it: the answer is the same.
constexpr const char* kLoading[] = {"num_keep",         "num_batch",  "num_gpu",    "main_gpu",
                                    "num_thread",       "numa",       "use_mmap",   "low_vram",
                                    "use_mlock",        "vocab_only", "logits_all", "f16_kv",
                                    "draft_num_predict"};

// JSON has one kind of number, and so have the languages of many clients, which send 40.0 for 40.
// A top_p below 0 leaves as much as 0 does.
Json Normalized(Json options) {
  if (!options.is_object()) return options;
  for (const auto& [name, value] : options.items()) {
    const double number = value.is_number() ? value.get<double>() : NAN;
    if (name == "top_p" && number < 0) {
      value = 0;
    } else if (value.is_number_float() && number == std::trunc(number) && std::abs(number) < 9e15) {
      value = static_cast<int64_t>(number);
    }
  }
  return options;
}

// What would choose tokens otherwise is named unless it is off.
void ReadLostSamplers(FieldReader& options, ReadContext& context) {
  static constexpr std::pair<const char*, double> kOff[] = {{"tfs_z", 1}, {"mirostat", 0}};
  for (const auto& [name, off] : kOff) {
    const Json* const value = options.Take(name);
    if (value != nullptr && *value != off) context.ignored.push_back(options.Full(name));
  }
  for (const char* name : {"mirostat_tau", "mirostat_eta", "penalize_newline"}) options.Take(name);
}

void ReadOptions(FieldReader& options, ReadContext& context, GenerateRequest& generate) {
  ReadSampling(options, context, generate);
  // -1 asks for any number.
  if (generate.negative_seed) generate.has_seed = generate.negative_seed = false;
  options.Float("repeat_penalty", {0, 100, true}, &generate.options.sampling.repetition_penalty);
  int64_t count = -1;  // below 0: what the context leaves
  if (options.Integer("num_predict", INT32_MIN, INT32_MAX, &count) && count >= 0) {
    generate.options.max_tokens = static_cast<size_t>(count);
  }
  size_t positions = 0;
  options.Integer("num_ctx", 0, INT32_MAX, &positions);
  if (positions > context.service.model().context) {
    context.ignored.push_back(options.Full("num_ctx"));
  }
  ReadLostSamplers(options, context);
  for (const char* name : kLoading) options.Take(name);
}

// true, false, or how much.
void ReadThink(FieldReader& fields, Thinking* thinking) {
  constexpr std::string_view kLevels[] = {"none", "minimal", "low", "medium",
                                          "high", "xhigh",   "max"};
  const Json* const think = fields.Take("think");
  if (think == nullptr || *think == "") return;
  if (think->is_boolean()) {
    thinking->enabled = think->get<bool>();
  } else if (think->is_string() &&
             std::ranges::count(kLevels, think->get_ref<const std::string&>()) > 0) {
    thinking->effort = think->get<std::string>();
  } else {
    fields.Fail("think", "must be true, false, \"low\", \"medium\", \"high\" or \"max\"");
  }
}

void ReadLogprobs(FieldReader& fields, ReadContext& context, int32_t* logprobs) {
  bool wanted = false;
  fields.Bool("logprobs", &wanted);
  int32_t top = 0;
  fields.Integer("top_logprobs", 0, kMaxLogprobs, &top);
  if (wanted) *logprobs = top;
  if (!wanted && top > 0) context.ignored.emplace_back("top_logprobs");
}

}  // namespace

bool ReadKeepAlive(FieldReader& fields) {
  const Json* const value = fields.Take("keep_alive");
  if (value == nullptr) return false;
  const auto time = ParseKeepAlive(*value);
  if (!time) fields.Fail("keep_alive", "must be a number of seconds or a duration such as \"5m\"");
  return time == std::chrono::milliseconds(0);
}

void ReadOllamaOptions(FieldReader& fields, ReadContext& context, OllamaRequest& request) {
  const Json* const options = fields.Take("options");
  if (options == nullptr) return;
  fields.Nested(Normalized(*options), "options", "must be an object", context.unknown(),
                [&](FieldReader& inner) { ReadOptions(inner, context, request.generate); });
}

void ReadOllamaFields(FieldReader& fields, ReadContext& context, OllamaRequest& request) {
  GenerateRequest& generate = request.generate;
  generate.options.max_tokens = INT32_MAX;
  SamplingParams& sampling = generate.options.sampling;
  sampling.temperature = 0.8f;
  sampling.top_k = 40;
  sampling.top_p = 0.9f;
  sampling.min_p = 0;
  ReadModel(fields, context, &request.model);
  ReadOllamaOptions(fields, context, request);
  generate.stream = true;
  fields.Bool("stream", &generate.stream);
  request.format = ReadOllamaFormat(fields, context);
  ReadThink(fields, &request.thinking);
  ReadCacheSalt(fields, generate);
  request.unload = ReadKeepAlive(fields);
  ReadLogprobs(fields, context, &sampling.logprobs);
  bool ignored = false;
  fields.Bool("truncate", &ignored);
  fields.Bool("shift", &ignored);
}

void RefuseImages(FieldReader& fields) {
  const Json* const images = fields.Take("images");
  if (images != nullptr && !images->empty()) {
    fields.Fail("images", "is not supported: the model reads text only");
  }
}

}  // namespace lockstep
